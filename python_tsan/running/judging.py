"""Own the step from what the runs showed to one verdict with a reason in words. Pure: no I/O, no clock, no chance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from python_tsan.checking.model import TSAN_EXIT_CODE
from python_tsan.expectation import Expectation, Outcome
from python_tsan.rate import wilson_bounds
from python_tsan.report.model import Rate, ReportVerdict, VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.report.model import SuppressionUse

# What is known of the runtime's last words, by a part of them; see docs/errors.md#runtime.
_CURES = {
    "unexpected memory mapping": "the address space is too random for this runtime; see `python-tsan doctor`",
    "multi-threaded fork": "the program forked after it had started threads; start children with exec, or set "
    "TSAN_OPTIONS=die_after_fork=0 and bear that locks held by other threads stay locked",
    "CHECK failed": "the sanitizer itself failed; a newer compiler may help",
    "failed to open suppressions": "the suppressions of your TSAN_OPTIONS cannot be read",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one run of the command showed. ``seen`` are fingerprints, ``stacks`` the names of saved files.

    ``problem`` says why its logs prove nothing, ``fatal`` are the runtime's last words, ``crashes`` those on a deadly
    signal of the program itself, ``unknown`` lines of the logs that were not understood. ``deadline`` is in seconds.
    """

    number: int
    exit_code: int
    timed_out: bool
    seconds: float
    max_rss_bytes: int = 0
    seen: frozenset[str] = frozenset()
    stacks: tuple[str, ...] = ()
    problem: str = ""
    fatal: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    deadline: float = 0.0

    @property
    def doubt(self) -> str:
        """Why nothing can be concluded from this run, or nothing."""
        if self.problem:
            return self.problem
        if self.fatal:
            return f"the runtime gave up: {_with_cure(self.fatal[0])}"
        if self.unknown and not self.seen and not self.crashes:
            return f"the log holds a line that was not understood: {_with_cure(self.unknown[0])}"
        if self.exit_code == TSAN_EXIT_CODE and not self.seen and not self.crashes:
            return f"exit {TSAN_EXIT_CODE}, but no finding in the log folder"
        return ""

    @property
    def failure(self) -> str:
        """How the program itself failed, or nothing. The sanitizer's own exit code is no failure of the program's."""
        if self.timed_out:
            return f"still running at its deadline of {self.deadline:g} s (stacks: {', '.join(self.stacks) or 'none'})"
        if self.crashes:
            return f"crashed: {self.crashes[0]}"
        if self.exit_code < 0:
            return f"ended by signal {-self.exit_code}"
        return f"the program ended with exit {self.exit_code}" if self.exit_code not in {0, TSAN_EXIT_CODE} else ""


def _with_cure(line: str) -> str:
    cure = next((cure for part, cure in _CURES.items() if part in line), "")
    return f"{line.strip()} ({cure})" if cure else line.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that a verdict rests on.

    ``failing`` are the fingerprints of findings that make it red, ``expected`` has those of each finding that must be
    there, in every run or in ``once`` one, ``missing`` describes expected findings that never came. ``complaints`` are
    the baseline's, ``doubts`` concern the whole run.
    """

    attempts: tuple[Attempt, ...]
    expectation: Expectation
    failing: frozenset[str] = frozenset()
    expected: tuple[frozenset[str], ...] = ()
    once: bool = False
    missing: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    downgrades: tuple[str, ...] = ()


def judge(evidence: Evidence) -> ReportVerdict:
    """Judge all runs together.

    A finding that fails is a finding whatever else went wrong; then a doubt outweighs a program that failed, because
    its failure may come from the same cause. Nothing that leaves a doubt is called clean.
    """
    doubts = [*evidence.doubts, *_told(attempt.doubt for attempt in evidence.attempts)]
    failures = list(_failures(evidence))
    downgrades = evidence.downgrades
    if evidence.failing:
        count = len(evidence.failing)
        reasons = ["1 finding" if count == 1 else f"{count} findings", *failures]
        status, downgrades = VerdictStatus.FINDINGS, (*downgrades, *doubts)
    elif doubts or not evidence.attempts:
        status, reasons = VerdictStatus.COULD_NOT_JUDGE, doubts or ["no run of it"]
    elif failures:
        status, reasons = VerdictStatus.FINDINGS, failures
    else:
        status, reasons = VerdictStatus.CLEAN, [_clean(evidence)]
    return ReportVerdict(status=status, reason="; ".join(reasons), downgrades=downgrades)


def with_unused(evidence: Evidence, uses: Sequence[SuppressionUse]) -> Evidence:
    """Return the evidence with a word about each of the user's own suppressions that matched nothing in any run."""
    unused = tuple(
        f"The suppression {use.entry} ({use.file}:{use.line}) matched nothing." for use in uses if not use.matched
    )
    return replace(evidence, downgrades=(*evidence.downgrades, *unused))


def _failures(evidence: Evidence) -> Iterator[str]:
    yield from (f"expected {wanted}, which was not seen" for wanted in evidence.missing)
    runs = len(evidence.attempts)
    if evidence.expectation.outcome is Outcome.HANG:
        ended = sum(not attempt.timed_out for attempt in evidence.attempts)
        if ended:
            yield f"expected a hang, but it ended by itself in {ended} of {runs} runs"
    else:
        yield from _told(attempt.failure for attempt in evidence.attempts)
    if not evidence.missing and evidence.expected:
        met = sum(all(each & attempt.seen for each in evidence.expected) for attempt in evidence.attempts)
        if met < (1 if evidence.once else runs):
            yield f"what was expected was seen in {met} of {runs} runs only"
    yield from evidence.complaints


def _told(reasons: Iterator[str]) -> Iterator[str]:
    """Yield each reason once, with how many runs gave it where that is not the only one."""
    counts: dict[str, int] = {}
    total = 0
    for reason in reasons:
        total += 1
        if reason:
            counts[reason] = counts.get(reason, 0) + 1
    for reason, times in counts.items():
        yield reason if total == 1 else f"{reason} in {times} of {total} runs"


def _clean(evidence: Evidence) -> str:
    runs = len(evidence.attempts)
    in_runs = "" if runs == 1 else f" in {runs} runs"
    match evidence.expectation.outcome:
        case Outcome.RACE:
            return f"exactly the expected findings{in_runs}"
        case Outcome.HANG:
            return f"hung as expected{in_runs}"
        case _:
            return f"no new finding{in_runs}"


def rate(attempts: Sequence[Attempt], wanted: frozenset[str]) -> Rate:
    """Return how often a run showed a finding: any of ``wanted``, or any at all when nothing is wanted."""
    found = sum(bool(attempt.seen & wanted if wanted else attempt.seen) for attempt in attempts)
    low, high = wilson_bounds(found, len(attempts))
    return Rate(found=found, runs=len(attempts), low=low, high=high)
