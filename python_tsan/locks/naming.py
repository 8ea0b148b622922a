"""Give the stacks and locks of a trace the words that a reader knows: functions, lines, names of variables. Pure.

The functions of addresses come from outside, and only the addresses of what is reported are asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from msgspec.structs import replace

from python_tsan.locks.lock_functions import address, lock_holders, makers
from python_tsan.locks.model import LockKind
from python_tsan.locks.places import is_guard, is_machinery
from python_tsan.locks.python_names import python_lock_name
from python_tsan.result.attribution import owner
from python_tsan.result.finding import Attribution
from python_tsan.tsan.finding import UNRESTORED, Frame, Mutex, Stack, Thread, ThreadStatus
from python_tsan.tsan.frames import plain_symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from python_tsan.locks.lock_functions import Holder
    from python_tsan.locks.model import CallStack, LockTrace, TracedLock, TracedThread
    from python_tsan.locks.places import Serving
    from python_tsan.result.finding import PythonFrame
    from python_tsan.symbols import Site

    Address = tuple[str, int]

# A thread that asks for the GIL by one of these came from C or C++; by anything else, it was in Python code.
_BY_CALL = (
    *("PyGILState_", "PyThreadState_", "PyEval_Restore", "PyEval_Acquire", "PyEval_Release", "PyEval_SaveThread"),
    *("Py_Initialize", "Py_Finalize", "Py_NewInterpreter", "Py_EndInterpreter"),
)


# Kinds of which a process, or an interpreter, has one.
_ONLY_ONE = {LockKind.ATTACHED: "an attached thread state", LockKind.IMPORT: "the import lock"}
# Functions that are not known by their names.
_SHARED_NAMES = {"", "operator()", "main"}
# Kinds whose locks are called by what they belong to.
_LOCKS_OF = {LockKind.MODULE: "the module lock of", LockKind.FILE: "the lock of"}
_STREAM = re.compile(r"_IO_2_1_(\w+)_")  # stdin, stdout and stderr in glibc
_LONGEST_NAME = 15  # of a thread; see prctl(2)
# std::lock_guard::lock_guard, std::call_once, std::thread::join, PyObject_Call; no frame of std::function in between.
_CALL = re.compile(r"^_?Py|^__?cxa_|lock|mutex|once|join|wait|future|acquire")


def no_line(_file: str, _line: int) -> str:
    """Return no text: where no source is looked at."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Finds the functions at addresses, the variables with static and thread storage, and the text of a file's line."""

    functions: Callable[[Iterable[Address]], Mapping[Address, Site]]
    variables: Callable[[Iterable[Address]], Mapping[Address, str]]
    thread_variables: Callable[[Iterable[Address]], Mapping[Address, str]] = lambda _: {}
    line: Callable[[str, int], str] = no_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A stack as a reader sees it: from the first frame outside of the interpreter and the system.

    ``call`` is the function that this frame called to get there, empty where it is not known.
    """

    stack: Stack
    call: str = ""


@dataclass(slots=True)
class Namer:
    """Knows a trace's tables by number, and the functions and variables of some of its stacks and locks."""

    trace: LockTrace
    lookup: Lookup
    threads: dict[int, TracedThread] = field(init=False)
    locks: dict[int, TracedLock] = field(init=False)
    _holders: tuple[Holder, ...] = field(init=False)
    _makers: Serving = field(init=False)
    _serving: set[str] = field(default_factory=set)
    _sites: dict[Address, Site] = field(default_factory=dict)
    _variables: dict[Address, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.threads = {thread.id: thread for thread in self.trace.threads}
        self.locks = {lock.id: lock for lock in self.trace.locks}
        self._holders = lock_holders(self.trace)
        self._makers = makers(lock.created for lock in self.trace.locks)

    def learn(self, stacks: Iterable[CallStack], locks: Iterable[int] = ()) -> None:
        """Look up all addresses of these stacks and locks at once."""
        stacks = list(stacks)
        places = set()
        for number in locks:
            lock = self.locks[number]
            stacks.append(self.creation(lock))
            if lock.offset is not None and not lock.name:
                places.add((lock.module, lock.offset))
        frames = [frame for stack in stacks for frame in stack.native if not frame.symbol]
        addresses = {(frame.module, frame.offset) for frame in frames if frame.offset is not None}
        self._sites.update(self.lookup.functions(addresses - self._sites.keys()))
        self._variables.update(self.lookup.variables(places - self._variables.keys()))
        self._serving.update(name for holder in self._holders for name in self._served(holder))
        self._serving -= _SHARED_NAMES

    def _served(self, holder: Holder) -> Iterator[str]:
        """Yield the functions that took a lock for the one that has it, those that were inlined into it, too."""
        yield from (each.symbol for frame in holder.served for each in self._frames(frame) if not is_machinery(each))
        taking, going_on = ([each.symbol for each in self._frames(one)] for one in (holder.taking, holder.going_on))
        while taking and going_on and taking[-1] == going_on[-1]:
            del taking[-1], going_on[-1]
            if not taking:
                return
        if len(taking) < len(self._frames(holder.taking)):
            yield from taking

    def place(self, stack: CallStack) -> Place:
        """Return a recorded stack for a reader: without the program's own functions that only take locks, too."""
        native = [each for frame in stack.native for each in self._frames(frame)]
        own = [number for number, frame in enumerate(native) if not is_machinery(frame)]
        for_themselves = (number for number in own if not self._serves(native[number]))
        skipped = next(for_themselves, None)
        if skipped is None:
            # What remains may be of a lambda that was inlined into the C++ library's function.
            rest = own[-1] + 1 if own else len(native)
            is_rest = own and rest < len(native) and is_guard(native[rest])
            skipped = rest if is_rest else next(iter(own), len(native))
        machinery, native = native[:skipped], native[skipped:]
        python = [_python_frame(frame) for frame in stack.python]
        inner = next((frame.symbol for frame in reversed(machinery) if owner(frame) is Attribution.LIBPYTHON), None)
        call = inner or (plain_symbol(machinery[-1].symbol) if machinery else "")
        call = call if _CALL.search(call) else ""
        if not native:
            return Place(stack=_stack(python or machinery), call=call if python else "")
        in_python = inner is not None and not inner.startswith(_BY_CALL)
        frames = [*python, *native] if in_python else list(_with_python(native, python))
        return Place(stack=_stack(frames), call=call)

    def _serves(self, frame: Frame) -> bool:
        return frame.symbol in self._serving or address(frame) in self._makers

    def _frames(self, frame: Frame) -> tuple[Frame, ...]:
        """Return the functions at one address, inlined ones first."""
        site = self._sites.get((frame.module, frame.offset)) if frame.offset is not None else None
        if frame.symbol or site is None or not site.functions:
            return (frame,)
        return tuple(
            replace(frame, symbol=function.name, file=function.file, line=function.line) for function in site.functions
        )

    def mutex(self, number: int, as_number: int) -> Mutex:
        """Return a lock as a part of a finding."""
        lock = self.locks[number]
        created = self.place(self.creation(lock)).stack
        return Mutex(
            id=as_number,
            address=lock.address or None,
            # The GIL is there before anything of the program's.
            stack=created if created.frames and not lock.kind.is_attachment else None,
            kind=lock.kind.value,
            name=self.lock_name(lock),
        )

    def creation(self, lock: TracedLock) -> CallStack:
        """Return where a lock was created; a thread's life begins where that thread was."""
        thread = self.threads.get(lock.thread) if lock.thread is not None else None
        return thread.stack if thread else lock.created

    def lock_name(self, lock: TracedLock) -> str:
        """Return the name of a lock, empty where it has none."""
        if lock.kind in _LOCKS_OF:
            return f"{_LOCKS_OF[lock.kind]} {lock.name.rpartition('/')[2]}" if lock.name else ""
        if lock.kind in _ONLY_ONE:
            return _ONLY_ONE[lock.kind]
        if lock.name or lock.kind is LockKind.THREAD:
            return lock.name
        if lock.kind is LockKind.PYTHON or lock.by_python:
            return python_lock_name(lock.created.python, self.lookup.line)
        if lock.kind is LockKind.GIL:
            first = next(each.id for each in self.trace.locks if each.kind is LockKind.GIL)
            return lock.kind.value if lock.id == first else f"{lock.kind.value} of a sub-interpreter"
        name = plain_symbol(self._variables.get((lock.module, lock.offset or 0), ""))
        stream = _STREAM.fullmatch(name)
        return f"the lock of {stream[1]}" if stream else name

    def thread(self, number: int) -> Thread:
        """Return a thread as a part of a finding."""
        thread = self.threads[number]
        stack = self.place(thread.stack).stack
        return Thread(
            id=thread.id,
            name=self.thread_name(number),
            tid=thread.tid,
            status=ThreadStatus.RUNNING,
            parent=thread.parent,
            parent_main=thread.parent is not None and self.is_main(thread.parent),
            stack=stack if stack.frames else None,
        )

    def thread_name(self, number: int) -> str:
        """Return the name that a thread was given, empty where it still has the program's."""
        name = self.threads[number].name if number in self.threads else ""
        return "" if name == self.trace.command.rpartition("/")[2][:_LONGEST_NAME] else name

    def is_main(self, number: int) -> bool:
        """Return whether a thread is the one that the process started with."""
        thread = self.threads.get(number)
        return thread is not None and thread.tid == self.trace.pid


def raw_line(frame: Frame) -> str:
    """Return a frame as a line of a finding's raw text."""
    place = f"{frame.file}:{frame.line}" if frame.file else f"{frame.module}+{frame.offset or 0:#x}"
    return f"#{frame.index} {frame.symbol} {place}"


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
