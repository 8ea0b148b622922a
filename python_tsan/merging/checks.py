"""Own how runs of the same checks become one run: k of n added up, check by check. Pure, no I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import fsum
from typing import TYPE_CHECKING

from python_tsan import __version__
from python_tsan.checking.model import Status
from python_tsan.checking.set_aside import set_aside
from python_tsan.errors import UsageError
from python_tsan.expectation import Outcome
from python_tsan.rate import describe_rate
from python_tsan.render.run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.checking.model import Observation, Verdict
    from python_tsan.expectation import Lane
    from python_tsan.merging.parts import CheckedPart

# A doubt outweighs a failure, as within one run; a check that one machine could run was run.
_WEIGHT = (Status.COULD_NOT_JUDGE, Status.FAILED, Status.PASSED, Status.SKIPPED)


def add_up(parts: Sequence[CheckedPart]) -> Run:
    """Return what the parts come to together.

    Raises :class:`UsageError` when they expect different things of one check.
    """
    runs = [part.run for part in parts]
    together: dict[tuple[Lane, str], list[Verdict]] = {}
    for run in runs:
        for verdict in run.verdicts:
            together.setdefault((verdict.lane, verdict.check), []).append(verdict)
    first = runs[0]
    cut = [f"{run.id} is unfinished: {run.unfinished}" for run in runs if run.unfinished]
    return Run(
        id="+".join(run.id for run in runs),
        provenance=replace(
            first.provenance,
            package=__version__,
            started_at=min(run.provenance.started_at for run in runs),
            seeds={},
            notes=(
                f"{len(runs)} runs added up: {', '.join(run.id for run in runs)}",
                *dict.fromkeys(note for run in runs for note in run.provenance.notes),
            ),
        ),
        lanes=tuple(replace(record, seconds=_seconds(runs, record.lane)) for record in first.lanes),
        verdicts=tuple(_merged(each) for each in together.values()),
        seconds=fsum(run.seconds for run in runs),
        unfinished="; ".join(cut),
    )


def _seconds(runs: Sequence[Run], lane: Lane) -> float:
    return fsum(record.seconds for run in runs for record in run.lanes if record.lane is lane)


def _merged(same: Sequence[Verdict]) -> Verdict:
    first = same[0]
    other = next((each for each in same if each.expectation != first.expectation), None)
    if other is not None:
        raise UsageError(
            f"the runs expect different things of {first.check}: {first.expectation.outcome.value} and "
            f"{other.expectation.outcome.value}, or other details of it",
            advice="add up runs of one version of python-tsan",
            page="merge",
        )
    status = min((each.status for each in same), key=_WEIGHT.index)
    met, runs = sum(each.met for each in same), sum(each.runs for each in same)
    observations = tuple(observation for each in same for observation in each.observations)
    return replace(
        first,
        status=status,
        met=met,
        runs=runs,
        reason=_passed(first, met, runs, observations) if status is Status.PASSED else _reason(same, status),
        seconds=fsum(each.seconds for each in same),
        observations=observations,
    )


def _passed(verdict: Verdict, met: int, runs: int, observations: Sequence[Observation]) -> str:
    found = [f"found in {describe_rate(met, runs)}"] if verdict.expectation.outcome is Outcome.RACE else []
    return "; ".join((*found, *set_aside(observations)))


def _reason(same: Sequence[Verdict], status: Status) -> str:
    told = Counter(each.reason for each in same if each.status is status)
    if len(same) == 1:
        return same[0].reason
    return "; ".join(f"{reason} (in {times} of {len(same)} runs)" for reason, times in told.items())
