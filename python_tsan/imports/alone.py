"""Own what one thread does alone: where it can be stopped, what it holds there, and what it asks for after that.

Pure, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.imports.steps import Phase, Point

if TYPE_CHECKING:
    from python_tsan.imports.machine import Machine
    from python_tsan.imports.steps import Step

ALONE = "T1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A place where the thread can be stopped, and what is new there since the stop before.

    ``asked`` is the number of requests so far, ``held`` the modules whose locks the thread owns, and ``news`` the
    phases of the modules that have changed.
    """

    point: Point
    asked: int
    held: tuple[str, ...]
    news: dict[str, Phase]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """The lone run of one entry.

    ``last_asked`` is the number of the last request for each module; ``cycles`` are those of the lock-order graph that
    the thread comes by; ``held_at`` has what it holds each time it asks for a module that lies on one, in order.
    """

    stops: tuple[Stop, ...]
    last_asked: dict[str, int]
    cycles: frozenset[int]
    held_at: dict[str, tuple[tuple[str, ...], ...]]


def run_alone(machine: Machine, steps: Step, cyclic: dict[str, int]) -> Alone:
    """Run the thread ``ALONE`` to its end and note each stop at which it holds a lock that can be part of a cycle."""
    machine.watched = cyclic
    stops = []
    news: dict[str, Phase] = {}
    seen = 0
    for step in steps:
        if not isinstance(step, Point):
            continue
        for name in machine.changed[seen:]:
            news[name] = machine.phases.get(name, Phase.ABSENT)
        seen = len(machine.changed)
        if step.phase is Phase.ASKING and step.module not in cyclic:
            continue  # nothing is other than at the stop before
        module = machine.program[step.module]
        if step.phase in {Phase.CREATING, Phase.EXECUTING} and not module.file and not module.requests:
            continue  # a namespace package has no loader that could be held, and the next stop will do
        held = tuple(name for name in machine.held_by(ALONE) if name in cyclic)
        if held:
            # What it is about to ask for is still to come.
            asked = len(machine.asks) - (step.phase is Phase.ASKING)
            stops.append(Stop(point=step, asked=asked, held=tuple(machine.held_by(ALONE)), news=news))
            news = {}
    return Alone(
        stops=tuple(stops),
        last_asked={name: place for place, name in enumerate(machine.asks)},
        held_at={name: tuple(held) for name, held in machine.held_at.items()},
        cycles=frozenset(cyclic[name] for name in machine.looked_at if name in cyclic),
    )
