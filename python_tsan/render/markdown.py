"""Own the Markdown of a report, for job summaries and issues; leave the words to wording."""

from __future__ import annotations

import re
from html import escape as escape_html
from typing import TYPE_CHECKING

from python_tsan.plain_text import counted
from python_tsan.render import wording
from python_tsan.render.circumstances import circumstances
from python_tsan.render.explain import kind_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.report.model import Report, ReportFinding

# GitHub cuts a job summary off at 1 MiB; a reader stops long before.
MAX_BLOCKS = 30
MAX_FRAMES = 12
# What GitHub's Markdown would take for markup, or for HTML, in a name or a message.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&@$])")


def render_markdown(report: Report) -> str:
    """Return the conclusion, a table of the findings, and for each that fails its stacks, folded."""
    lines = [f"### ThreadSanitizer: {escape(wording.conclusion(report))}", "", escape(wording.tally(report)) + "."]
    for downgrade in report.verdict.downgrades:
        lines += ["", f"> {escape(downgrade)}"]
    told = list(circumstances(report))
    lines += ["", *(f"- {label}: {code(words)}" for label, words in told)] if told else []
    if report.findings:
        lines += ["", "| finding | times | status | whose | where |", "| --- | ---: | --- | --- | --- |"]
        lines += [_row(finding) for finding in report.findings]
    for finding in report.failing[:MAX_BLOCKS]:
        lines += ["", *_block(finding)]
    if len(report.failing) > MAX_BLOCKS:
        lines += ["", f"{len(report.failing) - MAX_BLOCKS} more are in the other renderings."]
    for fatal in report.fatal:
        place = code(f"{fatal.source.file}:{fatal.source.first_line}")
        lines += ["", f"**The runtime gave up** ({place}): {escape(fatal.message)}"]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Return ``text`` so that GitHub shows it as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Return ``text`` as code that may stand in a table: as HTML, as Markdown's own cannot hold a bar or backtick."""
    # The backslash and the marks of emphasis are Markdown's even inside an HTML element.
    entities = "".join(
        f"&#{ord(each)};" if each in "|`*_\\[]~@$" else each for each in escape_html(" ".join(text.split()))
    )
    return f"<code>{entities}</code>"


def _row(finding: ReportFinding) -> str:
    frame = wording.main_frame(finding)
    cells = (
        escape(wording.headline(finding)),
        f"{finding.occurrences:,}",
        f"**{finding.status.value}**" if finding.status.fails else finding.status.value,
        finding.attribution.value,
        code(wording.frame_place(frame) or wording.frame_name(frame)) if frame else "",
    )
    return f"| {' | '.join(cells)} |"


def _block(finding: ReportFinding) -> Iterator[str]:
    yield f"<details><summary>{escape_html(wording.headline(finding))} ({code(finding.fingerprint)})</summary>"
    yield ""
    for panel in wording.panels(finding):
        if not panel.telling:
            continue
        yield f"**{escape(panel.caption)}**"
        yield ""
        frames = wording.trim(panel.stack)[:MAX_FRAMES]
        for frame in frames:
            if isinstance(frame, wording.Gap):
                yield f"1. … {counted(frame.count, 'frame')} of libraries"
            else:
                place = wording.frame_place(frame)
                yield f"1. {code(wording.frame_name(frame))}{f' at {code(place)}' if place else ''}"
        if not frames:
            yield "The runtime could not restore this stack."
        yield ""
    if finding.python_stack:
        yield "**Python, innermost first**"
        yield ""
        for python in finding.python_stack.frames[:MAX_FRAMES]:
            yield f"1. {code(python.function)} at {code(f'{python.file}:{python.line}')}"
        yield ""
    yield escape(kind_text(finding.kind).fix)
    yield ""
    yield "</details>"
