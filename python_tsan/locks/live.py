"""Say who held and who waited for what when a recording ended: the wait-for graph of a hang. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from python_tsan.locks.model import LockKind, Mode
from python_tsan.locks.naming import Namer
from python_tsan.render.names import at_words, lock_words, who
from python_tsan.result.hang import Hang
from python_tsan.result.model import Waiter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.locks.model import LiveThread, LockTrace
    from python_tsan.locks.naming import Lookup

MAX_THREADS = 20


def cycle_of(trace: LockTrace) -> tuple[tuple[int, int], ...]:
    """Return each thread of a cycle of waits, with the lock that it waits for; nothing without one."""
    wants = {live.thread: live.wants for live in trace.live}
    return tuple((thread, wants[thread] or 0) for thread in _cycle(trace, _holders(trace)))


def explain_hang(trace: LockTrace, lookup: Lookup) -> Hang:
    """Return the threads that wait for a lock, those that wait for each other first.

    Nothing, where no thread waits for what is held and some wait for nothing: then the locks do not explain a hang.
    """
    holders = _holders(trace)
    alone = tuple(live.thread for live in trace.live if _waits_for_itself(live, trace))
    # A call_once that nobody runs is better explained by the stacks.
    once = {lock.id for lock in trace.locks if lock.kind is LockKind.ONCE}
    all_wait = bool(trace.live) and all(live.wants is not None and live.wants not in once for live in trace.live)
    if not alone and not all_wait and not any(_owners(live, holders) for live in trace.live):
        return Hang()
    cycle = _cycle(trace, holders) or alone[:1]
    waiting = [live for live in trace.live if live.wants is not None]
    others = [live for live in trace.live if live.wants is None and any(live.thread in of for of in holders.values())]
    shown = sorted([*waiting, *others], key=lambda live: (live.thread not in cycle, live.wants is None))[:MAX_THREADS]
    namer = Namer(trace, lookup)
    namer.learn(
        [live.stack for live in shown] + [held.stack for live in shown for held in live.holding],
        {
            *(held.lock for live in shown for held in live.holding),
            *(live.wants for live in shown if live.wants is not None),
        },
    )
    lines = [_line(live, holders, namer) for live in shown]
    if len(cycle) == 1:
        lines.insert(0, f"deadlock: {_thread(cycle[0], namer)} waits for itself")
    elif cycle:
        threads = " and ".join(_thread(each, namer) for each in cycle)
        lines.insert(0, f"deadlock: {threads} wait for each other")
    return Hang(lines=tuple(lines), graph=tuple(_waiter(live, holders, namer, cycle) for live in shown))


def _waiter(live: LiveThread, holders: Mapping[int, set[int]], namer: Namer, cycle: tuple[int, ...]) -> Waiter:
    return Waiter(
        thread=_thread(live.thread, namer),
        holds=tuple(_lock(held.lock, namer) for held in live.holding if held.lock != live.wants),
        waits_for="" if live.wants is None else _lock(live.wants, namer),
        held_by=tuple(_thread(each, namer) for each in _owners(live, holders)),
        stuck=live.thread in cycle,
    )


def _holders(trace: LockTrace) -> dict[int, set[int]]:
    """Return the living threads that hold each lock; a thread holds its own end."""
    holders: dict[int, set[int]] = defaultdict(set)
    living = {live.thread for live in trace.live}
    for live in trace.live:
        for held in live.holding:
            holders[held.lock].add(live.thread)
    for lock in trace.locks:
        if lock.kind is LockKind.THREAD and lock.thread in living:
            holders[lock.id].add(lock.thread)
    return holders


def _owners(live: LiveThread, holders: Mapping[int, set[int]]) -> list[int]:
    """Return the other threads that hold what a thread waits for."""
    return [] if live.wants is None else sorted(holders.get(live.wants, set()) - {live.thread})


def _waits_for_itself(live: LiveThread, trace: LockTrace) -> bool:
    """Return whether a thread holds what it waits for, and cannot take it twice."""
    wanted = next((lock for lock in trace.locks if lock.id == live.wants), None)
    if wanted is None or wanted.recursive or wanted.kind in {LockKind.PYTHON, LockKind.ONCE}:
        return False
    return any(held.lock == live.wants and Mode.WRITE in {held.mode, live.mode} for held in live.holding)


def _cycle(trace: LockTrace, holders: Mapping[int, set[int]]) -> tuple[int, ...]:
    """Return the threads of a cycle of waits in order, empty without one."""
    threads = {live.thread: live for live in trace.live}
    for start in threads:
        path: list[int] = []
        thread: int | None = start
        while thread is not None and thread not in path:
            path.append(thread)
            owners = _owners(threads[thread], holders)
            thread = owners[0] if owners else None
        if thread is not None:
            return tuple(path[path.index(thread) :])
    return ()


def _line(live: LiveThread, holders: Mapping[int, set[int]], namer: Namer) -> str:
    parts = [
        f"holds {_lock(held.lock, namer)}{at_words(namer.place(held.stack).stack)}"
        for held in live.holding
        if held.lock != live.wants
    ]
    if live.wants is not None:
        place = namer.place(live.stack)
        owners = _owners(live, holders)
        held_by = f", which {' and '.join(_thread(each, namer) for each in owners)} holds" if owners else ""
        if mine := [held for held in live.holding if held.lock == live.wants and not owners]:
            held_by = f", which it holds itself{at_words(namer.place(mine[0].stack).stack)}"
        if namer.locks[live.wants].kind is LockKind.THREAD:
            held_by = ""
        parts.append(f"waits for {_lock(live.wants, namer)}{at_words(place.stack, place.call)}{held_by}")
    return f"{_thread(live.thread, namer)} {' and '.join(parts)}"


def _thread(number: int, namer: Namer) -> str:
    name, main = namer.thread_name(number), namer.is_main(number)
    return who(number, main=main) + (f" '{name}'" if name and not main else "")


def _lock(number: int, namer: Namer) -> str:
    lock = namer.locks[number]
    if lock.kind is LockKind.THREAD and lock.thread is not None:
        return f"the end of {_thread(lock.thread, namer)}"
    return lock_words(namer.mutex(number, number)) or f"the {lock.kind.value} at {lock.address:#x}"
