"""Own the vocabulary of judging: expectation, observation, verdict. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path  # noqa: TC003 -- msgspec resolves the annotations at run time
from typing import Any

from python_tsan.tsan.finding import Finding  # noqa: TC001 -- msgspec resolves the annotations at run time


class Lane(Enum):
    """Fast: a stock libpython and an instrumented harness. Full: everything from our own toolchain."""

    FAST = "fast"
    FULL = "full"


class Outcome(Enum):
    """What a subject is expected to show."""

    CLEAN = "clean"  # no finding, exit 0, values right
    RACE = "race"  # exactly the listed findings
    HANG = "hang"  # still running at its deadline, ended with stacks
    ERROR = "error"  # a Python error with a text and a losing thread
    CRASH = "crash"  # the process dies, with its reason in words


class Status(Enum):
    """The verdict in one word. COULD_NOT_JUDGE is never read as clean."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_JUDGE = "could not judge"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFinding:
    """One race that must be seen: its kind, the global it is on, and the function and sides of its accesses.

    ``accesses`` are unordered strings such as ``"read"``, ``"write"``, ``"atomic write"``; ``function`` must be a
    substring of the topmost non-interceptor frame of each access.
    """

    kind: str
    location: str = ""
    function: str = ""
    accesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a subject must show.

    ``error`` is a regular expression for an error's text, or for the last words of a crash; ``losing_thread`` is the
    thread that an error is to end (any if empty), ``waits`` the lines of a hang's wait-for graph (any if empty).
    ``values`` are results that the subject must have reported, whatever the outcome.
    """

    outcome: Outcome
    findings: tuple[ExpectedFinding, ...] = ()
    error: str = ""
    losing_thread: str = ""
    waits: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The raw outcome of one subject's process. ``exit_code`` is negative for a signal; sizes in bytes, times in s.

    ``report`` is the JSON object that a harness scenario writes (empty if it wrote none), ``logs`` the sanitizer's
    files, ``stacks`` the files with every thread's stack when the deadline passed, ``waits`` the wait-for graph that
    the subject itself had noted by then. ``fatal`` are the last words of a runtime that gave up, ``crashes`` those on a
    deadly signal of the subject, ``last_words`` the end of standard error of one that died of a signal. ``problem``
    says why nothing can be concluded (the log folder is gone, the program could not be started), and is empty for a
    sound observation.
    """

    command: tuple[str, ...]
    exit_code: int
    timed_out: bool
    seconds: float
    max_rss_bytes: int
    folder: Path
    logs: tuple[Path, ...] = ()
    stacks: tuple[Path, ...] = ()
    waits: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    fatal: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    last_words: str = ""
    unparsed: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Observations of one check judged against its expectation: ``met`` of ``runs`` did as expected.

    ``seconds`` is the time that the observations took together; ``reason`` is empty only when every run did as
    expected and nothing needs to be said.
    """

    check: str
    lane: Lane
    status: Status
    expectation: Expectation
    met: int
    runs: int
    reason: str
    seconds: float
    observations: tuple[Observation, ...] = ()
