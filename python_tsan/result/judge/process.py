"""Read one process: why nothing can be concluded from it, or how it failed. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from python_tsan.plain_text import counted
from python_tsan.result.model import TSAN_EXIT_CODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.result.model import Observation

MAX_REASONS = 3
# The share of one core below which a program counts as hung: the sanitizer's own thread needs less.
IDLE_SHARE = 0.05
NO_RUN = "no run of it"
# What to do about the runtime's last words, by a part of them; see docs/errors.md#runtime.
_FIXES = {
    "unexpected memory mapping": "the address space is too random for this runtime; see `python-tsan doctor`",
    "multi-threaded fork": "the program forked after it had started threads; start children with exec, or set "
    "TSAN_OPTIONS=die_after_fork=0 and accept that locks held by other threads stay locked",
    "CHECK failed": "the sanitizer itself failed; a newer compiler may help",
    "failed to open suppressions": "the suppressions of your TSAN_OPTIONS cannot be read",
}


def doubt_about(observation: Observation) -> str:
    """Return why nothing can be concluded from a run, the clearest reason first, or an empty string.

    The log decides, not the code: the sanitizer's own exit code 66 also comes with start-up failures.
    """
    if observation.problem:
        return observation.problem
    if observation.fatal:
        last_words = observation.fatal[0]
        known = f"the runtime gave up: {last_words.strip()}" if observation.explained else gave_up(last_words)
        return _explained(known, observation)
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


def gil_returned(module: str | None) -> str:
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
        if observation.stalled:
            return f"nothing moved for {observation.stalled:g} s, so it was ended (stacks: {stacks})"
        limit = f"{observation.deadline or round(observation.seconds, 1):g} s"
        return f"still running at its deadline of {limit}{_recent_use(observation)} (stacks: {stacks})"
    if observation.crashes:
        return _explained(f"crashed: {observation.crashes[0]}", observation)
    return _explained(f"ended by signal {-observation.exit_code}", observation) if observation.exit_code < 0 else ""


def _explained(words: str, observation: Observation) -> str:
    return f"{words} ({observation.explained})" if observation.explained else words


def _recent_use(observation: Observation) -> str:
    """Say whether a program that passed its deadline was still computing."""
    if observation.recent_cpu is None:
        return ""
    needed, seconds = observation.recent_cpu
    what = "hung" if needed < IDLE_SHARE * seconds else "slow or in an endless loop, raise --timeout"
    return f"; needed {needed:.1f} CPU s in the last {seconds:.1f} s: {what}"


def _with_fix(line: str) -> str:
    fix = next((fix for part, fix in _FIXES.items() if part in line), "")
    return f"{line.strip()} ({fix})" if fix else line.strip()


def in_runs(reasons: Iterable[str]) -> Iterator[str]:
    """Yield each reason once, the most common first, with its k of n where there are several runs."""
    given = list(reasons)
    for reason, times in Counter(filter(None, given)).most_common():
        yield reason if len(given) == 1 else f"{reason} in {times} of {len(given)} runs"


def joined(reasons: Sequence[str]) -> str:
    """Return the first reasons in a row, and how many more there are."""
    shown = [*reasons[:MAX_REASONS]]
    more = len(reasons) - len(shown)
    return "; ".join([*shown, f"and {counted(more, 'other reason')}"] if more else shown)
