"""Judge a program: its findings may come any number of times, and some are known. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping  # noqa: TC003 -- annotations stay readable at run time
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from python_tsan.expectation import Expectation, Outcome
from python_tsan.plain_text import counted
from python_tsan.rate import wilson_bounds
from python_tsan.result.judge.process import NO_RUN, doubt_about, failure_of, in_runs
from python_tsan.result.model import Observation, Rate, Status, SuppressionUse, Verdict, VerdictStatus
from python_tsan.tsan.finding import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Conclusion


class Evidence(Struct, frozen=True, kw_only=True):
    """All that a program's verdict rests on.

    ``failing`` are the fingerprints of findings that make it red, ``expected`` has those of each finding that must be
    there, in every run or in ``once`` one, ``missing`` describes expected findings that never came. ``aside`` names,
    by fingerprint, the blind spot for which a finding is set aside. ``complaints`` are the baseline's, ``doubts``
    concern the whole run.
    """

    observations: tuple[Observation, ...]
    expectation: Expectation
    failing: frozenset[str] = frozenset()
    aside: Mapping[str, str] = field(default_factory=dict)
    expected: tuple[frozenset[str], ...] = ()
    once: bool = False
    missing: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    downgrades: tuple[str, ...] = ()
    suppressions: tuple[SuppressionUse, ...] = ()


def judge_program(evidence: Evidence) -> Verdict:
    """Judge all runs of a program together.

    A finding that fails is a finding even if more went wrong; then a doubt outweighs a program that failed, because
    its failure may come from the same cause. Nothing that leaves a doubt is called clean.
    """
    observations = evidence.observations
    doubts = [*evidence.doubts, *in_runs(doubt_about(each) for each in observations)]
    failures = list(_failures(evidence))
    unused = [each for each in evidence.suppressions if not each.matched and not each.shipped]
    downgrades = (
        *evidence.downgrades,
        *(f"The suppression {each.entry} ({each.file}:{each.line}) matched nothing." for each in unused),
    )
    if evidence.failing:
        status, reasons = Status.FAILED, [counted(len(evidence.failing), "finding"), *failures]
        downgrades = (*downgrades, *doubts)
    elif doubts or not observations:
        status, reasons = Status.COULD_NOT_JUDGE, doubts or [NO_RUN]
    elif failures:
        status, reasons = Status.FAILED, failures
    else:
        status, reasons = Status.PASSED, [_clean(evidence)]
    return Verdict(
        status=status,
        reason="; ".join([*reasons, *set_aside_words(evidence.aside.values())]),
        downgrades=downgrades,
        expectation=evidence.expectation,
        met=_met(evidence),
        runs=len(observations),
        seconds=sum(each.seconds for each in observations),
        observations=tuple(replace(each, findings=()) for each in observations),
    )


def set_aside_words(names: Iterable[str]) -> Iterator[str]:
    """Say how many findings are set aside, by blind spot, the most frequent first; nothing if none is."""
    counts = Counter(names)
    if counts:
        each = ", ".join(f"{count:,} in {name}" for name, count in counts.most_common())
        yield f"{counted(counts.total(), 'finding')} set aside: {each}"


def _met(evidence: Evidence) -> int:
    """Return how many runs showed every expected finding."""
    return sum(all(each & one.seen for each in evidence.expected) for one in evidence.observations)


def _failures(evidence: Evidence) -> Iterator[str]:
    yield from (f"expected {each}, which was not seen" for each in evidence.missing)
    runs = len(evidence.observations)
    if evidence.expectation.outcome is Outcome.HANG:
        ended = sum(not each.timed_out for each in evidence.observations)
        if ended:
            yield f"expected a hang, but it ended by itself in {ended} of {runs} runs"
    else:
        yield from in_runs(failure_of(each) for each in evidence.observations)
    if not evidence.missing and evidence.expected:
        met = _met(evidence)
        if met < (1 if evidence.once else runs):
            yield f"what was expected was seen in {met} of {runs} runs only"
    yield from evidence.complaints


def _clean(evidence: Evidence) -> str:
    runs = len(evidence.observations)
    in_runs = "" if runs == 1 else f" in {runs} runs"
    match evidence.expectation.outcome:
        case Outcome.RACE:
            return f"exactly the expected findings{in_runs}"
        case Outcome.HANG:
            return f"hung as expected{in_runs}"
        case _:
            return f"no new finding{in_runs}"


def rate(observations: Sequence[Observation], sought: frozenset[str], aside: Iterable[str] = ()) -> Rate:
    """Return how often a run showed a finding: any of ``sought``, or any not set ``aside`` when nothing is sought."""
    without = frozenset(aside)
    found = sum(bool(each.seen & sought if sought else each.seen - without) for each in observations)
    low, high = wilson_bounds(found, len(observations))
    return Rate(found=found, runs=len(observations), low=low, high=high)


def judge_marked_test(
    conclusion: Conclusion, *, found: Sequence[DistinctFinding], failed: Sequence[str], skipped: Sequence[str]
) -> tuple[Status, str]:
    """Judge a marked test by what its runs showed and by its own outcomes, as texts."""
    if skipped and not failed and not found:
        return Status.SKIPPED, skipped[0]
    if conclusion.status is VerdictStatus.CLEAN and not failed:
        return Status.PASSED, ""
    return Status.FAILED, failed[0] if failed else f"{found_by(found)}: {conclusion.reason}"


def found_by(findings: Iterable[DistinctFinding]) -> str:
    """Return the names of the detectors whose findings fail; where nothing failed, this project's."""
    kinds = {finding.kind for finding in findings if finding.status.fails}
    names = {
        "ThreadSanitizer": any(not kind.is_recorded for kind in kinds),
        "lock recorder": Kind.POSSIBLE_DEADLOCK in kinds,
        "C API contract": any(kind.is_recorded for kind in kinds - {Kind.POSSIBLE_DEADLOCK}),
    }
    return ", ".join(name for name, is_one in names.items() if is_one) or "python-tsan"
