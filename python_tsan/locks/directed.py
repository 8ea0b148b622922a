"""Direct a second run towards a possible deadlock, and say how far it came. Pure.

The recorder holds a thread at its second lock until the others are at theirs; ``native/preload/locks/meeting.cpp``
reads what :func:`instruction` returns.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.locks.model import LockKind
from python_tsan.locks.trace import KINDS
from python_tsan.result.finding import Directed
from python_tsan.tsan.finding import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.locks.model import LiveThread, LockTrace
    from python_tsan.tsan.finding import Finding, Stack

VARIABLE = "PYTHON_TSAN_LOCKS_MEETING"
MOST_PLACES = 6
# So long one thread waits for the others; three times at most at each place.
PATIENCE_MILLISECONDS = 3000
_HEADER_BYTES = 8192
_MEETING = struct.Struct(f"<I{MOST_PLACES}I")
_OFFSET = _HEADER_BYTES - 64
_LONGEST_PATH = 1000

Spot = tuple[int, str]
NOWHERE: Spot = (0, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a thread asks for a lock of one kind while it holds one of another, and where it took that.

    A spot is a return address as offset and path of its object; any stack will do for one without a path.
    """

    wanted: LockKind
    held: LockKind
    second: Spot
    first: Spot = NOWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """What a directed process noted: whether all threads were at their places at once, and how often at each."""

    together: bool
    reached: tuple[int, ...]


def places_of(finding: Finding) -> tuple[Place, ...]:
    """Return the places of a possible deadlock in the order of its cycle; nothing where it cannot be directed."""
    if finding.kind is not Kind.POSSIBLE_DEADLOCK or not 1 < len(finding.acquisitions) <= MOST_PLACES:
        return ()
    kinds = {mutex.id: LockKind(mutex.kind) for mutex in finding.mutexes}
    places = tuple(
        Place(
            wanted=kinds[edge.mutex],
            held=kinds[edge.holding],
            second=_spot(edge.stack),
            first=_spot(edge.holding_stack) if edge.holding_stack else NOWHERE,
        )
        for edge in finding.acquisitions
    )
    # Two places that look alike cannot be distinguished.
    known = all(kind in KINDS[1:] for place in places for kind in (place.wanted, place.held))
    return places if known and any(place.second != NOWHERE for place in places) else ()


def _spot(stack: Stack) -> Spot:
    found = next(((frame.offset, frame.module) for frame in stack.frames if frame.offset and not frame.python), NOWHERE)
    return found if found[1] and len(found[1].encode()) <= _LONGEST_PATH and "\n" not in found[1] else NOWHERE


def instruction(places: Sequence[Place], leader: int | None, *, patience: int = PATIENCE_MILLISECONDS) -> str:
    """Return the text for the recorder: the thread of the place ``leader`` comes to its second lock first."""
    lines = [f"{0 if leader is None else leader + 1} {patience}"]
    for place in places:
        kinds = f"{KINDS.index(place.wanted, 1)} {KINDS.index(place.held, 1)}"
        lines += [f"{kinds} {place.second[0]} {place.second[1]}", f"{place.first[0]} {place.first[1]}"]
    return "\n".join(lines)


def read_meeting(data: bytes | memoryview, places: int) -> Meeting | None:
    """Return what a recording says of a directed run; None if it is incomplete."""
    if len(data) < _HEADER_BYTES:
        return None
    together, *reached = _MEETING.unpack_from(data, _OFFSET)
    return Meeting(together=bool(together), reached=tuple(reached[:places]))


def stuck_at(trace: LockTrace, places: Sequence[Place]) -> tuple[tuple[int, int], ...]:
    """Return a thread and the lock that it waits for, for each place of a cycle; nothing if one of them is free.

    The threads differ, and each waits for a lock that the next one holds, where the lock has a holder.
    """
    kinds = {lock.id: lock.kind for lock in trace.locks}

    def fits(live: LiveThread, place: Place) -> bool:
        has = any(kinds[held.lock] is place.held for held in live.holding) or not _has_holder(place.held)
        return live.wants is not None and kinds[live.wants] is place.wanted and has

    def search(chosen: list[LiveThread]) -> Iterator[list[LiveThread]]:
        if len(chosen) == len(places):
            if all(_blocks(each, chosen[(n + 1) % len(chosen)], places[n]) for n, each in enumerate(chosen)):
                yield chosen
            return
        for live in trace.live:
            if live not in chosen and fits(live, places[len(chosen)]):
                yield from search([*chosen, live])

    found = next(search([]), [])
    return tuple((live.thread, live.wants) for live in found if live.wants is not None)


def _blocks(live: LiveThread, holder: LiveThread, place: Place) -> bool:
    return not _has_holder(place.wanted) or any(held.lock == live.wants for held in holder.holding)


def _has_holder(kind: LockKind) -> bool:
    return not kind.is_signal and kind is not LockKind.THREAD


def outcome_of(meetings: Sequence[Meeting], *, hung: bool) -> Directed:
    """Return what one directed run showed; ``meetings`` are those of its processes."""
    if hung:
        return Directed.HUNG
    if any(each.together for each in meetings):
        return Directed.TOGETHER
    return Directed.APART if any(all(each.reached) for each in meetings) else Directed.NOT_REACHED
