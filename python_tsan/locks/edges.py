"""Turn a trace into the edges of a lock graph: a thread held one lock when it asked for another. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from python_tsan.locks.model import UNKNOWN_PLACE, Holding, LockKind, Mode, Strength

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from python_tsan.locks.model import CallStack, LockTrace, Request, TracedLock, Wake


class Edge(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``thread`` held ``held`` when it asked for ``requested``; the two cannot be the same lock.

    ``exclusive`` and ``shared`` are all locks that it held then, by the mode. Where the held one is a signal, the
    thread was to wake those who wait for it; where it is a THREAD, it is the thread's own life. ``behind_readers`` says
    whether it may wait although only readers have the requested lock.
    """

    thread: int
    segment: int
    held: Holding
    requested: int
    mode: Mode
    behind_readers: bool
    stack: CallStack
    strength: Strength
    exclusive: frozenset[int] = frozenset()
    shared: frozenset[int] = frozenset()

    def excludes(self, exclusive: frozenset[int], shared: frozenset[int]) -> bool:
        """Return whether a thread that holds these locks cannot be at its place while this one is at its own."""
        return not (
            self.exclusive.isdisjoint(exclusive)
            and self.exclusive.isdisjoint(shared)
            and self.shared.isdisjoint(exclusive)
        )


@dataclass(slots=True)
class LockGraph:
    """The edges of a trace by the locks that they connect: cheap to ask which there are, built where needed."""

    trace: LockTrace
    _locks: Mapping[int, TracedLock] = field(init=False)
    _held: list[tuple[Request, tuple[Holding, ...]]] = field(init=False)
    _needed: list[tuple[Wake, Holding]] = field(init=False)
    # By the identity of what is held, which the lists above keep.
    _known_gates: dict[int, tuple[frozenset[int], frozenset[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._locks = {lock.id: lock for lock in self.trace.locks}
        self._held = [each for each in _held_by(self.trace) if each[1]]
        self._needed = list(_needed_by(self.trace))

    def successors(self) -> dict[int, set[int]]:
        """Return the locks that were asked for while another was held, by that other."""
        after: dict[int, set[int]] = defaultdict(set)
        for request, held in self._held:
            for each in held:
                after[each.lock].add(request.lock)
        for wake, needed in self._needed:
            after[wake.lock].add(needed.lock)
        return after

    def edges(self, component_of: Mapping[int, int]) -> list[Edge]:
        """Return the distinct edges inside components that are of two threads or more, strong ones first."""
        threads: dict[int | None, set[int]] = defaultdict(set)
        for request, _ in self._held:
            threads[component_of.get(request.lock)].add(request.thread)
        for wake, _ in self._needed:
            threads[component_of.get(wake.lock)].add(wake.thread)
        several = {lock: number for lock, number in component_of.items() if len(threads[number]) > 1}
        found: dict[tuple[object, ...], Edge] = {}
        for edge in self._inside(several):
            held, weak = edge.held, edge.strength is Strength.WEAK
            # A comparison of members costs less than their hash.
            modes = held.mode is Mode.READ, edge.mode is Mode.READ, weak
            key = (edge.thread, edge.segment, held.lock, edge.requested, modes, edge.exclusive, edge.shared)
            found.setdefault((key, id(edge.stack)), edge)
        return sorted(found.values(), key=lambda edge: edge.strength is Strength.WEAK)

    def _gates(self, held: tuple[Holding, ...]) -> tuple[frozenset[int], frozenset[int]]:
        """Return what keeps other threads out, and what readers hold; each set of locks once."""
        known = self._known_gates.get(id(held))
        if known is None:
            gates = [each for each in held if self._locks[each.lock].kind is not LockKind.THREAD]
            known = (
                frozenset([each.lock for each in gates if each.mode is Mode.WRITE]),
                frozenset([each.lock for each in gates if each.mode is Mode.READ]),
            )
            self._known_gates[id(held)] = known
        return known

    def _inside(self, component_of: Mapping[int, int]) -> Iterator[Edge]:
        for request, held in self._held:
            component = component_of.get(request.lock)
            inside = [each for each in held if component is not None and component_of.get(each.lock) == component]
            if inside:
                exclusive, shared = self._gates(held)
                for each in inside:
                    yield self._edge(request, each, exclusive, shared)
        for wake, needed in self._needed:
            component = component_of.get(wake.lock)
            if component is not None and component == component_of.get(needed.lock):
                yield Edge(
                    thread=wake.thread,
                    segment=wake.segment,
                    held=Holding(lock=wake.lock, stack=wake.stack),
                    requested=needed.lock,
                    mode=needed.mode,
                    behind_readers=self._waits_behind_readers(needed),
                    stack=needed.stack,
                    strength=Strength.WEAK,
                )

    def _edge(self, request: Request, held: Holding, exclusive: frozenset[int], shared: frozenset[int]) -> Edge:
        return Edge(
            thread=request.thread,
            segment=request.segment,
            held=held,
            requested=request.lock,
            mode=request.mode,
            behind_readers=self._waits_behind_readers(request),
            stack=request.stack,
            strength=request.strength,
            exclusive=exclusive,
            shared=shared,
        )

    def _waits_behind_readers(self, asked: Request | Holding) -> bool:
        return asked.mode is Mode.WRITE or self._locks[asked.lock].waits_for_writers


def _held_by(trace: LockTrace) -> Iterator[tuple[Request, tuple[Holding, ...]]]:
    """Yield each request that can block, with what the thread keeps while it waits.

    CPython detaches the thread state for some locks. A thread whose end another waits for keeps its own life, as far as
    it needed the lock on its way there.
    """
    detaching = {lock.id for lock in trace.locks if lock.detaches}
    timed_signals = {lock.id for lock in trace.locks if lock.kind.is_signal}
    attachments = {lock.id for lock in trace.locks if lock.kind.is_attachment}
    lives, last_ways = _lives(trace), {thread.id: thread.last_way for thread in trace.threads}
    for request in trace.requests:
        held = request.holding
        # A wait for a signal that has an end of its own may be repeated for ever.
        if request.timed and request.lock not in timed_signals:
            continue
        if request.strength is Strength.WEAK:
            # A call that may release the lock and request it again.
            held = tuple(each for each in held if each.lock != request.lock)
        elif request.lock in [each.lock for each in held]:
            continue
        if request.lock in detaching:
            held = tuple(each for each in held if each.lock not in attachments)
        life, last_way = lives.get(request.thread), last_ways.get(request.thread)
        # A worker that waited for its next task since then needs the lock no more before it ends.
        if life and life.lock != request.lock and (last_way is None or request.lock in last_way):
            held = (*held, life)
        yield request, held


def _lives(trace: LockTrace) -> dict[int, Holding]:
    """Return what a thread that is joined holds from its start to its end, by thread."""
    created = {thread.id: thread.stack for thread in trace.threads}
    lives = {lock.id: lock.thread for lock in trace.locks if lock.kind is LockKind.THREAD and lock.thread is not None}
    joined = {request.lock for request in trace.requests if request.lock in lives}
    return {lives[lock]: Holding(lock=lock, stack=created.get(lives[lock], UNKNOWN_PLACE)) for lock in joined}


def _needed_by(trace: LockTrace) -> Iterator[tuple[Wake, Holding]]:
    barriers = {lock.id for lock in trace.locks if lock.kind is LockKind.BARRIER}
    always = _always_needed(trace.wakes, trace.requests, barriers)
    for wake in trace.wakes:
        for each in wake.needed:
            if each.lock in always[wake.lock] and each.lock != wake.lock:
                yield wake, each


def _always_needed(
    wakes: Iterable[Wake], requests: Iterable[Request], barriers: Container[int]
) -> dict[int, frozenset[int]]:
    """Return, for each signal, the locks that every thread took before it woke the others.

    One that can be woken without a lock is not blocked by it. A thread that waits for the signal itself cannot wake
    itself, so it counts only where no other does. At a barrier, each thread is waited for.
    """
    waiters: dict[int, set[int]] = defaultdict(set)
    for request in requests:
        waiters[request.lock].add(request.thread)
    of: dict[int, list[Wake]] = defaultdict(list)
    for wake in wakes:
        of[wake.lock].append(wake)
    needed = {}
    for lock, all_of_it in of.items():
        others = [wake for wake in all_of_it if wake.thread not in waiters[lock]] or all_of_it
        sets = [frozenset(each.lock for each in wake.needed) for wake in others]
        needed[lock] = frozenset().union(*sets) if lock in barriers else frozenset.intersection(*sets)
    return needed
