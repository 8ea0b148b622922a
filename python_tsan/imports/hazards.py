"""Own the prediction: which pairs of entry points can deadlock or break each other, and by which schedule.

Two threads need one preemption to reach a deadlock that two module locks make: T1 stops with a lock held, T2 runs
until it sleeps on it, T1 goes on. Each place where T1 can stop is tried on the model (after CHESS: Musuvathi and
Qadeer, "Iterative context bounding", PLDI 2007). Running real threads is left to ``confirm``. Pure, no I/O.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from python_tsan.imports.bindings import bound_before
from python_tsan.imports.graph import cyclic_modules
from python_tsan.imports.machine import Machine
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.steps import Deadlock, Handout, Phase, Point, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from python_tsan.imports.requests import Program, Request
    from python_tsan.imports.rules import Rules
    from python_tsan.imports.steps import Step

    Stack = Sequence[tuple[str, Request | None]]

FIRST, SECOND, MAIN = "T1", "T2", "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One module of a chain and the place of the request that brought it in (empty for an entry or a parent)."""

    module: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """Two imports that can break each other.

    T1 imports ``first`` and stops at ``stop``; T2 imports ``second`` and sleeps on ``awaited``, which T1 holds; T1 goes
    on and asks for ``closing``, which T2 holds. ``chains`` are the modules that T1 and T2 are loading then, outermost
    first.
    """

    first: str
    second: str
    stop: Point
    awaited: str
    closing: str
    outcome: ImportOutcome
    chains: tuple[tuple[Link, ...], tuple[Link, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a prediction rests on.

    ``read`` gives the text of a source file, None where there is none; ``phases`` is how far each module is when the
    threads begin (a module that it does not name is absent).
    """

    program: Program
    rules: Rules
    read: Callable[[str], str | None]
    phases: Mapping[str, Phase] = field(default_factory=dict)

    def machine(self) -> Machine:
        """Return the import system as the threads find it."""
        return Machine(self.program, self.rules, phases=dict(self.phases))

    def after(self, main: Iterable[str]) -> Model:
        """Return the model in which the main thread has imported ``main`` besides, in that order."""
        machine = self.machine()
        for module in main:
            collections.deque(machine.start(MAIN, module), maxlen=0)
        return replace(self, phases=machine.phases)


def predict(model: Model, entries: tuple[str, ...]) -> Iterator[Hazard]:
    """Yield the hazards between each two of ``entries``, one for each pair of locks."""
    cyclic = cyclic_modules(model.program, model.rules)
    for first in entries:
        stops = _stops(model, first, cyclic)
        for second in entries:
            if first != second:
                yield from _predict_pair(model, first, second, stops)


def _predict_pair(model: Model, first: str, second: str, stops: list[Point]) -> Iterator[Hazard]:
    seen: set[tuple[str, str]] = set()
    for stop in stops:
        hazard = _try(model, first, second, stop)
        if hazard and (hazard.awaited, hazard.closing) not in seen:
            seen.add((hazard.awaited, hazard.closing))
            yield hazard


def _stops(model: Model, entry: str, cyclic: frozenset[str]) -> list[Point]:
    """Return the points of a lone import at which a lock is held that can be part of a cycle."""
    machine = model.machine()
    return [
        step
        for step in machine.start(FIRST, entry)
        if isinstance(step, Point) and not cyclic.isdisjoint(machine.held_by(FIRST))
    ]


def _try(model: Model, first: str, second: str, stop: Point) -> Hazard | None:
    machine = model.machine()
    one, two = machine.start(FIRST, first), machine.start(SECOND, second)
    next(step for step in one if step == stop)
    awaited = _run(two)
    if awaited is None:
        return None
    outcome, closing, stack = _close(machine, one, model.read)
    if outcome is ImportOutcome.OK:
        return None
    return Hazard(
        first=first,
        second=second,
        stop=stop,
        awaited=awaited,
        closing=closing,
        outcome=outcome,
        chains=(_chain(stack), _chain(machine.stacks[SECOND])),
    )


def _run(steps: Step) -> str | None:
    """Run a thread until it sleeps and return the module that it waits for, or None when it ends."""
    return next((step.module for step in steps if isinstance(step, Waiting)), None)


def _close(machine: Machine, steps: Step, read: Callable[[str], str | None]) -> tuple[ImportOutcome, str, Stack]:
    """Run T1 on, to its end or to the cycle: what comes of it, which module it asked for, what it was loading."""
    try:
        for step in steps:
            if isinstance(step, Waiting):
                # T2 has been let go meanwhile and holds what T1 wants now: another stop begins with that conflict.
                return ImportOutcome.OK, "", ()
    except Deadlock as deadlock:
        return ImportOutcome.ERROR, deadlock.module, machine.stacks[FIRST]
    broken = next((each for each in machine.handouts if _breaks(machine, each, read)), None)
    return (ImportOutcome.PARTIAL, broken.module, broken.stack) if broken else (ImportOutcome.OK, "", ())


def _breaks(machine: Machine, handout: Handout, read: Callable[[str], str | None]) -> bool:
    """Tell whether the names that are taken from the half-made module are missing at the line where it stands."""
    request = handout.request
    if request is None or not request.names:
        return False
    module = machine.program[handout.module]
    line = _standing_at(machine, handout)
    source = read(module.file) if line else None
    bound = bound_before(source, line) if source is not None else None
    if bound is None:
        return False
    return any(name not in bound and f"{module.name}.{name}" not in machine.program for name in request.names)


def _standing_at(machine: Machine, handout: Handout) -> int:
    """Return the line of the module's body at which its owner stands, 0 if it is not known."""
    stack = machine.stacks[handout.owner]
    names = [name for name, _ in stack]
    if handout.module not in names:
        return 0
    after = names.index(handout.module) + 1
    request = stack[after][1] if after < len(stack) else machine.asking.get(handout.owner)
    return request.line if request else 0


def _chain(stack: Stack) -> tuple[Link, ...]:
    return tuple(Link(module=name, place=_place(request)) for name, request in stack)


def _place(request: Request | None) -> str:
    return request.place if request else ""


PAUSES = {Phase.CREATING: "create", Phase.EXECUTING: "exec"}
