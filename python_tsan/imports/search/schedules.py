"""Define a hazard, and try one schedule on the model: T1 stops, T2 runs until it blocks, T1 goes on.

Two threads need one preemption to reach a deadlock that two module locks make. Which schedules are tried is
decided in ``prediction``; ``confirm`` runs real threads. Pure, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from python_tsan.imports.model.program_model import FIRST, SECOND
from python_tsan.imports.model.steps import Deadlock, Point, Waiting
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.search.partial_modules import breaks, hinges_on_callers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.imports.model.import_system import ImportSystem
    from python_tsan.imports.model.program_model import Model
    from python_tsan.imports.model.requests import ImportRequest
    from python_tsan.imports.model.source import Sources
    from python_tsan.imports.model.steps import Step

    Stack = Sequence[tuple[str, ImportRequest | None]]


class Pair(NamedTuple):
    """The entries of T1, which is stopped, and of T2."""

    first: str
    second: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One module of a chain, and where the statement is that requested it (empty for an entry or a parent).

    Where that is the first use of a lazy name, ``lazy_where`` is the import that binds it. The texts of both statements
    are filled in when a hazard is shown.
    """

    module: str
    where: str
    statement: str = ""
    lazy_where: str = ""
    lazy_statement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """Two imports that can break each other.

    T1 imports ``first`` and stops at ``stop``; T2 imports ``second`` and sleeps on ``awaited``, which T1 holds; T1 goes
    on and requests ``closing``, which T2 holds. An entry ``module:function`` is an import and the requests of a call,
    which are the thread's ``calls``. ``chains`` are the modules that T1 and T2 are loading then, outermost first, and
    ``requests`` is where T1 requests ``closing`` and T2 requests ``awaited``.
    """

    first: str
    second: str
    stop: Point
    awaited: str
    closing: str
    outcome: ImportOutcome
    chains: tuple[tuple[Link, ...], tuple[Link, ...]]
    calls: tuple[tuple[ImportRequest, ...], tuple[ImportRequest, ...]] = ((), ())
    requests: tuple[Link | None, Link | None] = (None, None)

    @property
    def locks(self) -> tuple[str, str]:
        """The two locks at which the threads meet."""
        return self.awaited, self.closing


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one schedule: a hazard or nothing, and what T1 looked up once T2 was blocked.

    ``by_callers``: it depends on what the bodies call that T1 was loading outside.
    """

    hazard: Hazard | None = None
    lookups: tuple[str, ...] = ()
    by_callers: bool = False


def try_schedule(model: Model, pair: Pair, step: int) -> Trial:
    """Stop T1 at the step of this number, run T2 until it sleeps, and let T1 continue."""
    machine = model.machine()
    one = model.start(machine, FIRST, pair.first)
    two = model.start(machine, SECOND, pair.second, stops=False)
    stop = next(islice(one, step, None))
    awaited = run_until_blocked(two)
    if awaited is None or not isinstance(stop, Point):
        return Trial()
    begun = len(machine.lookups)
    outcome, closing, stack = _close(machine, one, model.sources)
    lookups = tuple(machine.lookups[begun:])
    by_callers = any(hinges_on_callers(machine, handout, model.sources) for handout in machine.handouts)
    if outcome is ImportOutcome.OK:
        return Trial(lookups=lookups, by_callers=by_callers)
    hazard = Hazard(
        first=pair.first,
        second=pair.second,
        stop=stop,
        awaited=awaited,
        closing=closing,
        outcome=outcome,
        chains=(_chain(stack), _chain(machine.stacks[SECOND])),
        calls=(model.calls.get(pair.first, ()), model.calls.get(pair.second, ())),
        requests=(_link(closing, machine.asking.get(FIRST)), _link(awaited, machine.asking.get(SECOND))),
    )
    return Trial(hazard=hazard, lookups=lookups, by_callers=by_callers)


def run_until_blocked(steps: Step) -> str | None:
    """Run a thread until it sleeps and return the module that it waits for, or None when it ends."""
    return next((step.module for step in steps if isinstance(step, Waiting)), None)


def _close(machine: ImportSystem, steps: Step, sources: Sources) -> tuple[ImportOutcome, str, Stack]:
    """Run T1 on, to the cycle or to its end: what comes of it, which module it requested, what it was loading."""
    judged = 0
    try:
        for step in steps:
            for handout in machine.handouts[judged:]:
                if breaks(machine, handout, sources):
                    return ImportOutcome.PARTIAL, handout.module, handout.stack
            judged = len(machine.handouts)
            if machine.owner_awaited_by(SECOND) != FIRST:
                # T2 can go on meanwhile. What T1 may then wait for is a conflict with which another stop begins.
                return ImportOutcome.OK, "", ()
            if isinstance(step, Waiting) and machine.owner_awaited_by(FIRST) == SECOND:
                return ImportOutcome.HANG, step.module, machine.stacks[FIRST]
    except Deadlock as deadlock:
        return ImportOutcome.ERROR, deadlock.module, machine.stacks[FIRST]
    broken = next((each for each in machine.handouts[judged:] if breaks(machine, each, sources)), None)
    return (ImportOutcome.PARTIAL, broken.module, broken.stack) if broken else (ImportOutcome.OK, "", ())


def _chain(stack: Stack) -> tuple[Link, ...]:
    return tuple(_link(name, request) for name, request in stack)


def _link(name: str, request: ImportRequest | None) -> Link:
    if request is None:
        return Link(module=name, where="")
    return Link(module=name, where=request.place, lazy_where=request.lazy.place if request.lazy else "")
