"""Own the step from observations to a verdict with a reason in words. Pure: no I/O, no clock, no chance."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from python_tsan.checking.matching import compare_findings, describe_finding
from python_tsan.checking.model import TSAN_EXIT_CODE, Observation, Status, Verdict
from python_tsan.checking.set_aside import set_aside, without_known
from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.rate import describe_rate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from python_tsan.tsan.suppressions import Suppression

USAGE_EXIT_CODE = 2
# An expectation that names this value is about a GIL that comes back; every other one assumes that it does not.
GIL_VALUE = "gil_enabled_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One observation held against the expectation. FAILED and COULD_NOT_JUDGE have a reason."""

    status: Status
    reason: str = ""


def judge(
    check: str,
    lane: Lane,
    expectation: Expectation,
    observations: Sequence[Observation],
    *,
    known: Sequence[Suppression] = (),
) -> Verdict:
    """Judge all runs of one check together.

    The verdict is PASSED when every run did as expected, COULD_NOT_JUDGE when nothing can be concluded from one of
    them or there are none, FAILED otherwise. An expected race that was missed in one run is a failure with its k of
    n: a retry would only hide it. A run that fails only for races of CPython itself that are ``known`` upstream is
    judged without them, and the reason says so.
    """
    judged = [_judge_fairly(expectation, observation, known) for observation in observations]
    observations, judgements = [observation for observation, _ in judged], [judgement for _, judgement in judged]
    met = sum(judgement.status is Status.PASSED for judgement in judgements)
    status = _combine(judgements)
    return Verdict(
        check=check,
        lane=lane,
        status=status,
        expectation=expectation,
        met=met,
        runs=len(judgements),
        reason="; ".join(
            filter(
                None,
                (_reason(status, expectation, met, judgements), *set_aside(observations), _repeated(observations)),
            )
        ),
        seconds=sum(observation.seconds for observation in observations),
        observations=tuple(observations),
    )


def _judge_fairly(
    expectation: Expectation, observation: Observation, known: Sequence[Suppression]
) -> tuple[Observation, Judgement]:
    """Judge one run with known races set aside, unless they are what a check is there to see."""
    judgement = judge_one(expectation, observation)
    if judgement.status is not Status.FAILED:
        return observation, judgement
    less = without_known(observation, known)
    fairer = judge_one(expectation, less)
    sought = expectation.outcome is Outcome.RACE and fairer.status is not Status.PASSED
    return (observation, judgement) if sought else (less, fairer)


def judge_one(expectation: Expectation, observation: Observation) -> Judgement:
    """Judge one run: first whether anything can be concluded, then the outcome, the findings and the values."""
    doubt = _doubt(expectation, observation)
    if doubt:
        return Judgement(status=Status.COULD_NOT_JUDGE, reason=doubt)
    reason = (
        _outcome_mismatch(expectation, observation)
        or compare_findings(expectation.findings, observation.findings)
        or _error_mismatch(expectation, observation)
        or _value_mismatch(expectation, observation)
    )
    return Judgement(status=Status.FAILED if reason else Status.PASSED, reason=reason)


def _doubt(expectation: Expectation, observation: Observation) -> str:
    return next(_doubts(expectation, observation), "")


def _doubts(expectation: Expectation, observation: Observation) -> Iterator[str]:
    """Say why nothing can be concluded from a run, most telling first.

    The log decides, not the code: TSan's own exit code 66 also comes with start-up failures.
    """
    if observation.problem:
        yield observation.problem
    if observation.fatal:
        yield f"the ThreadSanitizer runtime gave up: {observation.fatal[0]}"
    if observation.exit_code == USAGE_EXIT_CODE and not observation.timed_out:
        yield "the subject refused its command line (exit 2)"
    if observation.own_exit_code == TSAN_EXIT_CODE and not observation.findings and not observation.crashes:
        yield "exit 66, but no finding in the log folder"
    if gil_returned(observation.report) and GIL_VALUE not in expectation.values:
        culprit = observation.report["gil"].get("enabled_by") or "a module"
        yield (
            f"the GIL came back: {culprit} does not declare that it can do without (Py_mod_gil), "
            "so nothing was seen of a free-threaded build"
        )
    if expectation.outcome is not Outcome.RACE and observation.unparsed and not observation.findings:
        yield f"{observation.unparsed} lines of the log were not understood, so it cannot be called clean"


def gil_returned(report: Mapping[str, Any]) -> bool:
    """Tell whether an import brought the GIL of a free-threaded build back, by what the harness noted of it."""
    gil = report.get("gil")
    return isinstance(gil, dict) and not gil.get("built", True) and bool(gil.get("enabled"))


def _outcome_mismatch(expectation: Expectation, observation: Observation) -> str:
    died = _death(observation)
    match expectation.outcome:
        case Outcome.HANG:
            return _hang_mismatch(expectation, observation)
        case Outcome.CLEAN:
            return died or _clean_mismatch(observation)
        case Outcome.RACE:
            return died
        case Outcome.ERROR:
            return died or ("" if observation.report.get("error") else "expected an error, and there was none")
        case Outcome.CRASH:
            return _crash_mismatch(expectation, observation)
        case _ as never:
            assert_never(never)


def _death(observation: Observation) -> str:
    if observation.timed_out:
        kept = ", ".join(path.name for path in observation.stacks) or "none could be saved"
        return f"still running at its deadline after {observation.seconds:.0f} s (stacks: {kept})"
    if observation.crashes:
        return f"crashed: {observation.crashes[0]}"
    if observation.exit_code < 0:
        return f"ended by signal {-observation.exit_code}"
    return ""


def _clean_mismatch(observation: Observation) -> str:
    if observation.findings:
        first = describe_finding(observation.findings[0])
        return f"expected no finding, saw {len(observation.findings)}: {first}"
    error = observation.report.get("error")
    if error:
        return f"expected no error, got {_shown_error(error)}"
    return f"exit {observation.exit_code}" if observation.own_exit_code else ""


def _crash_mismatch(expectation: Expectation, observation: Observation) -> str:
    died = _death(observation)
    if observation.timed_out:
        return f"expected a crash, but it was {died}"
    if not died:
        return f"expected a crash, but it ended with exit {observation.exit_code}"
    words = "\n".join((*observation.crashes, observation.last_words))
    return "" if re.search(expectation.error, words) else f"it {died}, and said nothing like {expectation.error!r}"


def _hang_mismatch(expectation: Expectation, observation: Observation) -> str:
    if not observation.timed_out:
        return f"expected a hang, but it ended after {observation.seconds:.1f} s with exit {observation.exit_code}"
    if not observation.stacks:
        return "it hung as expected, but no thread's stack could be saved"
    if expectation.waits and observation.waits != expectation.waits:
        seen = "; ".join(observation.waits) or "nothing had been noted"
        return f"it hung, but not as expected: wanted {'; '.join(expectation.waits)}; {seen}"
    return ""


def _error_mismatch(expectation: Expectation, observation: Observation) -> str:
    if expectation.outcome is not Outcome.ERROR:
        return ""
    error = observation.report["error"]
    shown = _shown_error(error)
    if not re.search(expectation.error, shown):
        return f"expected an error like {expectation.error!r}, got {shown}"
    if expectation.losing_thread and error.get("thread") != expectation.losing_thread:
        return f"expected thread {expectation.losing_thread!r} to lose, but it was {error.get('thread')!r}"
    return ""


def _shown_error(error: object) -> str:
    if isinstance(error, dict):
        return f"{error.get('type', '?')}: {error.get('text', '')}"
    return str(error)


def _value_mismatch(expectation: Expectation, observation: Observation) -> str:
    reported = observation.report.get("values", {})
    for name, wanted in expectation.values.items():
        if name not in reported:
            return f"expected {name} = {wanted!r}, but the subject did not report it"
        if reported[name] != wanted or isinstance(reported[name], bool) is not isinstance(wanted, bool):
            return f"expected {name} = {wanted!r}, got {reported[name]!r}"
    return ""


def _repeated(observations: Sequence[Observation]) -> str:
    """Return how many runs were repeated, and why the first of them was."""
    reasons = [observation.disturbed for observation in observations if observation.disturbed]
    return f"{len(reasons)} of {len(observations)} runs repeated: {reasons[0]}" if reasons else ""


def _combine(judgements: Sequence[Judgement]) -> Status:
    statuses = {judgement.status for judgement in judgements}
    if Status.COULD_NOT_JUDGE in statuses or not statuses:
        return Status.COULD_NOT_JUDGE
    return Status.FAILED if Status.FAILED in statuses else Status.PASSED


def _reason(status: Status, expectation: Expectation, met: int, judgements: Sequence[Judgement]) -> str:
    runs = len(judgements)
    if not judgements:
        return "no run of it"
    if status is Status.PASSED:
        return f"found in {describe_rate(met, runs)}" if expectation.outcome is Outcome.RACE else ""
    # A run that leaves a doubt matters more than one that failed; of the same kind, the most common speaks.
    telling = [judgement.reason for judgement in judgements if judgement.status is status]
    reason, times = Counter(telling).most_common(1)[0]
    others = len({judgement.reason for judgement in judgements if judgement.reason}) - 1
    return f"{reason} in {times} of {runs} runs" + (f" (other reasons beside it: {others})" if others else "")
