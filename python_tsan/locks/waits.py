"""Sum up the time that threads waited with the GIL held, by the call that waited. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from python_tsan.locks.naming import Namer
from python_tsan.render.names import place_of
from python_tsan.result.model import GilWait

if TYPE_CHECKING:
    from python_tsan.locks.model import LockTrace, WaitUnderGil
    from python_tsan.locks.naming import Lookup

# What is shorter is no wait that a reader would look for.
SHORTEST = 1_000_000
MOST = 20


def gil_waits(trace: LockTrace, lookup: Lookup) -> tuple[GilWait, ...]:
    """Return the waits with the GIL held, of a millisecond or more in all, the longest total first."""
    ranked = sorted(trace.waits, key=lambda each: -each.total)[:MOST]
    kept = [each for each in ranked if each.total >= SHORTEST]
    namer = Namer(trace, lookup)
    namer.learn(each.stack for each in kept)
    by_place: dict[tuple[str, str], list[WaitUnderGil]] = defaultdict(list)
    for each in kept:
        by_place[each.callee, place_of(namer.place(each.stack).stack)].append(each)
    return tuple(
        GilWait(
            callee=callee,
            place=place,
            count=sum(each.count for each in same),
            total=sum(each.total for each in same),
            longest=max(each.longest for each in same),
            others=max(each.others for each in same),
        )
        for (callee, place), same in by_place.items()
    )
