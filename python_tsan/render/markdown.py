"""Render a result as Markdown, for job summaries and issues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.plain_text import counted
from python_tsan.render import wording
from python_tsan.render.advice import Program, advice, program_of
from python_tsan.render.causes import causes
from python_tsan.render.checks import lane_markdown, replaced_line
from python_tsan.render.circumstances import circumstances
from python_tsan.render.escape import html, markdown, markdown_code
from python_tsan.render.stack import Gap, frame_name, frame_place, trim
from python_tsan.render.table import markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.render.registry import Context
    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Result

# GitHub cuts a job summary off at 1 MiB; a reader stops long before.
MAX_BLOCKS, MAX_ROWS = 30, 500
MAX_FRAMES = 12


def render(result: Result, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the conclusion, a table of the findings, and for each that fails its stacks, folded."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: Result) -> Iterator[str]:
    yield from _head(result)
    yield f"{markdown(wording.tally(result))}."
    for text in filter(None, (*result.verdict.downgrades, wording.unknown_owner(result))):
        yield from ("", f"> {markdown(text)}")
    if facts := [f"- {label}: {markdown_code(words)}" for label, words in circumstances(result)]:
        yield from ("", *facts)
    findings = [finding for cause in causes(result.findings) for finding in cause.findings]
    if findings:
        columns = ("finding", "times", "status", "whose", "functions", "where")
        yield from ("", *markdown_table(columns, map(_row, findings[:MAX_ROWS]), right={1}))
    if len(findings) > MAX_ROWS:
        yield from ("", f"{counted(len(findings) - MAX_ROWS, 'more finding')}: the JSON has every one.")
    program = program_of(result)
    for finding in result.failing[:MAX_BLOCKS]:
        yield from ("", *_block(finding, program))
    if len(result.failing) > MAX_BLOCKS:
        yield from ("", f"{len(result.failing) - MAX_BLOCKS} more are in the other renderings.")
    for fatal in result.fatal:
        place = markdown_code(f"{fatal.source.file}:{fatal.source.first_line}")
        yield from ("", f"**The runtime gave up** ({place}): {markdown(fatal.message)}")


def render_checks(result: Result) -> str:
    """Return the conclusion and the checks alone, for a job summary."""
    machine = result.provenance.machine if result.provenance else None
    kernel = markdown(machine.kernel) if machine else "unknown"
    return "\n".join([*_head(result), f"Run `{result.id}`, kernel {kernel}, {result.seconds:.0f} s."]) + "\n"


def _head(result: Result) -> Iterator[str]:
    yield from (f"### python-tsan: {markdown(wording.conclusion(result))}", "")
    if replaced := replaced_line(result):
        yield from (f"> {markdown(replaced)}", "")
    for record in result.lanes:
        yield from lane_markdown(record, result.of(record.lane))


def _row(finding: DistinctFinding) -> tuple[str, ...]:
    frame = wording.main_frame(finding)
    return (
        markdown(wording.headline(finding)),
        f"{finding.occurrences:,}",
        f"**{finding.status.value}**" if finding.status.fails else finding.status.value,
        finding.attribution.value,
        " and ".join(map(markdown_code, wording.functions(finding))),
        markdown_code(frame_place(frame)) if frame and frame_place(frame) else "",
    )


def _block(finding: DistinctFinding, program: frozenset[Program]) -> Iterator[str]:
    title = f"{html(' '.join(wording.headline(finding).split()))} ({markdown_code(finding.fingerprint)})"
    yield from (f"<details><summary>{title}</summary>", "")
    for panel in wording.panels(finding):
        if not panel.primary:
            continue
        yield from (f"**{markdown(panel.caption)}**", "")
        frames = trim(panel.stack)[:MAX_FRAMES]
        for frame in frames:
            if isinstance(frame, Gap):
                yield f"1. … {counted(frame.count, 'frame')} of libraries"
            else:
                place = frame_place(frame)
                yield f"1. {markdown_code(frame_name(frame))}{f' at {markdown_code(place)}' if place else ''}"
        if not frames:
            yield "The runtime could not restore this stack."
        yield ""
    if finding.python_stack:
        yield from ("**Python, innermost first**", "")
        for python in finding.python_stack.frames[:MAX_FRAMES]:
            yield f"1. {markdown_code(python.function)} at {markdown_code(f'{python.file}:{python.line}')}"
        yield ""
    if sure := wording.evidence(finding):
        yield from (f"{markdown(sure)}.", "")
    yield from (markdown(advice(finding, program)), "", "</details>")
