"""Search a lock graph for cycles that can be deadlocks (Goodlock: Havelund 2000; Bensalem and Havelund 2005). Pure.

A cycle counts if each edge is of another thread, no two of its edges share a lock that keeps them apart (a gate), no
two readers wait for each other (unless a lock keeps them behind writers that wait), and creation and joins of threads
order none of its edges.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from python_tsan.collector import paused
from python_tsan.components import component_of
from python_tsan.locks.edges import Edge, LockGraph
from python_tsan.locks.happens_before import HappensBefore
from python_tsan.locks.lock_functions import lock_functions, makers
from python_tsan.locks.model import LockKind, Mode, Strength
from python_tsan.locks.places import Place, Serving, lock_class, site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.locks.model import CallStack, LockTrace

# Paths that are extended in one search: less than a second's worth. A longer search is incomplete, and says so.
MOST_PATHS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """Edges that close a cycle: the lock that each asks for is held by the next, the last one's by the first."""

    edges: tuple[Edge, ...]

    @property
    def strength(self) -> Strength:
        """Weak, if one edge is."""
        weak = any(edge.strength is Strength.WEAK for edge in self.edges)
        return Strength.WEAK if weak else Strength.STRONG

    @property
    def locks(self) -> tuple[int, ...]:
        """The locks, each before the one that was asked for while it was held."""
        return tuple(edge.held.lock for edge in self.edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The cycles of a trace, one for each set of locks and places. ``complete`` is False if the search was cut."""

    cycles: tuple[Cycle, ...]
    complete: bool


@dataclass(slots=True)
class _Path:
    """Edges from the lock that ``start`` holds to another, the last one first, and what they hold together.

    ``kinds`` are the classes of its locks.
    """

    start: Edge
    edge: Edge
    before: _Path | None
    threads: frozenset[int]
    locks: frozenset[int]
    kinds: frozenset[int]
    exclusive: frozenset[int]
    shared: frozenset[int]

    def edges(self) -> tuple[Edge, ...]:
        found: list[Edge] = []
        path: _Path | None = self
        while path:
            found.append(path.edge)
            path = path.before
        return tuple(reversed(found))


@paused()
def find_cycles(trace: LockTrace, *, most_paths: int = MOST_PATHS) -> Search:
    """Return the cycles of ``trace``: those of strong edges alone first, short ones before long ones."""
    graph = LockGraph(trace)
    edges = graph.edges(component_of(graph.successors()))
    searcher = _Searcher(trace, most_paths)
    strong = [edge for edge in edges if edge.strength is Strength.STRONG]
    complete = searcher.search(strong)
    if len(strong) < len(edges):
        complete = searcher.search(edges) and complete
    return Search(cycles=tuple(searcher.found), complete=complete)


@dataclass(slots=True)
class _Searcher:
    """Collects cycles. ``_known`` are the places of those found, by the classes of their locks in order."""

    trace: LockTrace
    most_paths: int
    found: list[Cycle] = field(default_factory=list)
    _class_of: dict[int, int] = field(default_factory=dict)
    _sites: dict[int, Place] = field(default_factory=dict)
    _known: dict[tuple[int, ...], set[Place]] = field(default_factory=dict)
    _partners: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    _modules: frozenset[int] = field(init=False)
    _attachments: frozenset[int] = field(init=False)
    _order: HappensBefore = field(init=False)
    _serving: Serving = field(init=False)

    def __post_init__(self) -> None:
        self._order = HappensBefore(self.trace.segments, self.trace.orders)
        self._modules = frozenset(lock.id for lock in self.trace.locks if lock.kind is LockKind.MODULE)
        self._attachments = frozenset(lock.id for lock in self.trace.locks if lock.kind.is_attachment)
        self._serving = lock_functions(self.trace)
        creating = makers(lock.created for lock in self.trace.locks)
        numbers: dict[Place, int] = {}
        for lock in self.trace.locks:
            self._class_of[lock.id] = numbers.setdefault(lock_class(lock, creating), len(numbers))

    def search(self, edges: Sequence[Edge]) -> bool:
        """Add the cycles of these edges, without those of locks that a shorter one has; False if it was cut.

        Each cycle is followed from its least lock only.
        """
        before = frozenset(self._known)
        after: dict[int, list[Edge]] = defaultdict(list)
        between: dict[tuple[int, int], list[Edge]] = defaultdict(list)
        for edge in edges:
            after[edge.held.lock].append(edge)
            between[edge.held.lock, edge.requested].append(edge)
        starts = [edge for edge in edges if edge.requested > edge.held.lock]
        for edge in starts:
            for back in between.get((edge.requested, edge.held.lock), ()):
                if _fits(edge, edge, back):
                    self._close((edge, back), before)
        longer = [edge for edge in starts if not self._is_pair(edge)] if self._partners else starts
        paths: deque[Edge | _Path] = deque(longer[: self.most_paths])
        left = self.most_paths - len(longer)
        while paths:
            start = paths.popleft()
            path = self._start(start) if isinstance(start, Edge) else start
            for edge in after[path.edge.requested]:
                left -= 1
                if left < 0:
                    return False
                if _fits(path, path.edge, edge):
                    self._follow(path, edge, paths, before)
        return left >= 0

    def _is_pair(self, edge: Edge) -> bool:
        """Return whether its two locks are a cycle: a longer one with both of them adds nothing."""
        partners = self._partners.get(self._class_of[edge.held.lock], ())
        return self._class_of[edge.requested] in partners

    def _follow(self, path: _Path, edge: Edge, paths: deque[Edge | _Path], before: frozenset[tuple[int, ...]]) -> None:
        first = path.start.held.lock
        if edge.requested == first:
            if path.before:
                self._close((*path.edges(), edge), before)
        elif edge.requested > first and edge.requested not in path.locks:
            kind = self._class_of[edge.requested]
            if kind not in self._partners or self._partners[kind].isdisjoint(path.kinds):
                paths.append(_extended(path, edge, kind))

    def _close(self, edges: tuple[Edge, ...], before: frozenset[tuple[int, ...]]) -> None:
        if not edges[-1].behind_readers and edges[0].held.mode is Mode.READ:
            return
        if all(edge.held.lock in self._modules for edge in edges):
            return  # importlib notices these, and one thread continues
        kinds = tuple(sorted(self._class_of[edge.held.lock] for edge in edges))
        if kinds in before or self._has_within(kinds):
            return
        sites = {(self._class_of[edge.held.lock], self._class_of[edge.requested], self._place(edge)) for edge in edges}
        known = self._known.get(kinds, set())
        if sites <= known or not self._concurrent(edges):
            return
        self._known[kinds] = known | sites
        if len(kinds) == 2:  # noqa: PLR2004 -- a pair
            self._partners[kinds[0]].add(kinds[1])
            self._partners[kinds[1]].add(kinds[0])
        self.found.append(Cycle(edges=edges))

    def _has_within(self, kinds: tuple[int, ...]) -> bool:
        """Return whether some of these locks are a cycle that is known; pairs were left out on the way."""
        return any(2 < len(each) < len(kinds) and not Counter(each) - Counter(kinds) for each in self._known)  # noqa: PLR2004

    def _concurrent(self, edges: tuple[Edge, ...]) -> bool:
        return all(self._order.concurrent(one.segment, other.segment) for one, other in combinations(edges, 2))

    def _place(self, edge: Edge) -> Place:
        """Return what a reader has to change: a thread may ask for the GIL again at any place after it took a lock."""
        return self._site(edge.held.stack if edge.requested in self._attachments else edge.stack)

    def _site(self, stack: CallStack) -> Place:
        known = self._sites.get(id(stack))
        if known is None:
            known = self._sites[id(stack)] = site(stack, self._serving)
        return known

    def _start(self, edge: Edge) -> _Path:
        locks = frozenset((edge.held.lock, edge.requested))
        kinds = frozenset(self._class_of[lock] for lock in locks)
        return _Path(edge, edge, None, frozenset((edge.thread,)), locks, kinds, edge.exclusive, edge.shared)


def _extended(path: _Path, edge: Edge, kind: int) -> _Path:
    return _Path(
        path.start,
        edge,
        path,
        path.threads | {edge.thread},
        path.locks | {edge.requested},
        path.kinds | {kind},
        path.exclusive | edge.exclusive,
        path.shared | edge.shared,
    )


def _fits(path: _Path | Edge, last: Edge, edge: Edge) -> bool:
    """Return whether ``edge`` can follow ``last``, and be of another thread at the same time as all of ``path``."""
    if not last.behind_readers and edge.held.mode is Mode.READ:
        return False
    other = edge.thread != path.thread if isinstance(path, Edge) else edge.thread not in path.threads
    return other and not edge.excludes(path.exclusive, path.shared)
