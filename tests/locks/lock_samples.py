"""Traces of locks, written out: threads T0, T1, … each in a segment of its own, and locks by name."""

import zlib
from dataclasses import dataclass, field

from python_tsan.locks.model import (
    CallStack,
    GilSight,
    Holding,
    LockKind,
    LockTrace,
    Mode,
    Order,
    Request,
    Strength,
    TracedLock,
    TracedThread,
    Wake,
)
from python_tsan.tsan.finding import Frame

READ, WRITE = Mode.READ, Mode.WRITE
KINDS = {
    "gil": LockKind.GIL,
    "cond": LockKind.CONDITION,
    "future": LockKind.FUTEX,
    "module": LockKind.MODULE,
    "python": LockKind.PYTHON,
    "rw": LockKind.RWLOCK,
    "wfirst": LockKind.RWLOCK,
    "once": LockKind.ONCE,
}


def at(place: str) -> CallStack:
    """Return the call site ``file:line`` of the program."""
    file, _, line = place.partition(":")
    return CallStack(
        native=(Frame(index=0, module="/app/prog", offset=zlib.crc32(place.encode()), file=file, line=int(line or 1)),)
    )


@dataclass
class Recorded:
    """Collects what threads did, by the names of locks: ``m1``, ``gil``, ``rw.r`` (for reading), ``wfirst`` (prefers
    writers), ``thread 1``."""

    locks: dict[str, TracedLock] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    wakes: list[Wake] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    ended: dict[int, str] = field(default_factory=dict)

    def lock(self, name: str) -> int:
        base = name.removesuffix(".r")
        if base not in self.locks:
            word = base.rstrip("0123456789").strip()
            thread = int(base.split()[1]) if word == "thread" else None
            kind = LockKind.THREAD if word == "thread" else KINDS.get(word, LockKind.MUTEX)
            self.locks[base] = TracedLock(
                id=len(self.locks), kind=kind, name=base, thread=thread, waits_for_writers=word == "wfirst"
            )
        return self.locks[base].id

    def segment(self, thread: int) -> int:
        """Begin a part of a thread's life."""
        self.segments.append(thread)
        return len(self.segments) - 1

    def hold(self, name: str, place: str = "") -> Holding:
        return Holding(
            lock=self.lock(name), mode=READ if name.endswith(".r") else WRITE, stack=at(place) if place else CallStack()
        )

    def ask(self, thread: int, held: str, requested: str, *, segment=None, at_place: str = "", weak=False, timed=False):
        """Let ``thread`` ask for a lock while it holds those in ``held``, separated by commas."""
        if segment is None:
            while thread not in self.segments:
                self.segment(len(set(self.segments)))
            segment = self.segments.index(thread)
        self.requests.append(
            Request(
                thread=thread,
                segment=segment,
                holding=tuple(self.hold(name.strip()) for name in held.split(",") if name.strip()),
                lock=self.lock(requested),
                mode=READ if requested.endswith(".r") else WRITE,
                stack=at(at_place or f"t{thread} {held} {requested}:1"),
                strength=Strength.WEAK if weak else Strength.STRONG,
                timed=timed,
            )
        )
        return self

    def wake(self, thread: int, name: str, needed: str = ""):
        while thread not in self.segments:
            self.segment(len(set(self.segments)))
        self.wakes.append(
            Wake(
                thread=thread,
                segment=self.segments.index(thread),
                lock=self.lock(name),
                needed=tuple(self.hold(each.strip()) for each in needed.split(",") if each.strip()),
            )
        )
        return self

    def end(self, thread: int, last_way: str = ""):
        """Let ``thread`` end; on its way there it took these locks."""
        self.ended[thread] = last_way
        return self

    def order(self, before: int, after: int):
        self.orders.append(Order(before=before, after=after))
        return self

    def trace(self, **more) -> LockTrace:
        count = max(self.segments, default=0) + 1
        return LockTrace(
            pid=100,
            gil=GilSight.RECOGNISED,
            threads=tuple(
                TracedThread(id=number, tid=100 + number, last_way=self._last_way(number)) for number in range(count)
            ),
            locks=tuple(self.locks.values()),
            segments=tuple(self.segments),
            orders=tuple(self.orders),
            requests=tuple(self.requests),
            wakes=tuple(self.wakes),
            **more,
        )

    def _last_way(self, thread: int) -> frozenset[int] | None:
        if thread not in self.ended:
            return None
        return frozenset(self.lock(name.strip()) for name in self.ended[thread].split(",") if name.strip())
