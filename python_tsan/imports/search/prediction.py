"""Search the schedules of two threads on the model, so that no hazard is missed.

Each place where T1 can stop is a schedule (after CHESS: Musuvathi and Qadeer, "Iterative context bounding", PLDI 2007).
Most are left out because they cannot show anything new; docs/decisions/import-predictor.md has the proof for
each rule, and a test compares with a search that leaves out nothing. Pure, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from python_tsan.imports.model.lock_order import askers, cyclic_modules, lock_order, targets
from python_tsan.imports.model.program_model import FIRST, Model, home
from python_tsan.imports.search.blocked_threads import ABSENT, BlockedThread, BlockedThreads, Walk
from python_tsan.imports.search.decision_tree import DecisionTree
from python_tsan.imports.search.preemption_points import Period, periods
from python_tsan.imports.search.schedules import Hazard, Pair, try_schedule
from python_tsan.imports.search.solo_trace import SoloTrace, State, Stop, trace_solo

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence


class Part(NamedTuple):
    """Part ``number``, from 0, of ``parts`` of all pairs: those of which the second entry has such a place."""

    number: int
    parts: int


WHOLE = Part(0, 1)


def in_order(hazards: Iterable[Hazard], entries: Sequence[str]) -> list[Hazard]:
    """Return what was found of several parts as a search of all of them finds it: in its order, the first for locks."""
    places = {entry: place for place, entry in enumerate(entries)}

    def place(hazard: Hazard) -> tuple[int, int, int]:
        return _calls_in((hazard.first, hazard.second)), places[hazard.first], places[hazard.second]

    first: dict[tuple[str, str], Hazard] = {}
    for hazard in sorted(hazards, key=place):
        first.setdefault(hazard.locks, hazard)
    return list(first.values())


def predict(
    model: Model,
    entries: tuple[str, ...],
    advance: Callable[[float], None] = lambda _fraction: None,
    *,
    leave_out: Callable[[int], bool] = lambda _pairs: False,
    part: Part = WHOLE,
) -> Iterator[Hazard]:
    """Yield the hazards between each two of ``entries``: for each two locks the first pair of entries that meets there.

    Many pairs meet at the same locks, as all modules of one package may, and what removes one hazard removes the rest.
    Imports of modules come first, then pairs with one call and pairs of two calls, each in the order of the entries.
    ``advance`` receives how much of the search is done, from 0 to 1. ``leave_out`` is asked before each pair with a
    call, and before each stop within it, whether that pair and those behind it are to be left out; it receives their
    number. With ``part``, only those pairs are searched; :func:`in_order` joins what is found.
    """
    cyclic = cyclic_modules(model.program, model.rules)
    search = _Search(model=model, cyclic=cyclic, askers=askers(lock_order(model.program, model.rules)))
    traces = _Traces(model=model, cyclic=cyclic)
    seconds = frozenset(entries[part.number :: part.parts])
    pairs = sorted((pair for pair in permutations(entries, 2) if pair[1] in seconds), key=_calls_in)
    for done, (first, second) in enumerate(pairs):
        advance(done / len(pairs))
        is_over = partial(leave_out, len(pairs) - done) if _calls_in((first, second)) else _never
        if is_over():
            return
        if traces[first].cycles & traces[second].cycles:
            yield from search.between(Pair(first, second), traces, is_over)


def _never() -> bool:
    return False


def _calls_in(pair: tuple[str, str]) -> int:
    return sum(":" in entry for entry in pair)


class _Traces(dict[str, SoloTrace]):
    """What each entry does alone, found out when it is first needed: of calls that are left out it is not."""

    def __init__(self, *, model: Model, cyclic: Mapping[str, int]) -> None:
        super().__init__()
        self._model, self._cyclic = model, cyclic

    def __missing__(self, entry: str) -> SoloTrace:
        machine = self._model.machine()
        trace = self[entry] = trace_solo(machine, self._model.start(machine, FIRST, entry), self._cyclic)
        return trace


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """What need not be tried again: two locks that are a hazard, and a T1 that has come the same way and sees the same.

    Calls of one module share its import: T1 is stopped once within that (``homes``), for by its end all that it took is
    released. ``blocked_by_entry`` are those of each T2.
    """

    model: Model
    cyclic: Mapping[str, int]
    askers: Mapping[str, frozenset[str]]
    found: set[tuple[str, str]] = field(default_factory=set)
    tried: dict[Hashable, DecisionTree[bool]] = field(default_factory=dict)
    homes: set[Pair] = field(default_factory=set)
    periods: dict[str, list[Period]] = field(default_factory=dict)
    blocked_by_entry: dict[str, BlockedThreads] = field(default_factory=dict)

    def between(
        self, pair: Pair, traces: Mapping[str, SoloTrace], is_over: Callable[[], bool] = _never
    ) -> Iterator[Hazard]:
        """Try T1 at each stop at which T2 would sleep elsewhere than at the one before, until the time is over."""
        one = traces[pair.first]
        memory = self.blocked_by_entry.setdefault(pair.second, BlockedThreads(self.model, pair.second))
        walk = Walk(memory, one, {name: State(phase, owned=False) for name, phase in self.model.phases.items()})
        number = len(traces[home(pair.first)].stops) if self._knows_home(pair) else 0
        for first, last in self._spans(pair, traces):
            number = max(number, first)
            while number <= last and not is_over():
                blocked = walk.look(number)
                if blocked.awaited:
                    yield from self._at(one.stops[number], pair, walk, blocked)
                    # The one thing that T1 can do unseen is to find absent what T2 has loaded or is loading by then.
                    for later in one.asks_between(number, walk.until):
                        if one.stops[later].point.module in blocked.changes:
                            walk.go_to(later)
                            yield from self._at(one.stops[later], pair, walk, blocked)
                number = walk.until

    def _spans(self, pair: Pair, traces: Mapping[str, SoloTrace]) -> Iterator[tuple[int, int]]:
        """Yield first and last stops between which T2 can come to hold what T1 takes later."""
        one = traces[pair.first]
        if self.model.finders_import:
            yield 0, len(one.stops) - 1
            return
        if pair.first not in self.periods:
            self.periods[pair.first] = periods(one, self.cyclic, self.askers, self.model.phases)
        direct, lookups = self._asked_directly(pair.second), traces[pair.second].lookups
        for period in self.periods[pair.first]:
            yield period.first, period.until(direct, lookups)

    def _at(self, stop: Stop, pair: Pair, walk: Walk, blocked: BlockedThread) -> Iterator[Hazard]:
        """Try one stop, unless T1 cannot request what T2 holds, at two locks that are no hazard yet."""
        one, states = walk.one, walk.states
        if self._crossings(stop, one, blocked) <= self.found:
            return
        way = one.way_to(stop, blocked.awaited)

        def see(name: str) -> Hashable:
            return states.get(name, ABSENT), blocked.changes.get(name), blocked.lines.get(name)

        if any(key in self.tried and self.tried[key].find(see) for key in (way, (way, pair.first))):
            return
        trial = try_schedule(self.model, pair, stop.step)
        self.tried.setdefault((way, pair.first) if trial.by_callers else way, DecisionTree()).add(
            trial.lookups, see, leaf=True
        )
        if trial.hazard and trial.hazard.locks not in self.found:
            self.found.add(trial.hazard.locks)
            yield trial.hazard

    def _crossings(self, stop: Stop, one: SoloTrace, blocked: BlockedThread) -> set[tuple[str, str]]:
        """Return the two locks of each meeting that may come of it, before T1 lets T2 continue."""
        component = self.cyclic.get(blocked.awaited)
        if component is None:
            return set()
        return {
            (blocked.awaited, name)
            for name in blocked.held
            if self.cyclic.get(name) == component and one.looks_up(name, stop, blocked.awaited)
        }

    def _asked_directly(self, entry: str) -> frozenset[str]:
        """Return what a thread may request outside any module: its entry with the parents, and what a call requests."""
        parts = home(entry).split(".")
        parents = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        called = (name for each in self.model.calls.get(entry, ()) for name in targets(each, self.model.program))
        return frozenset([*parents, *called])

    def _knows_home(self, pair: Pair) -> bool:
        """Return whether T1 has been stopped within the import of this module before, and note that it now is."""
        shared = Pair(home(pair.first), pair.second)
        known = shared in self.homes
        self.homes.add(shared)
        return known
