"""Turn observations, an expectation and what is known into a verdict with a reason in words. Pure.

Every process is read by the same two questions: can anything be concluded from it (:func:`doubt_about`), and did it
fail by itself (:func:`failure_of`). The four kinds of subject differ in what they hold that against:
:func:`judge_check` takes findings one by one, exactly as expected; :func:`judge_program` takes any number of each,
over all runs, with a baseline; :func:`judge_logs` has no process; :func:`judge_marked_test` adds a test's own outcome.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, assert_never

from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.plain_text import counted
from python_tsan.rate import describe_rate, wilson_bounds
from python_tsan.result.known import set_aside, without_known
from python_tsan.result.matching import compare_findings, describe_finding
from python_tsan.result.model import TSAN_EXIT_CODE, Observation, Rate, Status, Verdict, VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Conclusion, Input, SuppressionUse
    from python_tsan.tsan.digest import Digest
    from python_tsan.tsan.finding import Fatal
    from python_tsan.tsan.suppressions import Suppression

USAGE_EXIT_CODE = 2
# An expectation that names this value is about a GIL that comes back; every other one assumes that it does not.
GIL_VALUE = "gil_enabled_by"
MAX_REASONS = 3
NO_RUN = "no run of it"
_SILENT = "no line is ThreadSanitizer's, so nothing shows that the program ran under it (explain could-not-judge)"
# What to do about the runtime's last words, by a part of them; see docs/errors.md#runtime.
_FIXES = {
    "unexpected memory mapping": "the address space is too random for this runtime; see `python-tsan doctor`",
    "multi-threaded fork": "the program forked after it had started threads; start children with exec, or set "
    "TSAN_OPTIONS=die_after_fork=0 and accept that locks held by other threads stay locked",
    "CHECK failed": "the sanitizer itself failed; a newer compiler may help",
    "failed to open suppressions": "the suppressions of your TSAN_OPTIONS cannot be read",
}


# One process.


def doubt_about(observation: Observation) -> str:
    """Return why nothing can be concluded from a run, the clearest reason first, or an empty string.

    The log decides, not the code: the sanitizer's own exit code 66 also comes with start-up failures.
    """
    if observation.problem:
        return observation.problem
    if observation.fatal:
        return gave_up(observation.fatal[0])
    silent = not observation.found and not observation.crashes
    unparsed = observation.unparsed
    if silent and unparsed.count > 0:
        sample = f": {_with_fix(unparsed.samples[0])}" if unparsed.samples else ""
        were = "was" if unparsed.count == 1 else "were"
        return (
            f"{counted(unparsed.count, 'line')} of the log {were} not understood, so it cannot be called clean{sample}"
        )
    if silent and observation.own_exit_code == TSAN_EXIT_CODE:
        return f"exit {TSAN_EXIT_CODE}, but no finding in the log folder"
    return ""


def gave_up(last_words: str) -> str:
    """Say that the runtime gave up, with its last words and what to do about them."""
    return f"the runtime gave up: {_with_fix(last_words)}"


def gil_returned(module: str) -> str:
    """Say that a module brought the GIL of a free-threaded build back."""
    return (
        f"the GIL came back: {module or 'a module'} does not declare that it can do without (Py_mod_gil), "
        "so nothing was seen of a free-threaded build"
    )


def failure_of(observation: Observation) -> str:
    """Return how the subject itself failed, or an empty string. The sanitizer's own exit code is no failure of it."""
    if death := death_of(observation):
        return death
    code = observation.own_exit_code
    return f"ended with exit {code}" if code not in {0, TSAN_EXIT_CODE} else ""


def death_of(observation: Observation) -> str:
    """Return how the subject died or hung, or an empty string."""
    if observation.timed_out:
        stacks = ", ".join(path.name for path in observation.stacks) or "none could be saved"
        limit = f"{observation.deadline or round(observation.seconds, 1):g} s"
        return f"still running at its deadline of {limit} (stacks: {stacks})"
    if observation.crashes:
        return f"crashed: {observation.crashes[0]}"
    return f"ended by signal {-observation.exit_code}" if observation.exit_code < 0 else ""


def _with_fix(line: str) -> str:
    fix = next((fix for part, fix in _FIXES.items() if part in line), "")
    return f"{line.strip()} ({fix})" if fix else line.strip()


def _in_runs(reasons: Iterable[str]) -> Iterator[str]:
    """Yield each reason once, the most common first, with its k of n where there are several runs."""
    given = list(reasons)
    for reason, times in Counter(filter(None, given)).most_common():
        yield reason if len(given) == 1 else f"{reason} in {times} of {len(given)} runs"


def _joined(reasons: Sequence[str]) -> str:
    shown = [*reasons[:MAX_REASONS]]
    more = len(reasons) - len(shown)
    return "; ".join([*shown, f"and {counted(more, 'other reason')}"] if more else shown)


# A check: every run must show exactly what is expected.


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
        reason = _joined(list(_in_runs(words if each is status else "" for _, each, words in judged)))
    return Verdict(
        check=check,
        lane=lane,
        status=status,
        expectation=expectation,
        met=met,
        runs=len(judged),
        reason="; ".join(filter(None, (reason, *set_aside(kept), _repeated(kept)))),
        seconds=sum(observation.seconds for observation in kept),
        observations=kept,
    )


def _repeated(observations: Sequence[Observation]) -> str:
    """Return how many runs were repeated, and why the first of them was."""
    reasons = [observation.disturbed for observation in observations if observation.disturbed]
    return f"{len(reasons)} of {len(observations)} runs repeated: {reasons[0]}" if reasons else ""


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
    return gil_returned(gil.get("enabled_by", "")) if returned and GIL_VALUE not in expectation.values else ""


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


# A program: its findings may come any number of times, and some are known.


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a program's verdict rests on.

    ``failing`` are the fingerprints of findings that make it red, ``expected`` has those of each finding that must be
    there, in every run or in ``once`` one, ``missing`` describes expected findings that never came. ``complaints`` are
    the baseline's, ``doubts`` concern the whole run.
    """

    observations: tuple[Observation, ...]
    expectation: Expectation
    failing: frozenset[str] = frozenset()
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
    doubts = [*evidence.doubts, *_in_runs(doubt_about(each) for each in observations)]
    failures = list(_failures(evidence))
    downgrades = (*evidence.downgrades, *_unused(evidence.suppressions))
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
        reason="; ".join(reasons),
        downgrades=downgrades,
        expectation=evidence.expectation,
        met=_met(evidence),
        runs=len(observations),
        seconds=sum(each.seconds for each in observations),
        observations=tuple(replace(each, findings=()) for each in observations),
    )


def _unused(uses: Iterable[SuppressionUse]) -> Iterator[str]:
    for use in uses:
        if not use.matched and not use.shipped:
            yield f"The suppression {use.entry} ({use.file}:{use.line}) matched nothing."


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
        yield from _in_runs(failure_of(each) for each in evidence.observations)
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


def rate(observations: Sequence[Observation], sought: frozenset[str]) -> Rate:
    """Return how often a run showed a finding: any of ``sought``, or any at all when nothing is sought."""
    found = sum(bool(each.seen & sought if sought else each.seen) for each in observations)
    low, high = wilson_bounds(found, len(observations))
    return Rate(found=found, runs=len(observations), low=low, high=high)


# Logs alone, and a marked test.


def judge_logs(
    findings: Sequence[DistinctFinding],
    fatal: Sequence[Fatal],
    inputs: Sequence[Input],
    *,
    silent_is_clean: bool = False,
    doubts: Sequence[str] = (),
    shortfalls: Sequence[str] = (),
) -> Verdict:
    """Judge logs by themselves. Logs without sanitizer output, or only with its last words, prove nothing.

    ``silent_is_clean``: the program is known to have run under the sanitizer. See :func:`doubts_about_logs` and
    :func:`shortfalls_of_logs` for the others.
    """
    failing = sum(finding.status.fails for finding in findings)
    spoke = bool(findings) or any(each.spoke for each in inputs)
    if failing:
        status, reason = Status.FAILED, counted(failing, "finding")
    elif fatal:
        status, reason = Status.COULD_NOT_JUDGE, gave_up(fatal[0].message)
    elif doubts:
        status, reason = Status.COULD_NOT_JUDGE, doubts[0]
    elif spoke or (silent_is_clean and inputs):
        status, reason = Status.PASSED, "no finding that fails" if findings else "no finding"
    else:
        status, reason = Status.COULD_NOT_JUDGE, _SILENT if inputs else "there was no log to read"
    troubles = tuple(f"{each.file}: {each.problem}" for each in inputs if each.problem)
    return Verdict(status=status, reason=reason, downgrades=(*troubles, *(shortfalls if findings else ())))


def doubts_about_logs(digest: Digest) -> tuple[str, ...]:
    """Return why logs cannot be called clean even if none of their findings fails; empty if they can."""
    missing = sum(each.missing for each in digest.shortfalls)
    if missing and not digest.blocks:
        return (f"the log says {counted(missing, 'warning')}, 0 blocks could be read",)
    if missing:
        return (_missing(missing, "the log"),)
    if digest.other_tools and not digest.blocks and not digest.notices:
        tools = " and ".join(digest.other_tools)
        return (f"this is {'an' if tools[0] in 'AEIOU' else 'a'} {tools} log, which is not supported",)
    return ()


def shortfalls_of_logs(digest: Digest) -> tuple[str, ...]:
    """Return a sentence for each log that speaks of more reports than could be read from it."""
    return tuple(f"{each.source}: {_missing(each.missing, 'this log')}" for each in digest.shortfalls)


def _missing(count: int, where: str) -> str:
    return f"{counted(count, 'report')} {'is' if count == 1 else 'are'} missing from {where}"


def judge_marked_test(
    conclusion: Conclusion, *, found: bool, failed: Sequence[str], skipped: Sequence[str]
) -> tuple[Status, str]:
    """Judge a marked test by what its runs showed (``found``: any finding at all) and by its own outcomes, as texts."""
    if skipped and not failed and not found:
        return Status.SKIPPED, skipped[0]
    if conclusion.status is VerdictStatus.CLEAN and not failed:
        return Status.PASSED, ""
    return Status.FAILED, failed[0] if failed else f"ThreadSanitizer: {conclusion.reason}"
