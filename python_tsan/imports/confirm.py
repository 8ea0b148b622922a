"""Drive real threads into a predicted hazard and weigh what they met: confirmed k of n, refuted, or not reached."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from python_tsan.errors import SubjectError
from python_tsan.imports.model.probe import START_SECONDS
from python_tsan.imports.model.program_model import home
from python_tsan.imports.model.requests import ImportRequest, Manner
from python_tsan.imports.model.steps import Phase
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.plain_text import one_line
from python_tsan.rate import lower_bound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_tsan.imports.model.probe import Probe
    from python_tsan.imports.search.schedules import Hazard

HANG_SECONDS = 3.0
DEADLOCK_ERROR = "_DeadlockError"
_PAUSES = {Phase.ASKING: "ask", Phase.FINDING: "find", Phase.CREATING: "create", Phase.EXECUTING: "exec"}
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

    ``at_least`` is the lower bound of the rate at 95 % confidence. ``thread`` is the one that failed, at ``where``.
    ``graph`` and ``stacks`` stood so at the moment when it closed the cycle.
    """

    answer: Answer
    seen: int
    runs: int
    at_least: float = 0.0
    outcome: ImportOutcome | None = None
    thread: str = ""
    error: str = ""
    where: str = ""
    graph: tuple[Wait, ...] = ()
    stacks: tuple[ThreadStack, ...] = ()


def outcome_of(report: Mapping[str, Any]) -> ImportOutcome | None:
    """Return the outcome in one word, None when the schedule was not reached.

    A thread that the schedule still holds did not hang by itself.
    """
    if report["unfinished"]:
        hangs = any(thread not in report["held"] for thread in report["unfinished"])
        return ImportOutcome.HANG if hangs else None
    kinds = {error["type"] for error in report["errors"].values()}
    if DEADLOCK_ERROR in kinds:
        return ImportOutcome.ERROR
    return ImportOutcome.PARTIAL if kinds else ImportOutcome.OK


def weigh(reports: Sequence[Mapping[str, Any]], runs: int, failed: str = "") -> Proof:
    """Weigh the reports of ``runs`` directed runs. One run that goes wrong confirms; ``seen`` counts those that did.

    ``failed`` says how the last of the runs without a report ended, in which the schedule was not reached.
    """
    wrong = [report for report in reports if outcome_of(report) not in {ImportOutcome.OK, None}]
    if not wrong:
        reached = any(report["reached"] and not report["held"] for report in reports)
        return Proof(answer=Answer.REFUTED if reached else Answer.NOT_REACHED, seen=0, runs=runs, error=failed)
    first = wrong[0]
    thread = next(iter(sorted(first["errors"])), "")
    error = first["errors"].get(thread, {})
    return Proof(
        answer=Answer.CONFIRMED,
        seen=len(wrong),
        runs=runs,
        at_least=round(lower_bound(len(wrong), runs), 3),
        outcome=outcome_of(first),
        thread=thread,
        # The address of the lock is another one in each run.
        error=f"{error['type']}: {_ADDRESS.sub('', error['text'])}" if error else failed,
        where=error.get("where", ""),
        graph=msgspec.convert(first["graph"], tuple[Wait, ...]),
        stacks=msgspec.convert(first["stacks"], tuple[ThreadStack, ...]),
    )


def prove(probe: Probe, hazard: Hazard, runs: int, main: Sequence[str] = ()) -> Proof:
    """Drive two threads into the hazard in ``runs`` fresh processes and weigh what they met."""
    reports: list[dict[str, Any]] = []
    failed = ""
    for _ in range(runs):
        try:
            reports.append(run_directed(probe, hazard, main=main))
        except SubjectError as error:
            failed = one_line(error.message)
    return weigh(reports, runs, failed)


def run_directed(probe: Probe, hazard: Hazard, *, main: Sequence[str] = ()) -> dict[str, Any]:
    """Drive two threads into the hazard in a fresh process, after importing ``main``, and return what they met."""
    plan = {
        "first": _steps(hazard.first, hazard.calls[0]),
        "second": _steps(hazard.second, hazard.calls[1]),
        "point": _PAUSES[hazard.stop.phase],
        "module": hazard.stop.module,
        "main": list(main),
        "lazy": probe.lazy,
        "deadline": HANG_SECONDS,
    }
    what = f"the run of {hazard.first} against {hazard.second}"
    return probe.ask(
        ["confirm", json.dumps(plan)], what=what, deadline=max(START_SECONDS, probe.patience) + HANG_SECONDS
    )


def _steps(entry: str, later: Sequence[ImportRequest]) -> list[dict[str, Any]]:
    first = ImportRequest(module=home(entry), manner=Manner.STATEMENT, file="", line=0)
    return [
        {
            "module": each.module,
            "names": each.names,
            "manner": each.manner.value,
            "lazy": [each.lazy.owner, each.lazy.name] if each.lazy else None,
        }
        for each in (first, *later)
    ]
