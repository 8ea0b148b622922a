"""Own the answer of directed runs: confirmed k of n, refuted, or not reached. Pure, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.played import outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# deadlock detected by _ModuleLock('pkg.sub') at 140113817204528
_ADDRESS = re.compile(r" at \d+$")


class Answer(Enum):
    """What directed runs say of a predicted hazard."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"  # the threads came to the place, and nothing was wrong
    NOT_REACHED = "not reached"  # the schedule could not be brought about


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """``thread`` waits for the lock of ``module``, which ``holder`` has. Together they are the wait-for graph."""

    thread: str
    module: str
    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFrame:
    """Where a thread stood in one function of the program's own; ``text`` is that line, where it could be read."""

    file: str
    line: int
    function: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadStack:
    """The Python stack of one thread, innermost frame last."""

    thread: str
    frames: tuple[StackFrame, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """``seen`` of ``runs`` directed runs went wrong, the first of them with ``outcome`` and ``error``.

    ``thread`` is the one that failed, at ``where``. ``graph`` and ``stacks`` stood so when the cycle was closed.
    """

    answer: Answer
    seen: int
    runs: int
    outcome: ImportOutcome | None = None
    thread: str = ""
    error: str = ""
    where: str = ""
    graph: tuple[Wait, ...] = ()
    stacks: tuple[ThreadStack, ...] = ()


def weigh(reports: Sequence[Mapping[str, Any]]) -> Proof:
    """Weigh the reports of directed runs. One run that goes wrong confirms; ``seen`` tells how many did."""
    wrong = [report for report in reports if outcome_of(report) not in {ImportOutcome.OK, None}]
    if not wrong:
        reached = any(report["reached"] and not report["held"] for report in reports)
        return Proof(answer=Answer.REFUTED if reached else Answer.NOT_REACHED, seen=0, runs=len(reports))
    first = wrong[0]
    thread = next(iter(sorted(first["errors"])), "")
    error = first["errors"].get(thread, {})
    return Proof(
        answer=Answer.CONFIRMED,
        seen=len(wrong),
        runs=len(reports),
        outcome=outcome_of(first),
        thread=thread,
        # The address of the lock is another one in each run.
        error=f"{error['type']}: {_ADDRESS.sub('', error['text'])}" if error else "",
        where=error.get("where", ""),
        graph=tuple(
            Wait(thread=edge["thread"], module=edge["waits_for"], holder=edge["held_by"]) for edge in first["graph"]
        ),
        stacks=tuple(
            ThreadStack(thread=name, frames=tuple(StackFrame(**frame) for frame in frames))
            for name, frames in first["stacks"].items()
        ),
    )
