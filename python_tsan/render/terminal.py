"""Render a result for a terminal: styled lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from python_tsan.plain_text import WIDTH, counted, text_table
from python_tsan.render import wording
from python_tsan.render.advice import Program, advice, program_of
from python_tsan.render.causes import causes, fold
from python_tsan.render.checks import lane_lines, replaced_line
from python_tsan.render.circumstances import circumstances
from python_tsan.render.lines import Line, Style, as_text, styled
from python_tsan.render.stack import Gap, first_frame, frame_name, frame_place, short_name, trim
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import VerdictStatus
from python_tsan.tsan.fingerprint import base_name
from python_tsan.tsan.frames import is_interceptor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.render.causes import Cause
    from python_tsan.render.registry import Context
    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Result
    from python_tsan.tsan.finding import Frame, Stack

# What a reader takes in at a glance; the whole stack is in every other rendering, and under --verbose.
MAX_FRAMES, MAX_FRAMES_OF_ORIGIN = 8, 4
MAX_SAMPLES = 3
MAX_PLACES = 3
# What says more about the run than about its findings.
_LONG_CIRCUMSTANCES = {"command", "environment", "loaded"}
# Findings of one cause that are shown in full; the table has all.
MAX_BLOCKS_OF_CAUSE = 3


def render(result: Result, context: Context) -> str:
    """Return the whole result as text without colour."""
    return as_text(render_lines(result, verbose=context.verbose, quiet=context.quiet))


def render_lines(result: Result, *, verbose: bool = False, quiet: bool = False) -> Iterator[Line]:
    """Yield the result: its checks, a table of findings, a block for each that fails, and the conclusion.

    ``verbose`` also shows the findings that do not fail, and whole stacks; ``quiet`` only tables and the conclusion.
    """
    yield from _lanes(result)
    shown, folded = (result.findings, Counter()) if verbose else fold(result.findings)
    groups = causes(shown)
    if groups:
        yield from _table(groups)
    for (library, status), count in folded.items():
        yield from styled(f"{counted(count, 'finding')} in {library}: {status} (--verbose shows each)")
    if result.findings:
        yield Line("")
    if not quiet:
        yield from _blocks(groups, program_of(result), verbose=verbose)
        yield from _oddities(result, verbose=verbose)
    yield from _facts(result)
    yield from conclusion_lines(result)


def render_checks(result: Result) -> Iterator[Line]:
    """Yield the checks and the conclusion alone."""
    yield from _lanes(result)
    yield from conclusion_lines(result)


def conclusion_lines(result: Result) -> Iterator[Line]:
    """Yield what a result comes to."""
    yield from styled(replaced_line(result))
    good = result.verdict.status is VerdictStatus.CLEAN
    yield from styled(wording.conclusion(result), Style.GOOD if good else Style.BAD)


def render_failure(result: Result) -> Iterator[Line]:
    """Yield what a test that fails shows: its findings and how it ended. The files of the run have the rest."""
    groups = causes(result.findings)
    if len(result.findings) > 1:
        yield from _table(groups)
        yield Line("")
    yield from _blocks(groups, program_of(result), verbose=False)
    yield from _oddities(result, verbose=False)
    for label, words in circumstances(result):
        if label not in _LONG_CIRCUMSTANCES:
            yield from styled(f"{label}: {words}")


def render_finding(finding: DistinctFinding) -> Iterator[Line]:
    """Yield one finding with everything that is known of it."""
    return _block(finding, "", verbose=True)


def _lanes(result: Result) -> Iterator[Line]:
    for record in result.lanes:
        yield from lane_lines(record, result.of(record.lane))
        yield Line("")


def _table(groups: list[Cause]) -> Iterator[Line]:
    findings = [finding for group in groups for finding in group.findings]
    cells = [
        (each.fingerprint, f"{each.occurrences:,}", each.status.value, each.attribution.value) for each in findings
    ]
    heading, *starts = [line for (line,) in text_table(("finding", "times", "status", "whose"), cells, right={1})]
    left = max(map(len, (heading, *starts))) + 2
    yield Line(f"{heading:{left}}what", Style.TITLE)
    start_of = iter(starts)
    for group in groups:
        if group.title:
            yield from styled(f"{counted(len(group.findings), 'finding')}: {group.title}", Style.TITLE)
        for finding in group.findings:
            start, what = next(start_of), wording.subject_words(finding)
            fits = left + len(what) <= WIDTH
            yield Line(f"{start:{left}}{what}" if fits else start, Style.BAD if finding.status.fails else Style.PLAIN)
            details = wording.place_words(finding) if fits else f"{what}, {wording.place_words(finding)}"
            yield from styled(details.removesuffix(", "), indent="    ")


def _blocks(groups: list[Cause], program: frozenset[Program], *, verbose: bool) -> Iterator[Line]:
    advised: set[str] = set()
    for group in groups:
        shown = [finding for finding in group.findings if finding.status.fails or verbose]
        most = len(shown) if verbose else MAX_BLOCKS_OF_CAUSE
        for finding in shown[:most]:
            text = advice(finding, program)
            yield from _block(finding, "" if text in advised else text, verbose=verbose)
            advised.add(text)
            yield Line("")
        if len(shown) > most:
            yield from styled(f"{len(shown) - most:,} more: {group.title} (--verbose shows each)", Style.TITLE)
            yield Line("")


def _block(finding: DistinctFinding, fix: str, *, verbose: bool) -> Iterator[Line]:
    yield from styled(wording.headline(finding), Style.BAD if finding.status.fails else Style.TITLE)
    whose = f"{finding.fingerprint}, {finding.attribution.value}, {counted(finding.occurrences, 'time')}"
    yield from styled(whose + _state(finding), Style.FAINT, indent="  ")
    for panel in wording.panels(finding):
        if verbose or panel.brief:
            yield from styled(panel.caption, Style.TITLE, indent="  ")
            yield from _stack(panel.stack, verbose=verbose, most=MAX_FRAMES if panel.primary else MAX_FRAMES_OF_ORIGIN)
        elif panel.stack:
            yield from styled(f"{panel.caption}{_short_place(panel.stack)}", Style.FAINT, indent="  ")
    if finding.python_stack:
        yield Line("  Python, innermost first", Style.TITLE)
        for python in finding.python_stack.frames[: None if verbose else MAX_FRAMES]:
            yield from styled(f"{python.function} {python.file}:{python.line}", indent="    ")
    yield from styled(wording.evidence(finding), indent="  ")
    yield from styled(f"how to fix it: {fix}" if fix else "", indent="  ")
    places = ", ".join(f"{place.file}:{place.line}" for place in finding.sources[:MAX_PLACES])
    more = len(finding.sources) - MAX_PLACES
    yield from styled(f"log: {places}{f' and {more:,} more' if more > 0 else ''}", Style.FAINT, indent="  ")


def _short_place(stack: Stack) -> str:
    frame = first_frame(stack)
    if frame is None or is_interceptor(frame):
        return ""
    return f" in {short_name(frame)}{f' {base_name(frame.file)}:{frame.line}' if frame.file else ''}"


def _state(finding: DistinctFinding) -> str:
    parts = [finding.status.value] if finding.status is not FindingStatus.NEW else []
    parts += [part for part in (finding.reason, finding.link) if part]
    if finding.expires:
        parts.append(f"until {finding.expires}")
    if finding.truncated:
        parts.append("the block is cut off")
    return "".join(f", {part}" for part in parts)


def _stack(stack: Stack | None, *, verbose: bool, most: int = MAX_FRAMES) -> Iterator[Line]:
    if stack is None or not stack.frames:
        yield Line("    the runtime could not restore the stack (history_size=7 may help)", Style.FAINT)
        return
    frames = list(stack.frames) if verbose else trim(stack)[:most]
    for frame in frames:
        if isinstance(frame, Gap):
            yield Line(f"    … {counted(frame.count, 'frame')} of libraries", Style.FAINT)
        else:
            yield from _frame(frame, verbose=verbose)


def _frame(frame: Frame, *, verbose: bool) -> Iterator[Line]:
    name, place = frame_name(frame), frame_place(frame)
    if len(name) > WIDTH - 4 and not verbose:
        name = short_name(frame)
    if len(name) + len(place) + 6 <= WIDTH:
        yield Line(f"    {name}  {place}".rstrip())
        return
    # A path is never broken: it is there to be copied.
    yield from styled(name, indent="    ")
    yield Line(f"        {place}")


def _oddities(result: Result, *, verbose: bool) -> Iterator[Line]:
    for fatal in result.fatal:
        yield from styled(f"{fatal.source.file}:{fatal.source.first_line}: {fatal.message}", Style.BAD)
        if fatal.stack:
            yield from _stack(fatal.stack, verbose=verbose)
        yield Line("")
    if result.unparsed.count:
        yield from styled(f"{counted(result.unparsed.count, 'line')} not understood, such as", Style.TITLE)
        for sample in result.unparsed.samples[: None if verbose else MAX_SAMPLES]:
            yield Line("  " + textwrap.shorten(sample, WIDTH - 2, placeholder=" …"), Style.FAINT)
        yield Line("")


def _facts(result: Result) -> Iterator[Line]:
    for label, words in circumstances(result):
        yield from styled(f"{label}: {words}")
    yield from styled(wording.unknown_owner(result), Style.TITLE)
    if result.findings or not result.lanes:
        yield from styled(wording.tally(result))
    for downgrade in result.verdict.downgrades:
        yield from styled(f"warning: {downgrade}", Style.TITLE)
