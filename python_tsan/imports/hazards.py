"""Own the prediction: which pairs of entry points can deadlock or break each other, and by which schedule.

Two threads need one preemption to reach a deadlock that two module locks make: T1 stops with a lock held, T2 runs
until it sleeps on it, T1 goes on. Each place where T1 can stop is tried on the model (after CHESS: Musuvathi and
Qadeer, "Iterative context bounding", PLDI 2007). Running real threads is left to ``confirm``. Pure, no I/O.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from python_tsan.imports.alone import run_alone
from python_tsan.imports.graph import cyclic_modules
from python_tsan.imports.half_made import breaks
from python_tsan.imports.machine import Machine
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.steps import GLOBAL, Deadlock, Phase, Point, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from python_tsan.imports.alone import Alone, Stop
    from python_tsan.imports.requests import Program, Request
    from python_tsan.imports.rules import Rules
    from python_tsan.imports.steps import Step

    Stack = Sequence[tuple[str, Request | None]]

FIRST, SECOND, MAIN = "T1", "T2", "main"
SENT_UNASKED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One module of a chain and the place of the request that brought it in (empty for an entry or a parent)."""

    module: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """Two imports that can break each other.

    T1 imports ``first`` and stops at ``stop``; T2 imports ``second`` and sleeps on ``awaited``, which T1 holds; T1 goes
    on and asks for ``closing``, which T2 holds. An entry ``module:function`` is an import and the requests of a call,
    which are the thread's ``calls``. ``chains`` are the modules that T1 and T2 are loading then, outermost first.
    """

    first: str
    second: str
    stop: Point
    awaited: str
    closing: str
    outcome: ImportOutcome
    chains: tuple[tuple[Link, ...], tuple[Link, ...]]
    calls: tuple[tuple[Request, ...], tuple[Request, ...]] = ((), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a prediction rests on.

    ``read`` gives the text of a source file, None where there is none; ``phases`` is how far each module is when the
    threads begin (a module that it does not name is absent). ``calls`` has what a thread asks for besides after it has
    imported an entry, by entry.
    """

    program: Program
    rules: Rules
    read: Callable[[str], str | None]
    phases: Mapping[str, Phase] = field(default_factory=dict)
    calls: Mapping[str, tuple[Request, ...]] = field(default_factory=dict)
    finders_import: bool = False

    def machine(self) -> Machine:
        """Return the import system as the threads find it."""
        return Machine(self.program, self.rules, phases=dict(self.phases), finders_import=self.finders_import)

    def start(self, machine: Machine, thread: str, entry: str) -> Step:
        """Return the steps of ``thread`` at the imports of ``entry``."""
        return machine.start(thread, entry.partition(":")[0], *self.calls.get(entry, ()))

    def imported_by(self, entry: str) -> tuple[str, ...]:
        """Return the modules that a thread imports for an entry, in order."""
        return (_home(entry), *(request.module for request in self.calls.get(entry, ())))

    def after(self, main: Iterable[str]) -> Model:
        """Return the model in which the main thread has imported ``main`` besides, in that order."""
        machine = self.machine()
        for module in main:
            collections.deque(self.start(machine, MAIN, module), maxlen=0)
        return replace(self, phases=machine.phases)


def predict(model: Model, entries: tuple[str, ...]) -> Iterator[Hazard]:
    """Yield the hazards between each two of ``entries``: for each two locks the first pair of entries that meets there.

    Many pairs meet at the same locks, as all modules of one package may, and what removes one hazard removes the rest.
    """
    seen = _Seen()
    cyclic = cyclic_modules(model.program, model.rules)
    alone = {entry: _run_alone(model, entry, cyclic) for entry in {*entries, *map(_home, entries)}}
    for first, second in permutations(entries, 2):
        if alone[first].cycles & alone[second].cycles:
            yield from _predict_pair(model, Pair(first, second), alone, cyclic, seen)


def _run_alone(model: Model, entry: str, cyclic: dict[str, int]) -> Alone:
    machine = model.machine()
    return run_alone(machine, model.start(machine, FIRST, entry), cyclic)


def _home(entry: str) -> str:
    """Return the module of an entry: what a thread imports before it makes the requests of a call."""
    return entry.partition(":")[0]


class Pair(NamedTuple):
    """The entries of T1, which is stopped, and of T2."""

    first: str
    second: str


@dataclass(slots=True)
class _Seen:
    """What need not be tried again: two locks that are a hazard, and T1 at a stop with T2 asleep as once before.

    Calls of one module share its import: T1 is tried once at the stops of that import (``homes``), for by its end all
    that it took is released; and a T2 that sleeps within that import does so whatever it would call (``asleep``, by
    the entry of T1 and the module of T2: the numbers of such stops).
    """

    locks: set[tuple[str, str]] = field(default_factory=set)
    meetings: set[tuple[Point, str, tuple[str, ...], Request | None]] = field(default_factory=set)
    homes: set[Pair] = field(default_factory=set)
    asleep: dict[Pair, set[int]] = field(default_factory=dict)

    def knows_home(self, pair: Pair) -> bool:
        """Tell whether T1 has been stopped within the import of this module before, and note that it now is."""
        home = Pair(_home(pair.first), pair.second)
        known = home in self.homes
        self.homes.add(home)
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sleeper:
    """T2 asleep: on which lock of T1's, which locks it holds, and the modules whose state has made it come there.

    ``at_home``: within the import of its entry's module, and not in what it calls after that.
    """

    awaited: str
    at_home: bool
    asking: Request | None
    held: tuple[str, ...]
    looked_at: frozenset[str]


def _predict_pair(
    model: Model, pair: Pair, alone: Mapping[str, Alone], cyclic: dict[str, int], seen: _Seen
) -> Iterator[Hazard]:
    """Try each stop of T1 at which T2 would sleep elsewhere than at the one before.

    T2 does the same at two stops when nothing that it goes by has changed between them, and then T1 closes the same
    cycle from both, unless it has found absent by then what T2 is about to load.
    """
    one, other = alone[pair.first], alone[pair.second]
    known = len(alone[_home(pair.first)].stops) if seen.knows_home(pair) else 0
    phases = dict(model.phases)
    sleeper: _Sleeper | None = None
    sent = 0
    asleep = seen.asleep.setdefault(Pair(pair.first, _home(pair.second)), set())
    tried = frozenset(asleep)
    for number, stop in enumerate(one.stops):
        phases.update(stop.news)
        if sleeper is not None and not sleeper.looked_at.isdisjoint(stop.news):
            sleeper = None
        if number < known or number in tried:
            continue
        fresh = False
        if sleeper is None:
            # Asking first costs more than T2 where it sleeps early, and much less where it goes a long way.
            if sent >= SENT_UNASKED and not (model.finders_import or _may_cross(stop, other, phases, cyclic)):
                continue
            sleeper = _send(replace(model, phases=phases), stop, pair.second)
            sent += 1
            fresh = True
        if sleeper.at_home:
            asleep.add(number)
        if not (fresh or (stop.point.phase is Phase.ASKING and stop.point.module in sleeper.held)):
            continue
        # The global import lock is asked for with every module.
        wanted = (name for name in sleeper.held if name == GLOBAL or one.last_asked.get(name, -1) >= stop.asked)
        crossed = {(sleeper.awaited, name) for name in wanted if _on_one_cycle(sleeper.awaited, name, cyclic)}
        meeting = (stop.point, sleeper.awaited, sleeper.held, sleeper.asking)
        if crossed <= seen.locks or meeting in seen.meetings:
            continue
        seen.meetings.add(meeting)
        hazard = _try(model, pair, stop.point)
        if hazard and (hazard.awaited, hazard.closing) not in seen.locks:
            seen.locks.add((hazard.awaited, hazard.closing))
            yield hazard


def _may_cross(stop: Stop, other: Alone, phases: Mapping[str, Phase], cyclic: dict[str, int]) -> bool:
    """Tell whether T2 would ask for a module that T1 holds while it holds another of the same cycle itself.

    It asks for the module first where, alone, it does so within nothing that T1 has completed.
    """
    held_by_first = frozenset(stop.held)
    for awaited in stop.held:
        held = next((each for each in other.held_at.get(awaited, ()) if not _completed(each, phases)), ())
        # What T1 holds stops T2 before it can hold it.
        if held_by_first.isdisjoint(held) and any(_on_one_cycle(awaited, name, cyclic) for name in held):
            return True
    return False


def _completed(names: tuple[str, ...], phases: Mapping[str, Phase]) -> bool:
    return any(phases.get(name) is Phase.DONE for name in names)


def _on_one_cycle(one: str, other: str, cyclic: dict[str, int]) -> bool:
    return one in cyclic and cyclic[one] == cyclic.get(other)


def _send(model: Model, stop: Stop, second: str) -> _Sleeper:
    """Run T2 against a T1 that stands at ``stop``, until it sleeps or ends."""
    machine = model.machine()
    machine.lock_for(FIRST, stop.held)
    # While its generator lives, T2 keeps its locks.
    steps = model.start(machine, SECOND, second)
    awaited = _run(steps)
    stack = machine.stacks[SECOND]
    asked_by = stack[0][1] if stack else machine.asking.get(SECOND)
    return _Sleeper(
        awaited=awaited or "",
        at_home=awaited is not None and asked_by is None,
        asking=machine.asking.get(SECOND),
        held=tuple(machine.held_by(SECOND)) if awaited else (),
        looked_at=frozenset(machine.looked_at),
    )


def _try(model: Model, pair: Pair, stop: Point) -> Hazard | None:
    machine = model.machine()
    one, two = model.start(machine, FIRST, pair.first), model.start(machine, SECOND, pair.second)
    next(step for step in one if step == stop)
    awaited = _run(two)
    if awaited is None:
        return None
    outcome, closing, stack = _close(machine, one, model.read)
    if outcome is ImportOutcome.OK:
        return None
    return Hazard(
        first=pair.first,
        second=pair.second,
        stop=stop,
        awaited=awaited,
        closing=closing,
        outcome=outcome,
        chains=(_chain(stack), _chain(machine.stacks[SECOND])),
        calls=(model.calls.get(pair.first, ()), model.calls.get(pair.second, ())),
    )


def _run(steps: Step) -> str | None:
    """Run a thread until it sleeps and return the module that it waits for, or None when it ends."""
    return next((step.module for step in steps if isinstance(step, Waiting)), None)


def _close(machine: Machine, steps: Step, read: Callable[[str], str | None]) -> tuple[ImportOutcome, str, Stack]:
    """Run T1 on, to the cycle or to its end: what comes of it, which module it asked for, what it was loading."""
    judged = 0
    try:
        for step in steps:
            for handout in machine.handouts[judged:]:
                if breaks(machine, handout, read):
                    return ImportOutcome.PARTIAL, handout.module, handout.stack
            judged = len(machine.handouts)
            if isinstance(step, Waiting) and machine.is_stuck(FIRST, SECOND):
                return ImportOutcome.HANG, step.module, machine.stacks[FIRST]
            if machine.owner_wanted_by(SECOND) != FIRST:
                # T2 can go on meanwhile. What T1 may then want of it is a conflict with which another stop begins.
                return ImportOutcome.OK, "", ()
    except Deadlock as deadlock:
        return ImportOutcome.ERROR, deadlock.module, machine.stacks[FIRST]
    broken = next((each for each in machine.handouts[judged:] if breaks(machine, each, read)), None)
    return (ImportOutcome.PARTIAL, broken.module, broken.stack) if broken else (ImportOutcome.OK, "", ())


def _chain(stack: Stack) -> tuple[Link, ...]:
    return tuple(Link(module=name, place=_place(request)) for name, request in stack)


def _place(request: Request | None) -> str:
    return request.place if request else ""


PAUSES = {Phase.ASKING: "ask", Phase.FINDING: "find", Phase.CREATING: "create", Phase.EXECUTING: "exec"}
