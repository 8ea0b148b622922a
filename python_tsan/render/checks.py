"""Own how a run is shown on a terminal: lines of at most 80 columns; leave writing them to the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.checking.model import Status, Verdict
from python_tsan.plain_text import WIDTH, wrapped
from python_tsan.render.summary import conclusion, detection_line, lane_line, replaced_line, seen, tally, wants_reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from python_tsan.render.run import LaneRecord, Run

# Between the columns: expected, k of n, seconds, verdict.
_ROW = "  {check:<{width}}  {expected:<8} {seen:>9} {seconds:>6}  {status}"
_FIXED = len(_ROW.format(check="", width=0, expected="", seen="", seconds="", status="could not judge"))
_HEADINGS = {"expected": "expected", "seen": "as told", "seconds": "s", "status": "verdict"}


def render_run(run: Run, *, saved: Path | None = None) -> list[str]:
    """Return a whole run as lines: each lane, fast first, then the conclusion."""
    lines: list[str] = []
    for record in run.lanes:
        lines += [*render_lane(record, run.of(record.lane)), ""]
    return lines + render_conclusion(run, saved=saved)


def render_conclusion(run: Run, *, saved: Path | None = None) -> list[str]:
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
    width = WIDTH - _FIXED
    lines = [_ROW.format(check="check", width=width, **_HEADINGS)]
    for verdict in verdicts:
        fits = len(verdict.check) <= width
        lines += [] if fits else _wrapped(verdict.check, indent="  ")
        lines.append(
            _ROW.format(
                check=verdict.check if fits else "",
                width=width,
                expected=verdict.expectation.outcome.value,
                seen=seen(verdict),
                seconds=f"{verdict.seconds:.1f}",
                status=_word(verdict.status),
            ).rstrip()
        )
    return lines


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
