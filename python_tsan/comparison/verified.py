"""Turn a run of checks into a column: what each check showed, expected or not. No I/O."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from python_tsan.comparison.model import Cell, Column, ColumnVerdict, Configuration, Row, RowKind, Seen
from python_tsan.errors import ExitCode
from python_tsan.expectation import Lane, Outcome
from python_tsan.render.wording import conclusion
from python_tsan.result.model import Status
from python_tsan.tsan.finding import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from python_tsan.result.model import LaneRecord, Observation, Result, Verdict

RACES = frozenset({Kind.RACE, Kind.VPTR_RACE, Kind.USE_AFTER_FREE, Kind.VPTR_USE_AFTER_FREE, Kind.EXTERNAL_RACE})
LOCK_ORDERS = frozenset({Kind.DEADLOCK, Kind.POSSIBLE_DEADLOCK})


def verdict_of(run: Result) -> ColumnVerdict:
    """Return the verdict of a whole run, of checks or of a program."""
    words = {ExitCode.CLEAN: ColumnVerdict.CLEAN, ExitCode.FINDINGS: ColumnVerdict.NOT_CLEAN}
    return words.get(run.exit_code, ColumnVerdict.COULD_NOT_JUDGE)


def lane_of(run: Result, requested: Lane | None) -> Lane | None:
    """Return the lane of a run to compare: the ``requested`` one, else the full, else the fast one, None for none."""
    for lane in (requested,) if requested else (Lane.FULL, Lane.FAST):
        if run.of(lane):
            return lane
    return None


def column_of_run(run: Result, file: str, lane: Lane) -> Column:
    """Return one lane of a run as a column."""
    kinds = {finding.fingerprint: finding.kind for finding in run.findings}
    record = next((each for each in run.lanes if each.lane is lane), None)
    return Column(
        run=run.id,
        file=file,
        configuration=_configuration(record, lane),
        verdict=verdict_of(run),
        conclusion=conclusion(run),
        cells={verdict.check: cell_of(verdict, kinds) for verdict in run.of(lane)},
    )


def rows_of_run(run: Result, lane: Lane) -> Iterator[Row]:
    """Yield the checks of a run in their order."""
    for verdict in run.of(lane):
        yield Row(id=verdict.check, title=verdict.check, kind=RowKind.CHECK)


def cell_of(verdict: Verdict, kinds: Mapping[str, Kind]) -> Cell:
    """Return what the runs of a check showed; ``kinds`` are those of the findings, by fingerprint."""
    if verdict.status is Status.SKIPPED:
        return Cell(seen=Seen.SKIPPED, detail=verdict.reason)
    shown = Counter(seen_in(observation, kinds) for observation in verdict.observations)
    seen = weightiest(shown) if verdict.observations else Seen.DOUBT
    if verdict.status is Status.COULD_NOT_JUDGE:
        seen = Seen.DOUBT
    elif verdict.status is Status.FAILED and seen is Seen.CLEAN and verdict.expectation.outcome is Outcome.CLEAN:
        seen = Seen.OTHER  # nothing was found and it ended well: a value is wrong
    return Cell(
        seen=seen,
        as_expected=verdict.status is Status.PASSED,
        met=shown[seen] or verdict.runs,
        runs=verdict.runs,
        detail=verdict.reason,
    )


def weightiest(shown: Iterable[Seen]) -> Seen:
    """Return the one of ``shown`` that must not be missed; CLEAN of none."""
    there = set(shown)
    return next((seen for seen in Seen if seen in there), Seen.CLEAN)


def seen_in(observation: Observation, kinds: Mapping[str, Kind]) -> Seen:
    """Return what one run of a subject showed."""
    if observation.problem or observation.fatal:
        return Seen.DOUBT
    if observation.crashes or (observation.exit_code < 0 and not observation.timed_out):
        return Seen.CRASH
    if observation.timed_out:
        return Seen.HANG
    if observation.found:
        return seen_of_kinds(kinds.get(each, Kind.RACE) for each in observation.seen)
    if observation.report.get("error"):
        return Seen.ERROR
    return Seen.OTHER if observation.own_exit_code else Seen.CLEAN


def seen_of_kinds(kinds: Iterable[Kind]) -> Seen:
    """Return what findings of these kinds are in a table: of several, the weightiest."""
    return weightiest(
        Seen.RACE if kind in RACES else Seen.LOCK_ORDER if kind in LOCK_ORDERS else Seen.FINDING for kind in kinds
    )


def _configuration(record: LaneRecord | None, lane: Lane) -> Configuration:
    if record is None or record.interpreter is None:
        return Configuration(lane=lane.value)
    interpreter = record.interpreter
    return Configuration(
        python=interpreter.version,
        threading="free-threaded" if interpreter.free_threaded else "GIL",
        compiler=record.toolchain,
        binding=", ".join(f"{name} {version}" for name, version in sorted(record.bindings.items())),
        build="debug" if interpreter.debug else "release",
        lane=lane.value,
        numpy=record.numpy,
    )
