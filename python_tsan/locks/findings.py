"""Turn the cycles of a trace into findings. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.locks.model import Mode, Strength
from python_tsan.locks.naming import Namer, raw_line
from python_tsan.tsan.finding import Acquisition, Finding, Kind, Mutex, Source

# A note on a finding, and what a reader of it is shown.
HUNG = "it hung in this run"

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from python_tsan.locks.cycles import Cycle
    from python_tsan.locks.edges import Edge
    from python_tsan.locks.model import LockTrace, TracedLock
    from python_tsan.locks.naming import Lookup


def deadlock_findings(trace: LockTrace, cycles: Sequence[Cycle], file: str, lookup: Lookup) -> Iterator[Finding]:
    """Yield a finding for each cycle. ``file`` is the recording's name."""
    namer = Namer(trace, lookup)
    edges = [edge for cycle in cycles for edge in cycle.edges]
    stacks = [stack for edge in edges for stack in (edge.stack, edge.held.stack)]
    stacks += [namer.threads[each].stack for each in _involved(edges, namer)]
    namer.learn(stacks, {edge.held.lock for edge in edges})
    for cycle in cycles:
        yield _finding(trace, _from_gil(cycle, namer.locks), file, namer)


def _involved(edges: Iterable[Edge], namer: Namer) -> list[int]:
    """Return the threads of some edges, and those that created them."""
    found = dict.fromkeys(edge.thread for edge in edges)
    for each in tuple(found):
        thread = namer.threads.get(each)
        if thread and thread.parent is not None:
            found.setdefault(thread.parent)
    return [each for each in found if each in namer.threads]


def _has_happened(cycle: Cycle, trace: LockTrace) -> bool:
    """Return whether each thread still waited for its lock, and held the other, when the recording ended."""
    live = {each.thread: each for each in trace.live}
    return all(
        (now := live.get(edge.thread)) is not None
        and now.wants == edge.requested
        and any(held.lock == edge.held.lock for held in now.holding)
        for edge in cycle.edges
    )


def _from_gil(cycle: Cycle, locks: Mapping[int, TracedLock]) -> Cycle:
    """Begin a cycle with the GIL, where it is a part of it: a reader knows that lock best."""
    kinds = [locks[lock].kind.is_attachment for lock in cycle.locks]
    start = kinds.index(True) if True in kinds else 0
    return replace(cycle, edges=(*cycle.edges[start:], *cycle.edges[:start]))


def _finding(trace: LockTrace, cycle: Cycle, file: str, namer: Namer) -> Finding:
    numbers = {lock: number for number, lock in enumerate(cycle.locks)}
    mutexes = tuple(namer.mutex(lock, number) for lock, number in numbers.items())
    acquisitions = tuple(_acquisition(edge, numbers, namer) for edge in cycle.edges)
    threads = tuple(namer.thread(each) for each in _involved(cycle.edges, namer) if not namer.is_main(each))
    names = ", ".join(mutex.name or mutex.kind for mutex in mutexes)
    return Finding(
        kind=Kind.POSSIBLE_DEADLOCK,
        title=Kind.POSSIBLE_DEADLOCK.value,
        pid=trace.pid,
        source=Source(file=file, first_line=1, last_line=1),
        raw="\n".join(_lines(mutexes, acquisitions)),
        threads=threads,
        mutexes=mutexes,
        cycle=tuple(numbers.values()),
        acquisitions=acquisitions,
        notes=(HUNG,) if _has_happened(cycle, trace) else (),
        summary=f"{Kind.POSSIBLE_DEADLOCK.value}: {names}",
    )


def _acquisition(edge: Edge, numbers: Mapping[int, int], namer: Namer) -> Acquisition:
    asked, held = namer.place(edge.stack), namer.place(edge.held.stack)
    return Acquisition(
        mutex=numbers[edge.requested],
        holding=numbers[edge.held.lock],
        thread=edge.thread,
        main_thread=namer.is_main(edge.thread),
        stack=asked.stack,
        holding_stack=held.stack if held.stack.frames else None,
        call=asked.call,
        write=edge.mode is Mode.WRITE,
        weak=edge.strength is Strength.WEAK,
    )


def _lines(mutexes: Sequence[Mutex], acquisitions: Sequence[Acquisition]) -> Iterator[str]:
    yield Kind.POSSIBLE_DEADLOCK.value
    names = {mutex.id: mutex.name or f"{mutex.kind} {mutex.address or mutex.id:#x}" for mutex in mutexes}
    for edge in acquisitions:
        yield f"  thread T{edge.thread} held {names[edge.holding]} when it asked for {names[edge.mutex]}"
        for what, stack in (("asked", edge.stack), ("took", edge.holding_stack)):
            for frame in stack.frames if stack else ():
                yield f"    {what} {raw_line(frame)}"
