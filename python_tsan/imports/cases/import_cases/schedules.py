"""Define schedules that rows share, and the names of a row's variants."""

from __future__ import annotations

from .case import START, Hold, blocked, ended, reached

HAZARD, PREIMPORT, PARENT_FIRST, ONE_AT_A_TIME, FIXED = (
    "hazard",
    "preimport",
    "parent_first",
    "one_at_a_time",
    "fixed",
)
LOCK = "lock"


def let_in(waiting: str, owner: str, point: str, module: str) -> tuple[Hold, Hold]:
    """Start ``waiting`` when ``owner`` is at ``point`` of ``module``, and keep ``owner`` there until the other sleeps.

    A mitigation removes the conflict, so the other thread may also end, or stop at the program's own lock.
    """
    return (
        Hold(waiting, START, "", (reached(owner, point, module), ended(owner))),
        Hold(owner, point, module, (blocked(waiting, module), ended(waiting), reached(waiting, LOCK))),
    )


def cross(first: str, second: str, point: str) -> tuple[Hold, ...]:
    """Let T1 own ``first`` and T2 own ``second``, each at ``point``; T1 goes on and sleeps; T2 closes the cycle."""
    return (
        Hold("T2", START, "", (reached("T1", point, first), ended("T1"))),
        Hold("T1", point, first, (reached("T2", point, second), ended("T2"), reached("T2", LOCK))),
        Hold("T2", point, second, (blocked("T1", second), ended("T1"))),
    )
