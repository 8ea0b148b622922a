"""Judge a check: every run must show exactly what is expected. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, assert_never

from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.rate import describe_rate
from python_tsan.result.judge.process import NO_RUN, death_of, doubt_about, failure_of, gil_returned, in_runs, joined
from python_tsan.result.known import set_aside, without_known
from python_tsan.result.matching import compare_findings, describe_finding
from python_tsan.result.model import Observation, Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_tsan.tsan.suppressions import Suppression

USAGE_EXIT_CODE = 2
# An expectation that names this value is about a GIL that comes back; every other one assumes that it does not.
GIL_VALUE = "gil_enabled_by"


def judge_check(
    check: str,
    lane: Lane,
    expectation: Expectation,
    observations: Sequence[Observation],
    *,
    known: Sequence[Suppression] = (),
) -> Verdict:
    """Judge all runs of one check together.

    The verdict is PASSED when every run did as expected, COULD_NOT_JUDGE when nothing can be concluded from one of
    them or nothing is listed, FAILED otherwise. An expected race that was missed in one run is a failure with its k of
    n: a retry would only hide it. A run that fails only for races of CPython itself that are ``known`` upstream is
    judged without them, and the reason says so.
    """
    judged = [_judge_fairly(expectation, observation, known) for observation in observations]
    kept = tuple(observation for observation, _, _ in judged)
    statuses = [status for _, status, _ in judged]
    status = next((each for each in (Status.COULD_NOT_JUDGE, Status.FAILED) if each in statuses), Status.PASSED)
    met = statuses.count(Status.PASSED)
    if not judged:
        status, reason = Status.COULD_NOT_JUDGE, NO_RUN
    elif status is Status.PASSED:
        reason = f"found in {describe_rate(met, len(judged))}" if expectation.outcome is Outcome.RACE else ""
    else:
        # A run that leaves a doubt matters more than one that failed.
        reason = joined(list(in_runs(words if each is status else "" for _, each, words in judged)))
    disturbed = [observation.disturbed for observation in kept if observation.disturbed]
    repeated = f"{len(disturbed)} of {len(kept)} runs repeated: {disturbed[0]}" if disturbed else ""
    return Verdict(
        check=check,
        lane=lane,
        status=status,
        expectation=expectation,
        met=met,
        runs=len(judged),
        reason="; ".join(filter(None, (reason, *set_aside(kept), repeated))),
        seconds=sum(observation.seconds for observation in kept),
        observations=kept,
    )


def _judge_fairly(
    expectation: Expectation, observation: Observation, known: Sequence[Suppression]
) -> tuple[Observation, Status, str]:
    """Judge one run with known races set aside, unless they are what a check is there to see."""
    status, reason = judge_run(expectation, observation)
    if status is not Status.FAILED:
        return observation, status, reason
    less = without_known(observation, known)
    fairer, other_reason = judge_run(expectation, less)
    sought = expectation.outcome is Outcome.RACE and fairer is not Status.PASSED
    return (observation, status, reason) if sought else (less, fairer, other_reason)


def judge_run(expectation: Expectation, observation: Observation) -> tuple[Status, str]:
    """Judge one run of a check: first whether anything can be concluded, then the outcome, findings and values."""
    if doubt := _doubt_about_check(expectation, observation):
        return Status.COULD_NOT_JUDGE, doubt
    reason = (
        _outcome_mismatch(expectation, observation)
        or compare_findings(expectation.findings, observation.findings)
        or _error_mismatch(expectation, observation)
        or _value_mismatch(expectation, observation)
    )
    return (Status.FAILED if reason else Status.PASSED), reason


def _doubt_about_check(expectation: Expectation, observation: Observation) -> str:
    if doubt := doubt_about(observation):
        return doubt
    if observation.exit_code == USAGE_EXIT_CODE and not observation.timed_out:
        return "the subject refused its command line (exit 2)"
    gil: Mapping[str, Any] | Any = observation.report.get("gil")
    returned = isinstance(gil, dict) and not gil.get("built", True) and bool(gil.get("enabled"))
    return gil_returned(gil.get("enabled_by")) if returned and GIL_VALUE not in expectation.values else ""


def _outcome_mismatch(expectation: Expectation, observation: Observation) -> str:
    died = death_of(observation)
    match expectation.outcome:
        case Outcome.HANG:
            return _hang_mismatch(expectation, observation)
        case Outcome.CLEAN:
            return died or _clean_mismatch(observation)
        case Outcome.RACE:
            return died
        case Outcome.ERROR:
            return died or ("" if observation.report.get("error") else "expected an error, and no error was seen")
        case Outcome.CRASH:
            return _crash_mismatch(expectation, observation)
        case _ as never:
            assert_never(never)


def _clean_mismatch(observation: Observation) -> str:
    if observation.findings:
        first = describe_finding(observation.findings[0])
        return f"expected no finding, saw {len(observation.findings)}: {first}"
    if error := observation.report.get("error"):
        return f"expected no error, got {_shown_error(error)}"
    return failure_of(observation)


def _crash_mismatch(expectation: Expectation, observation: Observation) -> str:
    died = death_of(observation)
    if observation.timed_out:
        return f"expected a crash, but it was {died}"
    if not died:
        return f"expected a crash, but it ended with exit {observation.exit_code}"
    words = "\n".join((*observation.crashes, observation.last_words))
    return "" if re.search(expectation.error, words) else f"it {died}, and printed nothing like {expectation.error!r}"


def _hang_mismatch(expectation: Expectation, observation: Observation) -> str:
    if not observation.timed_out:
        return f"expected a hang, but it ended after {observation.seconds:.1f} s with exit {observation.exit_code}"
    if not observation.stacks:
        return "it hung as expected, but no thread's stack could be saved"
    if expectation.waits and observation.waits != expectation.waits:
        seen = "; ".join(observation.waits) or "nothing had been noted"
        return f"it hung, but not as expected: expected {'; '.join(expectation.waits)}; {seen}"
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
    for name, expected in expectation.values.items():
        if name not in reported:
            return f"expected {name} = {expected!r}, but the subject did not report it"
        if reported[name] != expected or isinstance(reported[name], bool) is not isinstance(expected, bool):
            return f"expected {name} = {expected!r}, got {reported[name]!r}"
    return ""
