"""Write the report of a deadlock or a stall of imports; leave noticing them to ``watch``.

It runs while imports stand still, so it imports nothing at run time.
"""

import os
import sys
from _thread import get_ident

from .wait_graph import (
    GLOBAL_LOCK,
    all_frames,
    holds_global_lock,
    is_machinery,
    locks_awaited,
    module_locks,
    outwards,
    own_frames,
    waits_for_global_lock,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_ORPHANS: "list[Any]" = []
_MAIN = [get_ident()]  # the watch starts with the interpreter, on its main thread


def forked() -> None:
    """Remember, in a child just forked, the locks whose owners stayed behind: their identifiers will be used again."""
    _MAIN[:] = [get_ident()]
    _ORPHANS[:] = [lock for lock in module_locks() if lock.owner not in (None, get_ident())]


def _owner(lock: "Any") -> "int | None":  # noqa: ANN401 -- a class that no stub knows
    """Return the thread of this process that holds the lock, None without an owner."""
    return None if any(lock is orphan for orphan in _ORPHANS) else lock.owner


def deadlock_lines(cycle: "list[tuple[int, Any]]") -> "list[str]":
    """Write a cycle: who waits for which module, by which import statement, who holds it, and every stack."""
    frames = all_frames()
    ident, awaited = cycle[0]
    soft = _is_swallowed(awaited, frames.get(ident))
    what = "no error is raised, the module is handed out partially initialized" if soft else "_DeadlockError"
    head = f"python-tsan: deadlock between imports, closed by {_name(ident)} at {awaited.name}: {what}"
    lines = [f"{head} (process {os.getpid()})"]
    lines += [_wait_line(thread, lock, frames.get(thread)) for thread, lock in cycle]
    for thread, _ in cycle:
        lines += _stack(thread, frames.get(thread))
    return lines


def _is_swallowed(lock: "Any", frame: "FrameType | None") -> bool:  # noqa: ANN401 -- as above
    """Return whether the caller of ``_ModuleLock.acquire`` accepts a deadlock, and the module as it is.

    ``_find_and_load`` calls it by itself from 3.15 on, and lets the error through only when there is no module.
    """
    names = [each.f_code.co_name for each in outwards(frame) if is_machinery(each)]
    caller = names[1] if len(names) > 1 else ""
    return caller == "_lock_unlock_module" or (caller == "_find_and_load" and lock.name in sys.modules)


def stall_lines(seconds: float) -> "list[str]":
    """Write a stall: each thread that waits in an import, each that holds an awaited lock, and stacks."""
    frames = {ident: frame for ident, frame in all_frames().items() if ident != get_ident()}
    lines = [f"python-tsan: imports have stood still for {seconds:g} s (process {os.getpid()})"]
    waiting = {ident: locks_awaited(ident) for ident in frames}
    owners = {_owner(lock) for locks in waiting.values() for lock in locks}
    shown = [ident for ident in frames if waiting[ident] or ident in owners or _global_lock(frames[ident])]
    for ident in shown:
        lines += [_wait_line(ident, lock, frames[ident]) for lock in waiting[ident]]
        if not waiting[ident]:
            part = " and ".join(each for each in (_holds(ident), _global_lock(frames[ident])) if each)
            lines.append(f"  {_name(ident)} {part}: {_here(frames[ident])}")
    for ident in shown:
        lines += _stack(ident, frames[ident])
    return lines


def _wait_line(ident: int, lock: "Any", frame: "FrameType | None") -> str:  # noqa: ANN401 -- a class that no stub knows
    known = _owner(lock) is not None
    owner = f"{_name(lock.owner)} holds" if known else f"thread {lock.owner} held when this process was forked from its"
    held = f"{_holds(ident)} and " if _holds(ident) else ""
    return f"  {_name(ident)} {held}waits for {lock.name}, which {owner}: {_here(frame)}"


def _holds(ident: int) -> str:
    held = sorted(lock.name for lock in module_locks() if _owner(lock) == ident)
    return f"holds {', '.join(held)}" if held else ""


def _global_lock(frame: "FrameType | None") -> str:
    """Describe how a thread uses the global import lock, as far as its stack shows."""
    if waits_for_global_lock(frame):
        return f"waits for {GLOBAL_LOCK}"
    return f"holds {GLOBAL_LOCK}, as finders do" if holds_global_lock(frame) else ""


def _stack(ident: int, frame: "FrameType | None") -> "list[str]":
    lines = [f"    {_line(each)}" for each in own_frames(frame)]
    return [f"  stack of {_name(ident)}, innermost last:", *lines[::-1]] if lines else []


def _here(frame: "FrameType | None") -> str:
    """Return the innermost line of the program's own, which is the import statement of a thread that waits."""
    return next((_line(each) for each in own_frames(frame)), "no Python frame")


def _line(frame: "FrameType") -> str:
    place = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
    text = _source(frame.f_code.co_filename, frame.f_lineno)
    return f"{place}: {text}" if text else place


def _source(path: str, line: int) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 -- pathlib may not be there
            for number, text in enumerate(file, start=1):
                if number == line:
                    return text.strip()
    except OSError:
        return ""
    return ""


def _name(ident: "int | None") -> str:
    """Return a thread's name without asking threading, whose own lock another thread may hold."""
    threading = sys.modules.get("threading")
    thread = getattr(threading, "_active", {}).get(ident)
    # threading takes the thread that imports it first for the main one, and that may be one of C++.
    so_called = isinstance(thread, getattr(threading, "_MainThread", ()))
    if thread is None or (so_called and ident != _MAIN[0]):
        return f"thread {ident}"
    return f"{thread.name}"
