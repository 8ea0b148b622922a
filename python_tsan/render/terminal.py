"""Own how a report is shown on a terminal: styled lines of at most 80 columns; leave printing them to the console."""

from __future__ import annotations

import re
import textwrap
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from python_tsan.plain_text import WIDTH, counted, wrapped
from python_tsan.render import wording
from python_tsan.render.circumstances import circumstances
from python_tsan.render.explain import kind_text
from python_tsan.report.model import FindingStatus, VerdictStatus
from python_tsan.tsan.finding import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.report.model import Report, ReportFinding
    from python_tsan.tsan.finding import Frame, Stack

# What a reader takes in at a glance; the whole stack is in every other rendering, and under --verbose.
MAX_FRAMES = 8
MAX_SAMPLES = 3
MAX_PLACES = 3
# Kinds whose only stacks are those of a thread's or a mutex's creation.
_TOLD_BY_ORIGIN = frozenset(
    {Kind.THREAD_LEAK, Kind.MUTEX_DESTROY_LOCKED, Kind.MUTEX_DOUBLE_LOCK, Kind.MUTEX_INVALID_ACCESS}
)


# A log may hold anything; a terminal would obey some of it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Style(Enum):
    """How a line looks, in the console's words."""

    PLAIN = ""
    TITLE = "bold"
    BAD = "bold red"
    GOOD = "green"
    FAINT = "dim"


class Line(NamedTuple):
    """One line without its line feed."""

    text: str
    style: Style = Style.PLAIN


def plain_lines(report: Report, *, verbose: bool = False) -> list[str]:
    """Return the whole report as bare lines."""
    return [line.text for line in render_terminal(report, verbose=verbose)]


def render_terminal(report: Report, *, verbose: bool = False, quiet: bool = False) -> Iterator[Line]:
    """Yield the report: a table, a block for each finding that fails, what was odd, and the conclusion.

    ``verbose`` also shows the findings that do not fail, and whole stacks; ``quiet`` only the table and the conclusion.
    """
    return _printable(_lines(report, verbose=verbose, quiet=quiet))


def render_finding(finding: ReportFinding) -> Iterator[Line]:
    """Yield one finding with everything that is known of it."""
    return _printable(_block(finding, verbose=True, advise=False))


def _printable(lines: Iterable[Line]) -> Iterator[Line]:
    for line in lines:
        yield Line(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line.text), line.style)


def _lines(report: Report, *, verbose: bool, quiet: bool) -> Iterator[Line]:
    if report.findings:
        yield from _table(report)
        yield Line("")
    if not quiet:
        told: set[Kind] = set()
        for finding in report.findings:
            if finding.status.fails or verbose:
                yield from _block(finding, verbose=verbose, advise=finding.kind not in told)
                yield Line("")
                told.add(finding.kind)
        yield from _oddities(report, verbose=verbose)
    yield from _conclusion(report)


def _table(report: Report) -> Iterator[Line]:
    rows = [
        (each.fingerprint, f"{each.occurrences:,}", each.status.value, each.attribution.value)
        for each in report.findings
    ]
    headings = ("finding", "times", "status", "whose")
    widths = [max(len(row[index]) for row in (headings, *rows)) for index in range(len(headings))]
    yield Line(_row(headings, widths, "what"), Style.TITLE)
    room = WIDTH - sum(widths) - 2 * len(widths)
    for finding, row in zip(report.findings, rows, strict=True):
        first, *others = [
            line for words in (finding.title, _where(finding)) for line in _fill(words, room) if line
        ] or [""]
        if others and len(first) + len(others[0]) + 2 <= room:
            first = f"{first}, {others.pop(0)}"
        yield Line(_row(row, widths, first), Style.BAD if finding.status.fails else Style.PLAIN)
        for line in others:
            yield Line(" " * (WIDTH - room) + line)


def _row(cells: tuple[str, ...], widths: list[int], last: str) -> str:
    name, times, *others = (
        cell.rjust(width) if index == 1 else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((name, times, *others, last)).rstrip()


def _where(finding: ReportFinding) -> str:
    frame = wording.main_frame(finding)
    if frame is None:
        return ""
    return f"{wording.base(frame.file)}:{frame.line}" if frame.file else wording.short_name(frame)


def _block(finding: ReportFinding, *, verbose: bool, advise: bool) -> Iterator[Line]:
    yield from _styled(wording.headline(finding), Style.BAD if finding.status.fails else Style.TITLE)
    whose = f"{finding.fingerprint}, {finding.attribution.value}, {counted(finding.occurrences, 'time')}"
    yield from _styled(whose + _standing(finding), Style.FAINT, indent="  ")
    for panel in wording.panels(finding):
        if panel.telling or verbose or finding.kind in _TOLD_BY_ORIGIN:
            yield from _styled(panel.caption, Style.TITLE, indent="  ")
            yield from _stack(panel.stack, verbose=verbose)
    if finding.location and finding.location.stack and not verbose:
        yield from _made_at(finding)
    if finding.python_stack:
        yield Line("  Python, innermost first", Style.TITLE)
        for python in finding.python_stack.frames[: None if verbose else MAX_FRAMES]:
            yield from _styled(f"{python.function} {python.file}:{python.line}", Style.PLAIN, indent="    ")
    if advise:
        yield from _styled(f"what cures it: {kind_text(finding.kind).fix}", Style.PLAIN, indent="  ")
    places = ", ".join(f"{place.file}:{place.line}" for place in finding.sources[:MAX_PLACES])
    more = len(finding.sources) - MAX_PLACES
    yield from _styled(f"log: {places}{f' and {more:,} more' if more > 0 else ''}", Style.FAINT, indent="  ")


def _standing(finding: ReportFinding) -> str:
    parts = [finding.status.value] if finding.status is not FindingStatus.NEW else []
    parts += [part for part in (finding.reason, finding.link) if part]
    if finding.expires:
        parts.append(f"until {finding.expires}")
    if finding.truncated:
        parts.append("the block is cut off")
    return "".join(f", {part}" for part in parts)


def _stack(stack: Stack | None, *, verbose: bool) -> Iterator[Line]:
    if stack is None or not stack.frames:
        yield Line("    the runtime could not restore the stack (history_size=7 may help)", Style.FAINT)
        return
    frames = list(stack.frames) if verbose else wording.trim(stack)[:MAX_FRAMES]
    for frame in frames:
        if isinstance(frame, wording.Gap):
            yield Line(f"    … {counted(frame.count, 'frame')} of libraries", Style.FAINT)
        else:
            yield from _frame(frame)


def _frame(frame: Frame) -> Iterator[Line]:
    name, place = wording.frame_name(frame), wording.frame_place(frame)
    if len(name) + len(place) + 6 <= WIDTH:
        yield Line(f"    {name}  {place}".rstrip())
        return
    # A path is never broken: it is there to be copied.
    yield from _styled(name, Style.PLAIN, indent="    ")
    yield Line(f"        {place}")


def _made_at(finding: ReportFinding) -> Iterator[Line]:
    panel = next(
        panel for panel in wording.panels(finding) if finding.location and panel.stack is finding.location.stack
    )
    yield from _styled(panel.caption, Style.TITLE, indent="  ")
    yield from _stack(panel.stack, verbose=False)


def _oddities(report: Report, *, verbose: bool) -> Iterator[Line]:
    for fatal in report.fatal:
        yield from _styled(f"{fatal.source.file}:{fatal.source.first_line}: {fatal.message}", Style.BAD)
        if fatal.stack:
            yield from _stack(fatal.stack, verbose=verbose)
        yield Line("")
    if report.unparsed.count:
        yield from _styled(f"{counted(report.unparsed.count, 'line')} not understood, such as", Style.TITLE)
        for sample in report.unparsed.samples[: None if verbose else MAX_SAMPLES]:
            yield Line("  " + textwrap.shorten(sample, WIDTH - 2, placeholder=" …"), Style.FAINT)
        yield Line("")


def _conclusion(report: Report) -> Iterator[Line]:
    for label, words in circumstances(report):
        yield from _styled(f"{label}: {words}", Style.PLAIN)
    yield from _styled(wording.tally(report), Style.PLAIN)
    for downgrade in report.verdict.downgrades:
        yield from _styled(f"take care: {downgrade}", Style.TITLE)
    good = report.verdict.status is VerdictStatus.CLEAN
    yield from _styled(wording.conclusion(report), Style.GOOD if good else Style.BAD)


def _styled(text: str, style: Style, *, indent: str = "") -> Iterator[Line]:
    for line in _fill(text, WIDTH, indent=indent):
        yield Line(line, style)


def _fill(text: str, width: int, *, indent: str = "") -> list[str]:
    return wrapped(text, head=indent, indent=indent + "  " if indent else "", width=width) or [""]
