"""Name the threads and locks of a finding, and say what a cycle of locks is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, assert_never

from python_tsan.plain_text import counted
from python_tsan.render.stack import first_frame, short_name
from python_tsan.result.finding import Confirmation, Directed
from python_tsan.tsan.finding import Dialect
from python_tsan.tsan.fingerprint import base_name

if TYPE_CHECKING:
    from python_tsan.result.finding import DirectedRuns, DistinctFinding
    from python_tsan.tsan.finding import Acquisition, Frame, Mutex, Stack

# Kinds of locks as python_tsan.locks.model.LockKind spells them.
GIL, THREAD = "GIL", "thread"
SIGNALS = ("condition", "futex", "semaphore", "barrier")
_NOUNS = {"once": "call_once", "futex": "future", "Python lock": "Python lock", "attached thread state": "thread state"}


def thread_words(number: int | None, finding: DistinctFinding, *, main: bool = False) -> str:
    """Name a thread: ``main thread``, ``thread T1 'teller'``, ``goroutine 7``."""
    names = {thread.name for thread in finding.threads if thread.id == number and not main}
    word = who(number, main=main, goroutine=finding.dialect is Dialect.GO)
    return f"{word} '{names.pop()}'" if len(names) == 1 and any(names) else word


def who(number: int | None, *, main: bool = False, goroutine: bool = False) -> str:
    """Name a thread by its number in the finding."""
    if main:
        return "main goroutine" if goroutine else "main thread"
    if number is None or (number == 0 and not goroutine):  # T0 is the main thread
        return "an unknown thread"
    return f"goroutine {number}" if goroutine else f"thread T{number}"


def lock_of(number: int, finding: DistinctFinding) -> Mutex | None:
    """Return a lock that was recorded, by its number in the finding; None for one that the runtime reports."""
    return next((mutex for mutex in finding.mutexes if mutex.id == number and mutex.kind), None)


def lock_name(number: int, finding: DistinctFinding) -> str:
    """Name a lock: ``the GIL``, ``log_mutex``, ``the mutex of sink.cpp:12``; ``M0`` where no more is known."""
    mutex = lock_of(number, finding)
    if mutex is None:
        return f"M{number}"
    if mutex.kind == THREAD:
        edge = next((edge for edge in finding.acquisitions if edge.holding == number), None)
        return f"the end of {thread_words(edge.thread, finding, main=edge.main_thread)}" if edge else "a thread's end"
    return lock_words(mutex) or f"{_NOUNS.get(mutex.kind, mutex.kind)} M{number}"


def lock_words(mutex: Mutex) -> str:
    """Name a recorded lock by itself: its name, or the place where it was created; empty if neither is known."""
    if mutex.name:
        return f"the {mutex.name}" if mutex.name.startswith(GIL) else mutex.name
    place = place_of(mutex.stack)
    return f"the {_NOUNS.get(mutex.kind, mutex.kind)} of {place}" if place else ""


def cycle_words(finding: DistinctFinding) -> str:
    """Say what is wrong with a cycle of recorded locks: ``the GIL and log_mutex are taken in opposite orders``."""
    for edge in finding.acquisitions:
        lock = lock_of(edge.mutex, finding)
        if lock and lock.kind == THREAD:
            held = lock_name(edge.holding, finding)
            return f"{held} is held during the join of a thread that needs it"
        if lock and lock.kind in SIGNALS:
            noun = _NOUNS.get(lock.kind, lock.kind)
            return f"{lock_name(edge.holding, finding)} is held during a wait for a {noun} that needs it to end"
    names = [lock_name(number, finding) for number in finding.cycle]
    if len(names) == 2:  # noqa: PLR2004 -- a pair
        return f"{names[0]} and {names[1]} are taken in opposite orders"
    return f"{', '.join(names[:-1])} and {names[-1]} are taken in a cycle"


def edge_words(edge: Acquisition, finding: DistinctFinding) -> str:
    """Say what a thread held when it asked for another lock, and where."""
    held, asked = lock_of(edge.holding, finding), lock_of(edge.mutex, finding)
    kinds = held.kind if held else "", asked.kind if asked else ""
    thread = thread_words(edge.thread, finding, main=edge.main_thread)
    here = at_words(edge.stack, edge.call)
    wants = lock_name(edge.mutex, finding) + ("" if edge.write else " for reading")
    name, there = lock_name(edge.holding, finding), at_words(edge.holding_stack)
    if kinds[0] == THREAD:
        return f"{thread} asks for {wants}{here} before it ends"
    if kinds[0] in SIGNALS:
        return f"{thread} wakes those who wait for {name}{there} after it asked for {wants}{here}"
    if kinds[1] in {THREAD, *SIGNALS}:
        return f"{thread} held {name}{there} when it waited for {wants}{here}"
    verb = "made a call that may ask" if edge.weak else "asked"
    return f"{thread} held {name}{there} when it {verb} for {wants}{here}"


def evidence_words(finding: DistinctFinding) -> str:
    """Say how much of a cycle of recorded locks was seen, and what the runs showed that were directed towards it."""
    directed = f"; {directed_words(finding.directed)}" if finding.directed else ""
    return _evidence(finding) + directed


def directed_words(runs: DirectedRuns) -> str:
    """Say what the runs of ``--confirm`` showed."""
    counts = Counter(runs.outcomes)
    many = f"{counted(len(runs.outcomes), 'directed run')}"

    def of(*kinds: Directed) -> str:
        return f"{sum(counts[kind] for kind in kinds)} of {many}"

    match runs.confirmation:
        case Confirmation.CONFIRMED:
            return f"confirmed: it hung in {of(Directed.HUNG)}"
        case Confirmation.REFUTED if counts[Directed.TOGETHER]:
            return f"refuted: the threads were at their places together in {of(Directed.TOGETHER)}, and none hung"
        case Confirmation.REFUTED:
            return f"refuted: in {of(Directed.APART)}, a thread came to its place only when the other had left its own"
        case Confirmation.NOT_REACHED:
            return f"not reached: in {of(Directed.NOT_REACHED)}, a thread did not come to its place"
        case _ as never:
            assert_never(never)


def _evidence(finding: DistinctFinding) -> str:
    if finding.notes:
        return "; ".join(finding.notes)
    excluded = "no common lock and no start or join order excludes it"
    if any(edge.weak for edge in finding.acquisitions):
        return f"not all of it was seen, but all of it can happen; {excluded}"
    return f"seen in this run, without a hang; {excluded}"


def place_of(stack: Stack | None) -> str:
    """Return the file, line and function of a stack's first frame that a reader needs: ``sink.cpp:8 sink``."""
    frame = first_frame(stack)
    return _place(frame) if frame else ""


def _place(frame: Frame) -> str:
    if not frame.file:
        return short_name(frame)
    return f"{base_name(frame.file)}:{frame.line} {frame.symbol if frame.python else short_name(frame)}".strip()


def at_words(stack: Stack | None, call: str = "") -> str:
    """Return the place of a stack, the call made there, and the Python line that led to it, in brackets."""
    place = place_of(stack)
    caller = next((frame for frame in stack.frames if frame.python), None) if stack else None
    called = f"called from Python: {_place(caller)}" if caller and _place(caller) != place else ""
    words = ", ".join(filter(None, (place, call, called)))
    return f" ({words})" if words else ""
