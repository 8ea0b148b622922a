"""Turn the cycles of a trace into findings: stacks with functions and lines, locks with names. Pure.

The functions of addresses come from outside, and only the addresses of what is reported are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from python_tsan.locks.model import LockKind, Mode, Strength
from python_tsan.locks.places import is_machinery
from python_tsan.result.attribution import owner
from python_tsan.result.finding import Attribution
from python_tsan.tsan.finding import (
    UNRESTORED,
    Acquisition,
    Finding,
    Frame,
    Kind,
    Mutex,
    Source,
    Stack,
    Thread,
    ThreadStatus,
)
from python_tsan.tsan.frames import plain_symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from python_tsan.locks.cycles import Cycle
    from python_tsan.locks.edges import Edge
    from python_tsan.locks.model import CallStack, LockTrace, TracedLock, TracedThread
    from python_tsan.result.finding import PythonFrame
    from python_tsan.symbols import Site

    Symbolise = Callable[[Iterable[tuple[str, int]]], Mapping[tuple[str, int], Site]]

# A thread that asks for the GIL by one of these came from C or C++; by anything else, it was in Python code.
_BY_CALL = (
    *("PyGILState_", "PyThreadState_", "PyEval_Restore", "PyEval_Acquire", "PyEval_Release", "PyEval_SaveThread"),
    *("Py_Initialize", "Py_Finalize", "Py_NewInterpreter", "Py_EndInterpreter"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A stack as a reader sees it: from the first frame outside of the interpreter and the system.

    ``call`` is the function that this frame called to get there, empty where it is not known.
    """

    stack: Stack
    call: str = ""


def deadlock_findings(trace: LockTrace, cycles: Sequence[Cycle], file: str, symbolise: Symbolise) -> Iterator[Finding]:
    """Yield a finding for each cycle. ``file`` is the recording's name."""
    namer = _Namer(trace, cycles, symbolise)
    for cycle in cycles:
        yield _finding(trace, _from_gil(cycle, namer.locks), file, namer)


@dataclass(slots=True)
class _Namer:
    """Knows the functions of all addresses in some cycles, and the trace's tables by number."""

    threads: dict[int, TracedThread]
    locks: dict[int, TracedLock]
    _sites: Mapping[tuple[str, int], Site]

    def __init__(self, trace: LockTrace, cycles: Sequence[Cycle], symbolise: Symbolise) -> None:
        self.threads = {thread.id: thread for thread in trace.threads}
        self.locks = {lock.id: lock for lock in trace.locks}
        stacks = [
            stack
            for cycle in cycles
            for edge in cycle.edges
            for stack in (edge.stack, edge.held.stack, self.locks[edge.held.lock].created)
        ]
        stacks += [self.threads[each].stack for each in self.involved(cycles) if each in self.threads]
        frames = [frame for stack in stacks for frame in stack.native if not frame.symbol]
        self._sites = symbolise({(frame.module, frame.offset) for frame in frames if frame.offset is not None})

    def involved(self, cycles: Iterable[Cycle]) -> list[int]:
        """Return the threads of some cycles, and those that created them."""
        found = dict.fromkeys(edge.thread for cycle in cycles for edge in cycle.edges)
        for each in tuple(found):
            thread = self.threads.get(each)
            if thread and thread.parent is not None:
                found.setdefault(thread.parent)
        return list(found)

    def place(self, stack: CallStack) -> Place:
        """Return a recorded stack for a reader."""
        native = [each for frame in stack.native for each in self._frames(frame)]
        skipped = next((number for number, frame in enumerate(native) if not is_machinery(frame)), len(native))
        machinery, native = native[:skipped], native[skipped:]
        python = [_python_frame(frame) for frame in stack.python]
        call = plain_symbol(machinery[-1].symbol) if machinery else ""
        inner = next((frame.symbol for frame in reversed(machinery) if owner(frame) is Attribution.LIBPYTHON), None)
        if not native:
            return Place(stack=_stack(python or machinery), call=call if python else "")
        in_python = inner is not None and not inner.startswith(_BY_CALL)
        frames = [*python, *native] if in_python else list(_with_python(native, python))
        return Place(stack=_stack(frames), call=call)

    def _frames(self, frame: Frame) -> tuple[Frame, ...]:
        """Return the functions at one address, inlined ones first."""
        site = self._sites.get((frame.module, frame.offset)) if frame.offset is not None else None
        if frame.symbol or site is None or not site.functions:
            return (frame,)
        return tuple(
            replace(frame, symbol=function.name, file=function.file, line=function.line) for function in site.functions
        )


def _with_python(native: Sequence[Frame], python: Sequence[Frame]) -> Iterator[Frame]:
    """Yield native frames, the first run of the interpreter's replaced by the Python frames that it executed."""
    start = next((n for n, frame in enumerate(native) if owner(frame) is Attribution.LIBPYTHON), len(native))
    run = takewhile(lambda frame: owner(frame) is Attribution.LIBPYTHON, native[start:])
    end = start + len(list(run)) if python else start
    yield from (*native[:start], *python, *native[end:])


def _stack(frames: Sequence[Frame]) -> Stack:
    numbered = tuple(replace(frame, index=number) for number, frame in enumerate(frames))
    return Stack(frames=numbered) if numbered else UNRESTORED


def _python_frame(frame: PythonFrame) -> Frame:
    return Frame(index=0, symbol=frame.function, file=frame.file, line=frame.line, python=True)


def _from_gil(cycle: Cycle, locks: Mapping[int, TracedLock]) -> Cycle:
    """Begin a circle with the GIL, where it is a part of it: a reader knows that lock best."""
    kinds = [locks[lock].kind.is_attachment for lock in cycle.locks]
    start = kinds.index(True) if True in kinds else 0
    return replace(cycle, edges=(*cycle.edges[start:], *cycle.edges[:start]))


def _finding(trace: LockTrace, cycle: Cycle, file: str, namer: _Namer) -> Finding:
    numbers = {lock: number for number, lock in enumerate(cycle.locks)}
    mutexes = tuple(_mutex(namer.locks[lock], number, namer) for lock, number in numbers.items())
    acquisitions = tuple(_acquisition(edge, numbers, namer) for edge in cycle.edges)
    threads = tuple(
        _thread(namer.threads[each], trace.pid, namer) for each in namer.involved([cycle]) if each in namer.threads
    )
    names = ", ".join(mutex.name or mutex.kind for mutex in mutexes)
    return Finding(
        kind=Kind.POSSIBLE_DEADLOCK,
        title=Kind.POSSIBLE_DEADLOCK.value,
        pid=trace.pid,
        source=Source(file=file, first_line=1, last_line=1),
        raw="\n".join(_lines(mutexes, acquisitions)),
        threads=tuple(thread for thread in threads if thread.id),
        mutexes=mutexes,
        cycle=tuple(numbers.values()),
        acquisitions=acquisitions,
        summary=f"{Kind.POSSIBLE_DEADLOCK.value}: {names}",
    )


def _mutex(lock: TracedLock, number: int, namer: _Namer) -> Mutex:
    created = namer.place(lock.created).stack
    name = lock.name or (LockKind.GIL.value if lock.kind is LockKind.GIL else "")
    return Mutex(
        id=number,
        address=lock.address or None,
        stack=created if created.frames else None,
        kind=lock.kind.value,
        name=name,
    )


def _acquisition(edge: Edge, numbers: Mapping[int, int], namer: _Namer) -> Acquisition:
    asked, held = namer.place(edge.stack), namer.place(edge.held.stack)
    return Acquisition(
        mutex=numbers[edge.requested],
        holding=numbers[edge.held.lock],
        thread=edge.thread,
        main_thread=edge.thread == 0,
        stack=asked.stack,
        holding_stack=held.stack if held.stack.frames else None,
        call=asked.call,
        write=edge.mode is Mode.WRITE,
        weak=edge.strength is Strength.WEAK,
    )


def _thread(thread: TracedThread, pid: int, namer: _Namer) -> Thread:
    stack = namer.place(thread.stack).stack
    return Thread(
        id=thread.id,
        name=thread.name,
        tid=thread.tid or pid,
        status=ThreadStatus.RUNNING,
        parent=thread.parent or None,
        parent_main=thread.parent == 0,
        stack=stack if stack.frames else None,
    )


def _lines(mutexes: Sequence[Mutex], acquisitions: Sequence[Acquisition]) -> Iterator[str]:
    yield Kind.POSSIBLE_DEADLOCK.value
    names = {mutex.id: mutex.name or f"{mutex.kind} {mutex.address or mutex.id:#x}" for mutex in mutexes}
    for edge in acquisitions:
        yield f"  thread T{edge.thread} held {names[edge.holding]} when it asked for {names[edge.mutex]}"
        for what, stack in (("asked", edge.stack), ("took", edge.holding_stack)):
            for frame in stack.frames if stack else ():
                place = f"{frame.file}:{frame.line}" if frame.file else f"{frame.module}+{frame.offset or 0:#x}"
                yield f"    {what} #{frame.index} {frame.symbol} {place}"
