"""Decide whether two parts of a program's run are ordered by the creation and the joins of threads. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.locks.model import Order


@dataclass(slots=True)
class HappensBefore:
    """Segments in time. ``segments`` has the thread of each by number, ``orders`` are the edges between threads."""

    segments: Sequence[int]
    orders: Sequence[Order]
    _next: dict[int, list[int]] = field(init=False)
    _after: dict[int, frozenset[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        following = defaultdict(list)
        of_thread: dict[int, list[int]] = defaultdict(list)
        for segment, thread in enumerate(self.segments):
            of_thread[thread].append(segment)
        for own in of_thread.values():
            for before, after in pairwise(own):
                following[before].append(after)
        for order in self.orders:
            following[order.before].append(order.after)
        self._next = following

    def concurrent(self, one: int, other: int) -> bool:
        """Return whether neither segment is over before the other begins."""
        return other not in self._reached(one) and one not in self._reached(other)

    def _reached(self, start: int) -> frozenset[int]:
        known = self._after.get(start)
        if known is None:
            seen = {start}
            todo = [start]
            while todo:
                for each in self._next.get(todo.pop(), ()):
                    if each not in seen:
                        seen.add(each)
                        todo.append(each)
            known = self._after[start] = frozenset(seen)
        return known
