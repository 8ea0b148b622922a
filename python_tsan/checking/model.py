"""Own the vocabulary of judging: observation and verdict. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path  # noqa: TC003 -- msgspec resolves the annotations at run time
from typing import Any

from python_tsan.expectation import Expectation, Lane  # noqa: TC001 -- so too
from python_tsan.tsan.finding import Finding  # noqa: TC001 -- so too

TSAN_EXIT_CODE = 66


class Status(Enum):
    """The verdict in one word. COULD_NOT_JUDGE is never read as clean."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_JUDGE = "could not judge"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRace:
    """A finding inside CPython itself, the suppression that would have hidden it, and where upstream tells of it."""

    finding: Finding
    suppression: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The raw outcome of one subject's process. ``exit_code`` is negative for a signal; sizes in bytes, times in s.

    ``report`` is the JSON object that a harness scenario writes (empty if it wrote none), ``logs`` the sanitizer's
    files, ``stacks`` the files with every thread's stack when the deadline passed, ``waits`` the wait-for graph that
    the subject itself had noted by then. ``fatal`` are the last words of a runtime that gave up, ``crashes`` those on a
    deadly signal of the subject, ``last_words`` the end of standard error of one that died of a signal. ``problem``
    says why nothing can be concluded (the log folder is gone, the program could not be started), and is empty for a
    sound observation. ``known`` are races of CPython itself that were set aside from ``findings``.
    ``disturbed`` says why an earlier run, which this one replaces, could not count; mostly it is empty.
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
    known: tuple[KnownRace, ...] = ()
    fatal: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    last_words: str = ""
    unparsed: int = 0
    report: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    disturbed: str = ""

    @property
    def own_exit_code(self) -> int:
        """The code as far as it speaks of the subject: the sanitizer's own, for known findings alone, does not."""
        for_known_alone = self.known and not self.findings and self.exit_code == TSAN_EXIT_CODE
        return 0 if for_known_alone else self.exit_code


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
