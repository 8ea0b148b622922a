"""Describe what a subject must show, and in which lane; the judge compares it with what it did show. No I/O."""

from __future__ import annotations

from enum import Enum
from typing import Any

from msgspec import Struct, field


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


class ExpectedFinding(Struct, frozen=True, kw_only=True):
    """One race that must be seen: its kind, the global it is on, and the function and sides of its accesses.

    ``accesses`` are unordered strings such as ``"read"``, ``"write"``, ``"atomic write"``; ``function`` must be a
    substring of the topmost non-interceptor frame of each access. ``several``: one at least, and luck decides how many.
    """

    kind: str
    location: str = ""
    function: str = ""
    accesses: tuple[str, ...] = ()
    several: bool = False


class Expectation(Struct, frozen=True, kw_only=True):
    """What a subject must show.

    ``error`` is a regular expression for an error's text, or for the last words of a crash; ``losing_thread`` is the
    thread that an error is to end (any if empty), ``waits`` the lines of a hang's wait-for graph (any if empty).
    ``values`` are results that the subject must have reported, for every outcome.
    """

    outcome: Outcome
    findings: tuple[ExpectedFinding, ...] = ()
    error: str = ""
    losing_thread: str = ""
    waits: tuple[str, ...] = ()
    values: dict[str, Any] = field(default_factory=dict)
