"""Render the checks of a run for a terminal: each lane with its table and its reasons, at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.plain_text import WIDTH, wrapped
from python_tsan.render.summary import conclusion, detection_line, lane_line, replaced_line, seen, tally, wants_reading
from python_tsan.render.table import text_table
from python_tsan.result.model import Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from python_tsan.result.model import LaneRecord, Result


def render_run(run: Result, *, saved: Path | None = None) -> list[str]:
    """Return a whole run as lines: each lane, fast first, then the conclusion."""
    lines: list[str] = []
    for record in run.lanes:
        lines += [*render_lane(record, run.of(record.lane)), ""]
    return lines + render_conclusion(run, saved=saved)


def render_conclusion(run: Result, *, saved: Path | None = None) -> list[str]:
    """Return what a run comes to as lines, with the place of its ``run.json``."""
    lines = [*_wrapped(replaced_line(run)), *_wrapped(conclusion(run))]
    # A path is never broken: it is there to be copied.
    return [*lines, f"evidence: {saved}"] if saved else lines


def render_lane(record: LaneRecord, verdicts: tuple[Verdict, ...]) -> list[str]:
    """Return one lane as lines: what it ran on and cannot see, its table, and the reasons for what went wrong."""
    lines = _wrapped(lane_line(record))
    if record.blind_spot:
        lines += _wrapped(f"cannot see: {record.blind_spot}", indent="  ")
    if not verdicts:
        return lines
    lines += ["", *table(verdicts), "", f"  {tally(verdicts)} in {record.seconds:.0f} s"]
    detection = detection_line(verdicts)
    lines += _wrapped(detection, indent="  ") if detection else []
    return [*lines, *_reasons(verdicts)]


def table(verdicts: tuple[Verdict, ...]) -> list[str]:
    """Return one row for each verdict under a heading, none wider than :data:`WIDTH`; long names take two lines."""
    rows = [
        (
            _word(verdict.status),
            verdict.expectation.outcome.value,
            seen(verdict),
            f"{verdict.seconds:.1f}",
            verdict.check,
        )
        for verdict in verdicts
    ]
    lines = text_table(("verdict", "expected", "matched", "s", "check"), rows, right={2, 3}, width=WIDTH - 2)
    return [f"  {line}" for row in lines for line in row]


def _word(status: Status) -> str:
    # What needs a person's eye stands out without colour too.
    word: str = status.value
    return word if status in (Status.PASSED, Status.SKIPPED) else word.upper()


def _reasons(verdicts: tuple[Verdict, ...]) -> Iterator[str]:
    skipped: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.status is Status.SKIPPED:
            skipped.setdefault(verdict.reason, []).append(verdict.check)
    for reason, checks in skipped.items():
        yield ""
        yield from _wrapped(f"skipped, {reason}: {', '.join(checks)}", indent="  ")
    for verdict in verdicts:
        if verdict.status is Status.SKIPPED or not wants_reading(verdict):
            continue
        yield ""
        yield from _wrapped(f"{verdict.check}: {_word(verdict.status)}", indent="  ")
        yield from _wrapped(verdict.reason, indent="    ")
        if verdict.observations:
            yield f"    {verdict.observations[0].folder}"


def _wrapped(text: str, *, indent: str = "") -> list[str]:
    return wrapped(text, head=indent, indent=indent + "  ")
