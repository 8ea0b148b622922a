"""Sum up the time that threads waited with the GIL held, by the call that waited. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.locks.model import LockKind, Moment, WaitUnderGil
from python_tsan.locks.naming import Namer
from python_tsan.render.names import place_of
from python_tsan.result.model import GilWait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.locks.model import LockTrace
    from python_tsan.locks.naming import Lookup

# What is shorter is no wait that a reader would look for.
SHORTEST = 1_000_000
MOST = 20


def gil_waits(trace: LockTrace, lookup: Lookup) -> tuple[GilWait, ...]:
    """Return the waits with the GIL held, of a millisecond or more in all, the longest total first."""
    return tuple(wait for wait, _ in waits_by_place(trace, lookup))


def waits_by_place(trace: LockTrace, lookup: Lookup) -> Iterator[tuple[GilWait, frozenset[int]]]:
    """Yield the same, each with the numbers of the trace's waits in it."""
    ranked = sorted(range(len(trace.waits)), key=lambda number: -trace.waits[number].total)[:MOST]
    kept = [number for number in ranked if trace.waits[number].total >= SHORTEST]
    namer = Namer(trace, lookup)
    namer.learn(trace.waits[number].stack for number in kept)
    by_place: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number in kept:
        wait = trace.waits[number]
        by_place[wait.callee, place_of(namer.place(wait.stack).stack)].append(number)
    for (callee, place), numbers in by_place.items():
        same = [trace.waits[number] for number in numbers]
        yield (
            GilWait(
                callee=callee,
                place=place,
                count=sum(each.count for each in same),
                total=sum(each.total for each in same),
                longest=max(each.longest for each in same),
                others=max(each.others for each in same),
            ),
            frozenset(numbers),
        )


def with_unfinished(trace: LockTrace, now: int) -> LockTrace:
    """Return the trace with the waits that were not over at its end, as if they were at the monotonic time ``now``."""
    unfinished = [live for live in trace.live if live.since]
    gils = {lock.id for lock in trace.locks if lock.kind is LockKind.GIL}
    others = sum(live.wants in gils for live in trace.live)
    waits = tuple(
        WaitUnderGil(
            callee=live.callee,
            stack=live.stack,
            lock=live.wants,
            total=max(now - live.since, 0),
            longest=max(now - live.since, 0),
            others=others,
        )
        for live in unfinished
    )
    moments = tuple(
        Moment(wait=number, thread=live.thread, begun=live.since, length=wait.total, others=others)
        for number, (live, wait) in enumerate(zip(unfinished, waits, strict=True), len(trace.waits))
    )
    return replace(trace, waits=trace.waits + waits, moments=trace.moments + moments)
