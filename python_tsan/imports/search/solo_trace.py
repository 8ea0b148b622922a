"""Trace one thread by itself: where it can be stopped, what it holds there, and what it looks up after that.

Time is counted in lookups: the clock is the number of times that the thread has looked up the state of a module. Pure,
no I/O.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from python_tsan.imports.model.program_model import FIRST
from python_tsan.imports.model.steps import Phase, Point

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from python_tsan.imports.model.import_system import ImportSystem
    from python_tsan.imports.model.requests import ImportRequest, Manner
    from python_tsan.imports.model.steps import Step


class State(NamedTuple):
    """All that a thread can see of a module: how far it is, and whether one other thread owns its lock."""

    phase: Phase
    owned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A place where the thread can be stopped, and what is new there since the stop before.

    ``step`` is its number among the thread's steps, ``clock`` the time, ``held`` the modules whose locks the thread
    owns, ``news`` the states of the modules that have changed. A stop is named by its place among all stops.
    """

    point: Point
    step: int
    clock: int
    held: tuple[str, ...]
    news: Mapping[str, State]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The time during which the thread holds a lock; ``step`` is its first step then."""

    begun: int
    ended: int
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SoloTrace:
    """The lone run of one entry.

    ``changes`` are the stops at which there is news of a module, and ``asked`` those at which a statement has found one
    absent. ``log`` is what the thread has looked at, in order, and ``looks`` the times of that, by module; ``holds``
    and ``history`` (times and states) are each module's; ``brought`` is how it was requested; ``cycles`` are those of
    the lock-order graph on which it looks up modules.
    """

    stops: tuple[Stop, ...]
    changes: Mapping[str, Sequence[int]]
    asked: Sequence[int]
    log: Sequence[str]
    lookups: Mapping[str, list[int]]
    holds: Mapping[str, list[Hold]]
    history: Mapping[str, list[tuple[int, State]]]
    brought: Mapping[str, tuple[Manner, ImportRequest | None]]
    cycles: frozenset[int]

    def looks_up(self, name: str, stop: Stop, awaited: str) -> bool:
        """Return whether the thread looks up a module between ``stop`` and its next release of the lock ``awaited``."""
        lookups = self.lookups.get(name, ())
        first = bisect_left(lookups, stop.clock)
        return first < len(lookups) and lookups[first] < self._hold(awaited, stop).ended

    def next_change(self, name: str, stop: int) -> int:
        """Return the first stop behind ``stop`` at which there is news of a module, the number of stops if none is."""
        changes = self.changes.get(name, ())
        place = bisect_right(changes, stop)
        return changes[place] if place < len(changes) else len(self.stops)

    def asks_between(self, stop: int, end: int) -> Sequence[int]:
        """Return the stops behind ``stop`` and before ``end`` at which a statement has found a module absent."""
        return self.asked[bisect_right(self.asked, stop) : bisect_left(self.asked, end)]

    def way_to(self, stop: Stop, awaited: str) -> Hashable:
        """Return all that decides what the thread does at ``stop`` since it took the lock ``awaited``.

        That is how it came to load that module, and the states in which it found what it has looked at.
        """
        hold = self._hold(awaited, stop)
        found = frozenset((name, self._state(name, hold.begun)) for name in set(self.log[hold.begun : stop.clock]))
        return awaited, self.brought.get(awaited), stop.step - hold.step, found

    def _hold(self, name: str, stop: Stop) -> Hold:
        return next(hold for hold in self.holds[name] if hold.step <= stop.step and hold.ended >= stop.clock)

    def _state(self, name: str, time: int) -> State | None:
        """Return the state of a module at a time, None for that in which every thread finds it at first."""
        return next((state for when, state in reversed(self.history.get(name, ())) if when < time), None)


@dataclass(slots=True)
class _Notes:
    """What is written down while the thread runs; ``cyclic_held`` counts the locks held that can be part of a cycle."""

    machine: ImportSystem
    cyclic: Mapping[str, int]
    stops: list[Stop] = field(default_factory=list)
    holds: dict[str, list[Hold]] = field(default_factory=dict)
    history: dict[str, list[tuple[int, State]]] = field(default_factory=dict)
    news: dict[str, State] = field(default_factory=dict)
    held: dict[str, tuple[int, int]] = field(default_factory=dict)
    cyclic_held: int = 0
    read: int = 0

    def catch_up(self, step: int) -> None:
        """Take in what has changed since the last step."""
        machine = self.machine
        for time, name in machine.changed[self.read :]:
            owned = machine.owns(FIRST, name)
            state = State(machine.phases.get(name, Phase.ABSENT), owned)
            self.news[name] = state
            self.history.setdefault(name, []).append((time, state))
            if owned and name not in self.held:
                self.held[name] = time, step
                self.cyclic_held += name in self.cyclic
            elif not owned and name in self.held:
                begun, first = self.held.pop(name)
                self.cyclic_held -= name in self.cyclic
                self.holds.setdefault(name, []).append(Hold(begun=begun, ended=time, step=first))
        self.read = len(machine.changed)

    def stop_at(self, point: Point, step: int) -> None:
        """Note a stop, if the thread holds a lock there that can be part of a cycle."""
        if not self.cyclic_held:
            return
        held = tuple(self.machine.held_by(FIRST))
        self.stops.append(Stop(point=point, step=step, clock=len(self.machine.lookups), held=held, news=self.news))
        self.news = {}


def trace_solo(machine: ImportSystem, steps: Step, cyclic: Mapping[str, int]) -> SoloTrace:
    """Run T1 to its end and note each stop at which it holds a lock that can be part of a cycle."""
    notes = _Notes(machine=machine, cyclic=cyclic)
    number = 0
    for number, step in enumerate(steps):
        notes.catch_up(number)
        if isinstance(step, Point) and _matters(step, machine, cyclic):
            notes.stop_at(step, number)
    notes.catch_up(number + 1)
    lookups = _places([name] for name in machine.lookups)
    return SoloTrace(
        stops=tuple(notes.stops),
        changes=_places(stop.news for stop in notes.stops),
        asked=[number for number, stop in enumerate(notes.stops) if stop.point.phase is Phase.ASKING],
        log=machine.lookups,
        lookups=lookups,
        holds=notes.holds,
        history=notes.history,
        brought=machine.brought,
        cycles=frozenset(cyclic[name] for name in lookups if name in cyclic),
    )


def _places(names: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """Return where in a sequence each name stands."""
    found: dict[str, list[int]] = {}
    for place, group in enumerate(names):
        for name in group:
            found.setdefault(name, []).append(place)
    return found


def _matters(point: Point, machine: ImportSystem, cyclic: Mapping[str, int]) -> bool:
    if point.phase is Phase.ASKING:
        return point.module in cyclic  # otherwise nothing is other than at the stop before
    module = machine.program[point.module]
    # A namespace package has no loader that could be held, and the next stop will do.
    return point.phase is Phase.FINDING or bool(module.file or module.requests)
