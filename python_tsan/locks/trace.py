"""Read what ``native/preload/locks`` recorded of one process; pure. The layout is that of ``format.hpp``.

The process may have ended at any moment, or still run, so that every count is checked against the size of its part.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import starmap
from typing import TYPE_CHECKING, Any, NamedTuple

from python_tsan import mapped_rows
from python_tsan.locks.model import (
    CallStack,
    GilSight,
    Holding,
    LiveThread,
    LockKind,
    LockTrace,
    Misuse,
    Mode,
    Moment,
    Order,
    Request,
    Rule,
    Strength,
    TracedLock,
    TracedThread,
    Variable,
    WaitUnderGil,
    Wake,
)
from python_tsan.result.finding import PythonFrame
from python_tsan.tsan.finding import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"PTLOCKS\n"
VERSION = 5
LIBRARY = "libpython_tsan_locks.so"
# By number: enum Kind, Mode, Callee, Rule, Lost and Part of format.hpp.
KINDS = (
    LockKind.MUTEX,  # none
    LockKind.GIL,
    LockKind.MUTEX,
    LockKind.RWLOCK,
    LockKind.SPIN,
    LockKind.ONCE,
    LockKind.GUARD,
    LockKind.CONDITION,
    LockKind.FUTEX,
    LockKind.SEMAPHORE,
    LockKind.THREAD,
    LockKind.PYTHON,
    LockKind.MODULE,
    LockKind.IMPORT,
    LockKind.FILE,
    LockKind.STREAM,
    LockKind.PYTHREAD,
    LockKind.BARRIER,
)
MODES = (Mode.WRITE, Mode.READ)
CALLEES = (
    "",
    "PyEval_RestoreThread",
    "pthread_mutex_lock",
    "pthread_mutex_timedlock",
    "pthread_rwlock_rdlock",
    "pthread_rwlock_wrlock",
    "pthread_spin_lock",
    "pthread_once",
    "__cxa_guard_acquire",
    "pthread_cond_wait",
    "pthread_cond_timedwait",
    "pthread_join",
    "sem_wait",
    "sem_timedwait",
    "futex",
    "threading.Lock.acquire",
    "import",
    "flock",
    "flockfile",
    "semop",
    "semtimedop",
    "PyThread_acquire_lock",
    "pthread_barrier_wait",
)
RULES = (
    Rule.NO_THREAD_STATE,  # none
    Rule.NOT_INITIALIZED,
    Rule.AFTER_FINALIZATION,
    Rule.NO_THREAD_STATE,
    Rule.GIL_NOT_HELD,
    Rule.ENDED_ATTACHED,
    Rule.NEVER_RELEASED,
    Rule.NEVER_DELETED,
    Rule.ATTACHED_TWICE,
    Rule.UNMATCHED_RELEASE,
    Rule.INTERPRETER_NEVER_ENDED,
    Rule.INSIDE_AT_FINALIZATION,
    Rule.OTHER_INTERPRETER,
    Rule.ERROR_SET,
    Rule.ERROR_LOST,
    Rule.BORROWED_KEPT,
)
LOST = (
    "locks beyond the limit",
    "threads beyond the limit",
    "creations and joins of threads beyond the limit",
    "requests beyond the limit",
    "stacks beyond the limit",
    "locks held by one thread beyond the limit",
    "signals beyond the limit",
    "waits beyond the limit",
    "interpreters beyond the limit",
    "functions of Python beyond the limit",
    "wrong calls of Python beyond the limit",
    "calls that lead to a second Python in the process",
    "calls through addresses that the program keeps read-only",
    "the first calls of a library that was linked without start files",
)
_OF_CALLS = frozenset(LOST[-5:])
_PARTS = (
    "strings",
    "objects",
    "frames",
    "python_frames",
    "locks",
    "threads",
    "segments",
    "contexts",
    "requests",
    "wakes",
    "waits",
    "moments",
    "misuses",
    "live",
)
_HEADER = struct.Struct("<8sIIIIIIQ" + "QQQ" * len(_PARTS) + "Q" * len(LOST))
_OBJECT = struct.Struct("<QQQII")
_FRAME = struct.Struct("<IIQ")
_PYTHON_FRAME = struct.Struct("<IIIi")
_LOCK = struct.Struct("<QQIIIIBBBBI")
_THREAD = struct.Struct("<QIIIIII16sII")
_SEGMENT = struct.Struct("<IIII")
_CONTEXT = struct.Struct("<IIIIB7x")
_REQUEST = struct.Struct("<IIIIIIQQBBB5x")
_WAKE = struct.Struct("<IIIIII")
_WAIT = struct.Struct("<IIIB3xQQQQ")
_MOMENT = struct.Struct("<QQIIII")
_MISUSE = struct.Struct("<IIIIIIQBB2xIQ")
_LIVE = struct.Struct("<IIIIQQQQIIBBB5x")
_HELD = struct.Struct("<QQIIIIHBB4x")
_MOST_HELD = 32
_LIVE_BYTES = _LIVE.size + _MOST_HELD * _HELD.size
_SEES_PYTHON, _KNOWS_GIL, _FREE_THREADED, _ENDED, _FORKED, _CHECKS_CALLS, _HIDES_ONCE = 1, 2, 4, 8, 16, 32, 64
_DEEPEST = 200
_ATTACHMENT = 5  # the highest bits of an address; gil.hpp


def read_trace(data: bytes | memoryview) -> LockTrace | None:
    """Return what a process recorded; None if it ended before it recorded anything."""
    view = memoryview(data)
    fields = mapped_rows.header(_HEADER, view, magic=MAGIC, version=VERSION)
    if fields is None:
        return None
    regions = fields[8 : 8 + 3 * len(_PARTS)]
    parts = {name: mapped_rows.region(view, *regions[3 * i : 3 * i + 3]) for i, name in enumerate(_PARTS)}
    return _Reader(
        fields=fields, parts=parts, executable=mapped_rows.c_string(view[_HEADER.size : _HEADER.size + 4096])
    ).trace()


class _LiveRow(NamedTuple):
    """A row of a living thread, without what it holds."""

    used: int
    thread: int
    held_count: int
    reserved: int
    events: int
    address: int
    site: int
    since: int
    native: int
    python: int
    kind: int
    mode: int
    callee: int


@dataclass(kw_only=True)
class _Stacks:
    """The rows of frames, each with its caller's row."""

    parts: dict[str, memoryview]
    _known: dict[tuple[int, int], CallStack] = field(default_factory=dict)

    def __getitem__(self, rows: tuple[int, int]) -> CallStack:
        """Return the stack of a native and a Python row; 0 for none."""
        if rows not in self._known:
            native, python = rows
            self._known[rows] = CallStack(
                native=tuple(self._native(native)),
                python=tuple(
                    PythonFrame(function=self.text(function), file=self.text(file), line=max(line, 0))
                    for _, function, file, line in _chain(self._python_frames, python)
                ),
            )
        return self._known[rows]

    def object_path(self, row: int) -> str:
        """Return the path of an object, empty if unknown."""
        return self.text(self._objects[row][3]) if 0 < row < len(self._objects) else ""

    def _native(self, row: int) -> Iterator[Frame]:
        index = 0
        for _, home, offset in _chain(self._frames, row):
            path = self.object_path(home)
            if not path.endswith(LIBRARY):
                yield Frame(index=index, module=path, offset=offset)
                index += 1

    @cached_property
    def _objects(self) -> list[tuple[int, ...]]:
        return [(0,) * 5, *mapped_rows.rows(_OBJECT, self.parts["objects"])]

    @cached_property
    def _frames(self) -> list[tuple[int, ...]]:
        return [(0,) * 3, *mapped_rows.rows(_FRAME, self.parts["frames"])]

    @cached_property
    def _python_frames(self) -> list[tuple[int, ...]]:
        return [(0,) * 4, *mapped_rows.rows(_PYTHON_FRAME, self.parts["python_frames"])]

    def text(self, offset: int) -> str:
        """Return a text of the file, empty for 0."""
        # Of a mapped file, whose strings end with a zero byte; the last one may be incomplete.
        return mapped_rows.c_string(self.parts["strings"][offset : offset + 4096]) if offset else ""


def _chain(rows: list[tuple[int, ...]], row: int) -> Iterator[tuple[int, ...]]:
    """Yield a row and its parents; the first number of each is its parent's."""
    for _ in range(_DEEPEST):
        if not 0 < row < len(rows):
            return
        yield rows[row]
        row = rows[row][0]


@dataclass(kw_only=True)
class _Reader:
    """One file. Rows count from 1, numbers of the model from 0."""

    fields: tuple[int, ...]
    parts: dict[str, memoryview]
    executable: str

    def __post_init__(self) -> None:
        self.stacks = _Stacks(parts=self.parts)
        woken = {lock - 1 for _, _, _, lock, _, _ in mapped_rows.rows(_WAKE, self.parts["wakes"])}
        locks = starmap(self._lock, enumerate(mapped_rows.rows(_LOCK, self.parts["locks"])))
        self.locks = [
            replace(lock, kind=LockKind.SEMAPHORE) if lock.kind is LockKind.PYTHREAD and lock.id in woken else lock
            for lock in locks
        ]
        self.by_address = {lock.address: lock.id for lock in self.locks if lock.kind is not LockKind.THREAD}
        self.contexts = [(0,) * 5, *mapped_rows.rows(_CONTEXT, self.parts["contexts"])]
        self.segments = list(mapped_rows.rows(_SEGMENT, self.parts["segments"]))
        self.holdings: dict[int, tuple[Holding, ...]] = {}
        self.extra: dict[int, int] = {}  # segments of threads whose own ones did not fit

    def trace(self) -> LockTrace:
        flags = self.fields[4]
        live_rows = list(self._live_rows())
        threads = tuple(starmap(self._thread, enumerate(mapped_rows.rows(_THREAD, self.parts["threads"]))))
        requests = tuple(self._requests(len(threads)))
        wakes = tuple(self._wakes(len(threads)))
        live = tuple(self._live(wanted, held) for wanted, held in live_rows if 0 < wanted.thread <= len(threads))
        lost = {LOST[i]: count for i, count in enumerate(self.fields[-len(LOST) :]) if count}
        return LockTrace(
            pid=self.fields[2],
            command=self.executable,
            gil=_sight(flags),
            threads=threads,
            locks=tuple(self.locks),
            segments=(*(thread - 1 for thread, *_ in self.segments), *self.extra),
            orders=tuple(self._orders()),
            requests=requests,
            wakes=wakes,
            waits=tuple(self._waits()),
            moments=tuple(self._moments(len(threads))),
            misuses=tuple(self._misuses(len(threads))),
            checks_calls=bool(flags & _CHECKS_CALLS),
            live=live,
            calls_not_seen={what: count for what, count in lost.items() if what in _OF_CALLS},
            not_seen={what: count for what, count in lost.items() if what not in _OF_CALLS}
            | ({"a fork, whose child starts with what the forking thread held": 1} if flags & _FORKED else {})
            | (
                {"call_once and static variables, which the sanitizer's runtime hides": 1}
                if flags & _HIDES_ONCE
                else {}
            ),
            events=self.fields[7] + sum(wanted.events for wanted, _ in live_rows),
            truncated=not flags & _ENDED,
        )

    def _thread(self, number: int, row: tuple[Any, ...]) -> TracedThread:
        _, tid, parent, native, python, _, _, name, last_way, known = row
        return TracedThread(
            id=number,
            tid=tid,
            parent=parent - 1 if parent else None,
            name=mapped_rows.c_string(memoryview(name)),
            stack=self.stacks[native, python],
            last_way=frozenset(each.lock for each in self._holding(last_way)) if known else None,
        )

    def _lock(self, number: int, row: tuple[int, ...]) -> TracedLock:
        address, offset, home, thread, native, python, kind, recursive, detaches, waits_for_writers, name = row
        module = self.stacks.object_path(home)
        return TracedLock(
            id=number,
            kind=_kind(kind, address),
            name=self.stacks.text(name),
            address=address,
            module=module,
            offset=offset if module else None,
            created=self.stacks[native, python],
            thread=thread - 1 if thread else None,
            recursive=bool(recursive),
            by_python=bool(detaches),
            waits_for_writers=bool(waits_for_writers),
        )

    def _holding(self, context: int) -> tuple[Holding, ...]:
        """Return what a context holds, the first taken first; each context has one tuple."""
        known = self.holdings.get(context)
        if known is not None:
            return known
        held = [
            Holding(lock=lock - 1, mode=MODES[mode & 1], stack=self.stacks[native, python])
            for _, lock, native, python, mode in _chain(self.contexts, context)
            if 0 < lock <= len(self.locks) and not self.locks[lock - 1].kind.is_signal
        ]
        return self.holdings.setdefault(context, tuple(reversed(held)))

    def _segment(self, segment: int, thread: int) -> int:
        """Return the number of a segment, or of one without order if it is not of this thread."""
        if 0 < segment <= len(self.segments) and self.segments[segment - 1][0] == thread + 1:
            return segment - 1
        known = list(self.extra)
        if thread not in self.extra:
            self.extra[thread] = len(known)
        return len(self.segments) + self.extra[thread]

    def _orders(self) -> Iterator[Order]:
        count = len(self.segments)
        for number, (thread, previous, other, _) in enumerate(self.segments):
            for before in (previous, other):
                if 0 < before <= count and self.segments[before - 1][0] != thread:
                    yield Order(before=before - 1, after=number)

    def _requests(self, threads: int) -> Iterator[Request]:
        for thread, segment, context, lock, native, python, _, count, mode, timed, weak in mapped_rows.rows(
            _REQUEST, self.parts["requests"]
        ):
            if 0 < lock <= len(self.locks) and 0 < thread <= threads:
                yield Request(
                    thread=thread - 1,
                    segment=self._segment(segment, thread - 1),
                    holding=self._holding(context),
                    lock=lock - 1,
                    mode=MODES[mode & 1],
                    stack=self.stacks[native, python],
                    strength=Strength.WEAK if weak else Strength.STRONG,
                    timed=bool(timed),
                    count=max(count, 1),
                )

    def _wakes(self, threads: int) -> Iterator[Wake]:
        for thread, segment, context, lock, native, python in mapped_rows.rows(_WAKE, self.parts["wakes"]):
            if 0 < lock <= len(self.locks) and 0 < thread <= threads:
                yield Wake(
                    thread=thread - 1,
                    segment=self._segment(segment, thread - 1),
                    lock=lock - 1,
                    needed=self._holding(context),
                    stack=self.stacks[native, python],
                )

    def _waits(self) -> Iterator[WaitUnderGil]:
        for native, python, lock, callee, count, total, longest, others in mapped_rows.rows(_WAIT, self.parts["waits"]):
            yield WaitUnderGil(
                callee=_callee(callee),
                stack=self.stacks[native, python],
                lock=lock - 1 if 0 < lock <= len(self.locks) else None,
                count=count,
                total=total,
                longest=longest,
                others=others,
            )

    def _moments(self, threads: int) -> Iterator[Moment]:
        count = len(self.parts["waits"]) // _WAIT.size
        for begun, length, wait, thread, others, _ in mapped_rows.rows(_MOMENT, self.parts["moments"]):
            if 0 < wait < count and 0 < thread <= threads:
                yield Moment(wait=wait - 1, thread=thread - 1, begun=begun, length=length, others=others)

    def _misuses(self, threads: int) -> Iterator[Misuse]:
        for row in mapped_rows.rows(_MISUSE, self.parts["misuses"]):
            thread, function, native, python, last, last_place, count, rule, of_thread, home, offset = row
            if 0 < thread <= threads and rule < len(RULES):
                yield Misuse(
                    rule=RULES[rule],
                    function=self.stacks.text(function),
                    thread=thread - 1,
                    stack=self.stacks[native, python],
                    last=self.stacks.text(last),
                    last_place=self.stacks[last_place, 0],
                    count=max(count, 1),
                    variable=Variable(module=module, offset=offset, of_thread=bool(of_thread))
                    if (module := self.stacks.object_path(home))
                    else None,
                )

    def _live_rows(self) -> Iterator[tuple[_LiveRow, list[tuple[int, ...]]]]:
        part = self.parts["live"]
        for start in range(0, len(part) - _LIVE_BYTES + 1, _LIVE_BYTES):
            wanted = _LiveRow._make(_LIVE.unpack_from(part, start))
            first = start + _LIVE.size
            held = part[first : first + min(wanted.held_count, _MOST_HELD) * _HELD.size]
            if wanted.used:
                yield wanted, list(_HELD.iter_unpack(held))

    def _live(self, wanted: _LiveRow, held: list[tuple[int, ...]]) -> LiveThread:
        return LiveThread(
            thread=wanted.thread - 1,
            holding=tuple(
                Holding(
                    lock=self._lock_at(address, kind, lock), mode=MODES[mode & 1], stack=self.stacks[native, python]
                )
                for address, _, native, python, lock, _, _, kind, mode in held
            ),
            wants=self._lock_at(wanted.address, wanted.kind) if wanted.address else None,
            mode=MODES[wanted.mode & 1],
            stack=self.stacks[wanted.native, wanted.python],
            callee=_callee(wanted.callee),
            since=wanted.since,
        )

    def _lock_at(self, address: int, kind: int, row: int = 0) -> int:
        """Return the lock at an address; one that no request met has no row."""
        if 0 < row <= len(self.locks):
            return row - 1
        if kind == KINDS.index(LockKind.THREAD):
            found = next((each.id for each in reversed(self.locks) if each.address == address), None)
        else:
            found = self.by_address.get(address)
        if found is None:
            found = len(self.locks)
            known = _kind(kind, address)
            thread = self._joined(address) if known is LockKind.THREAD else None
            self.locks.append(TracedLock(id=found, kind=known, address=address, thread=thread))
            self.by_address[address] = found
        return found

    def _joined(self, address: int) -> int | None:
        """Return the thread whose end has this address: its handle, and a mark in the last bits."""
        handles = [row[0] for row in mapped_rows.rows(_THREAD, self.parts["threads"])]
        # A handle is used again once its thread was joined.
        return max((number for number, each in enumerate(handles) if each == address & ~7), default=None)


def _callee(callee: int) -> str:
    return CALLEES[callee] if callee < len(CALLEES) else ""


def _kind(kind: int, address: int) -> LockKind:
    if address >> 60 == _ATTACHMENT:
        return LockKind.ATTACHED
    return KINDS[kind] if kind < len(KINDS) else LockKind.MUTEX


def _sight(flags: int) -> GilSight:
    if flags & _KNOWS_GIL:
        return GilSight.RECOGNISED
    if flags & _FREE_THREADED:
        return GilSight.FREE_THREADED
    return GilSight.NOT_RECOGNISED if flags & _SEES_PYTHON else GilSight.NO_PYTHON
