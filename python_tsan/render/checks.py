"""Describe the checks of a result: for each lane its sentences and its table, on a terminal and as Markdown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from python_tsan.expectation import Outcome
from python_tsan.plain_text import WIDTH, text_table
from python_tsan.rate import describe_rate
from python_tsan.render.escape import markdown
from python_tsan.render.lines import Line, Style, styled
from python_tsan.render.table import markdown_table
from python_tsan.result.model import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.result.model import LaneRecord, Result


def replaced_line(result: Result) -> str:
    """Say which CPython was used in place of the requested one; empty when it is that one."""
    requested = result.provenance.replaces if result.provenance else ""
    interpreters = (record.interpreter for record in result.lanes)
    built = next((each for each in interpreters if each and each.source), None)
    return f"CPython {requested} is unavailable; using {built.version}" if requested and built else ""


def lane_line(record: LaneRecord) -> str:
    """Say what a lane ran on, or why it did not run."""
    name = f"{record.lane.value} lane"
    if record.skipped:
        return f"{name}: skipped, {record.skipped}"
    if record.interpreter is None:
        return f"{name}: did not run"
    interpreter = record.interpreter
    kind = "CPython under ThreadSanitizer" if interpreter.instrumented else "stock CPython"
    threading = ", free-threaded" if interpreter.free_threaded else ""
    bindings = "".join(f", {library} {version}" for library, version in sorted(record.bindings.items()))
    return f"{name}: {kind} {interpreter.version}{threading}, {record.toolchain}{bindings}"


def tally(verdicts: Sequence[Verdict]) -> str:
    """Count verdicts by status: ``30 passed, 1 failed``."""
    counts = Counter(verdict.status for verdict in verdicts)
    return ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status]) or "no checks"


def detection_line(verdicts: Sequence[Verdict]) -> str:
    """Say how often the expected races were found, with a bound; empty when none was expected.

    Several checks may look at the same runs of a subject; those are counted once.
    """
    races = {
        observation.folder: verdict
        for verdict in verdicts
        if verdict.expectation.outcome is Outcome.RACE
        for observation in verdict.observations
    }
    checks = {id(verdict): verdict for verdict in races.values()}.values()
    runs = sum(verdict.runs for verdict in checks)
    if not runs:
        return ""
    return f"runs that showed the expected race: {describe_rate(sum(verdict.met for verdict in checks), runs)}"


def matched(verdict: Verdict) -> str:
    """Return ``k of n`` runs as expected, or a dash where nothing was run."""
    return f"{verdict.met} of {verdict.runs}" if verdict.runs else "-"


def needs_reading(verdict: Verdict) -> bool:
    """Return whether a verdict's reason is shown: it failed, was not reached, or something was set aside."""
    return verdict.status is not Status.PASSED or any(one.known for one in verdict.observations)


def lane_lines(record: LaneRecord, verdicts: Sequence[Verdict]) -> Iterator[Line]:
    """Yield one lane: what it ran on and cannot see, its table, and the reasons for what failed."""
    yield from styled(lane_line(record), Style.TITLE)
    yield from styled(f"cannot see: {record.blind_spot}" if record.blind_spot else "", indent="  ")
    if not verdicts:
        return
    yield from _table(verdicts)
    yield Line("")
    yield Line(f"  {tally(verdicts)} in {record.seconds:.0f} s")
    yield from styled(detection_line(verdicts), indent="  ")
    yield from _reasons(verdicts)


def _table(verdicts: Sequence[Verdict]) -> Iterator[Line]:
    columns = ("verdict", "expected", "matched", "s", "check")
    heading, *lines_of = text_table(columns, [row(verdict) for verdict in verdicts], right={2, 3}, width=WIDTH - 2)
    yield from (Line(f"  {line}", Style.TITLE) for line in heading)
    for verdict, lines in zip(verdicts, lines_of, strict=True):
        good = verdict.status in {Status.PASSED, Status.SKIPPED}
        yield from (Line(f"  {line}", Style.PLAIN if good else Style.BAD) for line in lines)


def row(verdict: Verdict) -> tuple[str, ...]:
    """Return the cells of a verdict: verdict, expected outcome, ``k of n``, seconds, check."""
    outcome = verdict.expectation.outcome.value
    return (_word(verdict.status), outcome, matched(verdict), f"{verdict.seconds:.1f}", verdict.check)


def _word(status: Status) -> str:
    # What a person must read is visible without colour too.
    word: str = status.value
    return word if status in {Status.PASSED, Status.SKIPPED} else word.upper()


def _reasons(verdicts: Sequence[Verdict]) -> Iterator[Line]:
    skipped: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.status is Status.SKIPPED:
            skipped.setdefault(verdict.reason, []).append(verdict.check)
    for reason, checks in skipped.items():
        yield Line("")
        yield from styled(f"skipped, {reason}: {', '.join(checks)}", indent="  ")
    for verdict in verdicts:
        if verdict.status is Status.SKIPPED or not needs_reading(verdict):
            continue
        yield Line("")
        yield from styled(f"{verdict.check}: {_word(verdict.status)}", indent="  ")
        yield from styled(verdict.reason, indent="    ")
        if verdict.observations:
            yield Line(f"    {verdict.observations[0].folder}")


def lane_markdown(record: LaneRecord, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield one lane as lines of Markdown, with an empty line after it."""
    yield from (f"**{markdown(lane_line(record))}**", "")
    if record.blind_spot:
        yield from (f"Cannot see: {markdown(record.blind_spot)}.", "")
    if not verdicts:
        return
    columns = ("check", "expected", "matched", "s", "verdict")
    yield from markdown_table(columns, map(_markdown_row, verdicts), right={2, 3})
    yield from ("", ". ".join(filter(None, (tally(verdicts), markdown(detection_line(verdicts))))) + ".", "")
    reasons = [f"- **{markdown(one.check)}**: {markdown(one.reason)}" for one in verdicts if needs_reading(one)]
    yield from (*reasons, "") if reasons else ()


def _markdown_row(verdict: Verdict) -> tuple[str, ...]:
    status, *cells, check = row(verdict)
    bold = verdict.status is not Status.PASSED
    return (markdown(check), *cells, f"**{verdict.status.value}**" if bold else status)
