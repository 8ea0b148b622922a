"""Describe in a line each what the threads of a hanging process wait for, and who holds it."""

from __future__ import annotations

import contextlib
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePath

from python_tsan.process.group import thread_folders
from python_tsan.result.hang import Hang, with_cycle
from python_tsan.result.model import Waiter

MAX_THREADS, MAX_FRAMES = 8, 4
_PROC = Path("/proc")
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
# futex(2): FUTEX_WAIT, with or without FUTEX_PRIVATE_FLAG. A mutex of glibc holds 2 while a thread waits for it.
_WAIT, _PRIVATE, _CONTENDED = 0, 128, 2
# pthread_mutex_t begins with int __lock, unsigned __count, int __owner, on all machines (struct_mutex.h).
_OWNER_OFFSET = 8
# Thread 2 (Thread 0x7f5c0bdff6c0 (LWP 4711) "worker"):
_THREAD = re.compile(r"^Thread \d+ \((?:Thread 0x[0-9a-f]+ \()?(?:LWP|process) (?P<tid>\d+)\)")
# #3  0x00005555 in work (lock=...) at /src/program.cpp:21
_FRAME = re.compile(r"^#\d+\s+(?:0x[0-9a-f]+ in )?(?P<name>.+?) \(.*?(?: at (?P<file>\S+):(?P<line>\d+))?$")
# Thread 4711, holds the GIL (most recent call first):
_HOLDER = re.compile(r"^Thread (\d+), holds the GIL", re.MULTILINE)
# What only serves the runtime itself.
_RUNTIME_THREAD = "BackgroundThread"
# Sources of glibc, of the sanitizer, of the C++ library, of what is preloaded and of the interpreter under test.
_FOREIGN = re.compile(
    r"^\.{1,2}/(?:nptl|sysdeps|csu|elf|misc|stdlib|posix|io|signal)/|/compiler-rt/|/libsanitizer/|/include/\S*c\+\+/|/preload/(?:common|locks|shims|tracer)/"
    r"|^/cpython/"
)
_TAKES_GIL = "take_gil"
_ONCE = re.compile(r"(?:__interceptor_|___interceptor_)?pthread_once")
# __sanitizer::FutexWait, guard_acquire, __tsan::internal_sched_yield
_RUNTIME_WAIT = re.compile(r"FutexWait|guard_acquire|internal_|syscall")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stack:
    """A thread's functions, top first, and those of them with a known line, as text."""

    functions: list[str]
    places: list[str]


def describe_hang(pid: int, *, native: str, python: str) -> Hang:
    """Return a line for each thread of ``pid``, those that hold or wait for something first, and their wait-for graph.

    ``native`` is what gdb printed of it, ``python`` the Python stacks that it wrote; each may be empty.
    """
    holders = {int(tid) for tid in _HOLDER.findall(python)}
    stacks = _read_stacks(native)
    busy: list[str] = []
    others: list[str] = []
    graph: dict[int, Waiter] = {}
    names = _names(pid)
    for tid, name in names.items():
        stack = stacks.get(tid, _Stack(functions=[], places=[]))
        if any(_RUNTIME_THREAD in function for function in stack.functions):
            continue
        doing = ["holds the GIL"] if tid in holders else []
        wants: tuple[str, tuple[int, ...]] = ("", ())
        if wait := _mutex_of(pid, tid):
            doing.append("waits for the mutex {:#x}, which thread {} holds".format(*wait))
            wants = f"the mutex {wait[0]:#x}", (wait[1],)
        if _TAKES_GIL in stack.functions:
            doing.append("waits for the GIL")
            wants = "the GIL", tuple(sorted(holders))
        if tid in holders or wants[0]:
            graph[tid] = Waiter(
                thread=_thread(tid, name),
                holds=("the GIL",) if tid in holders else (),
                waits_for=wants[0],
                held_by=tuple(_thread(each, names.get(each, "")) for each in wants[1]),
            )
        if _waits_for_once(stack.functions):
            doing.append(
                "waits in call_once for a function that does not return; if it threw, the runtime did not notice (use "
                "a static variable, or catch the exception inside)"
            )
        words = " ".join([_thread(tid, name), *([" and ".join(doing)] if doing else [])])
        where = ", ".join(stack.places[:MAX_FRAMES])
        line = f"{words}: {where}" if where else words
        if doing:
            busy.append(line)
        elif where:
            others.append(line)
    return Hang(lines=tuple([*busy, *others][:MAX_THREADS]), graph=with_cycle(tuple(graph.values())[:MAX_THREADS]))


def _thread(tid: int, name: str) -> str:
    return f"{tid} ({name})"


def _waits_for_once(functions: list[str]) -> bool:
    """Return whether a thread is inside the runtime's pthread_once, and not in the function that this one calls."""
    place = next((place for place, name in enumerate(functions) if _ONCE.fullmatch(name)), 0)
    return place > 0 and all(_RUNTIME_WAIT.search(name) for name in functions[:place])


def _read_stacks(native: str) -> dict[int, _Stack]:
    stacks: dict[int, _Stack] = {}
    stack = None
    for line in native.splitlines():
        if thread := _THREAD.match(line):
            stack = stacks.setdefault(int(thread["tid"]), _Stack(functions=[], places=[]))
        elif stack and (frame := _FRAME.match(line)):
            stack.functions.append(frame["name"])
            if frame["file"] and not _FOREIGN.search(frame["file"]):
                stack.places.append(f"{frame['name']} {PurePath(frame['file']).name}:{frame['line']}")
    return stacks


def _names(pid: int) -> dict[int, str]:
    """Return the name of each thread, by its number."""
    names = {}
    for task in thread_folders(pid):
        with contextlib.suppress(OSError):
            names[int(task.name)] = (task / "comm").read_text(encoding="utf-8", errors="replace").strip()
    return names


def _mutex_of(pid: int, tid: int) -> tuple[int, int] | None:
    """Return the address of the mutex that a thread waits for, and its owner, if the kernel shows both.

    Other waits, as for a condition, use another operation, and what follows in memory is no thread's number.
    """
    folder = _PROC / str(pid) / "task" / str(tid)
    try:
        number, *arguments = (folder / "syscall").read_text(encoding="ascii").split()
        if number != str(_FUTEX):
            return None
        address, operation, value = (int(each, 16) for each in arguments[:3])
        if operation & ~_PRIVATE != _WAIT or value != _CONTENDED:
            return None
        with (_PROC / str(pid) / "mem").open("rb", buffering=0) as memory:
            memory.seek(address + _OWNER_OFFSET)
            owner = int.from_bytes(memory.read(4), sys.byteorder)
    except (OSError, ValueError):
        return None
    return (address, owner) if (folder.parent / str(owner)).is_dir() and owner else None
