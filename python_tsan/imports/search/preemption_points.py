"""Find where it pays to stop T1: where T2 can come to hold what T1 takes later. Pure, no I/O.

T2 holds only what T1 has not touched, and comes to it from its entry by modules that T1 has not touched: those that
both look up in their solo traces. So what T1 takes later is a point up to the stop at which it has touched the last of
these.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from python_tsan.imports.search.solo_trace import Hold, SoloTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptionPoint:
    """T1 takes ``module`` behind its stop ``last``.

    ``ways`` are the modules by which another thread may come to it, each with the last stop at which T1 has not touched
    it, the latest first.
    """

    module: str
    last: int
    ways: Sequence[tuple[int, str]]

    def until(self, direct: Container[str], lookups: Container[str]) -> int:
        """Return the last stop at which T2 can come to hold it, -1 if there is no such stop.

        T2 requests ``direct`` itself, and its solo trace looks up ``lookups``.
        """
        if self.module in direct:
            return self.last
        return min(self.last, next((untouched for untouched, way in self.ways if way in lookups), -1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time in which T1 holds locks of one component, from its stop ``first`` on, and the points in it."""

    first: int
    points: Sequence[PreemptionPoint]

    def until(self, direct: Container[str], lookups: Container[str]) -> int:
        """Return the last stop of the period at which T2 can come to hold what T1 takes later in it, or -1."""
        return max((point.until(direct, lookups) for point in self.points), default=-1)


def periods(
    one: SoloTrace, cyclic: Mapping[str, int], askers: Mapping[str, frozenset[str]], known: Container[str]
) -> list[Period]:
    """Return the periods of T1 in their order; ``known`` are the modules that are no longer absent at its beginning."""
    components: dict[int, list[tuple[Hold, str]]] = {}
    for name, holds in one.holds.items():
        if name in cyclic:
            components.setdefault(cyclic[name], []).extend((hold, name) for hold in holds)
    steps, clocks = [stop.step for stop in one.stops], [stop.clock for stop in one.stops]

    def way(name: str) -> tuple[int, str]:
        return -1 if name in known else one.next_change(name, -1) - 1, name

    ways = {
        name: sorted(map(way, askers.get(name, ())), reverse=True) for taken in components.values() for _, name in taken
    }
    found = []
    for taken in components.values():
        for period in _outermost(sorted(taken, key=lambda each: each[0].begun)):
            first = bisect_left(steps, period[0][0].step)
            points = [
                PreemptionPoint(module=name, last=last, ways=ways[name])
                for hold, name in period
                if (last := bisect_right(clocks, hold.begun) - 1) >= first
            ]
            found.append(Period(first=first, points=points))
    return sorted(found, key=lambda period: period.first)


def _outermost(taken: Sequence[tuple[Hold, str]]) -> Iterator[Sequence[tuple[Hold, str]]]:
    """Yield what is taken while the thread holds any of them: the lock that was taken first is given back last."""
    begun = 0
    for place in range(1, len(taken) + 1):
        if place == len(taken) or taken[place][0].begun >= taken[begun][0].ended:
            yield taken[begun:place]
            begun = place
