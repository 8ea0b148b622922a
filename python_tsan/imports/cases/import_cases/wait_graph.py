"""Read from this interpreter's own tables which thread waits for which import lock, and who holds it.

Everything here runs while imports stand still: it imports nothing at run time and takes no lock. How a graph is
written is left to the callers.
"""

import _frozen_importlib as bootstrap
import os
import sys

# typing is not imported: it would cost every start milliseconds. A checker takes this name for the one of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

GLOBAL_LOCK = "the global import lock"
_BOOTSTRAP = "<frozen importlib._bootstrap>"
HERE = os.path.dirname(__file__)  # noqa: PTH120 -- pathlib would slow every start


def requested_locks(ident: "int | None") -> "list[Any]":
    """Return the module locks that a thread is taking at this moment.

    ``_blocking_on`` maps a thread to one lock up to 3.11 and to a list of locks from 3.12 on (re-entrant imports); the
    later mapping offers ``get`` but no ``values``.
    """
    awaited = vars(bootstrap)["_blocking_on"].get(ident)
    if awaited is None:
        return []
    return list(awaited) if isinstance(awaited, list) else [awaited]


def locks_awaited(ident: int) -> "list[Any]":
    """Return the module locks that a thread is taking and that another thread holds."""
    return [lock for lock in requested_locks(ident) if lock.owner not in (None, ident)]


def waits() -> "list[tuple[int, Any]]":
    """Return the wait-for graph: each thread that is taking a module lock of another thread, with that lock."""
    return [(ident, lock) for ident in all_frames() for lock in locks_awaited(ident)]


def sleeps_on(ident: int) -> str:
    """Return the name of the module whose lock the thread sleeps on, or an empty string.

    A thread is in ``_blocking_on`` before it knows whether it must wait. ``waiters`` is set after it has looked for a
    deadlock and found none, so that a thread seen here can no longer become the victim of a cycle closed later.
    """
    return next((str(lock.name) for lock in locks_awaited(ident) if lock.waiters), "")


def cycle_from(ident: int) -> "list[tuple[int, Any]]":
    """Return the cycle that a thread closes as pairs of a thread and the lock that it waits for, from ``ident`` on."""

    def follow(thread: int, path: "list[tuple[int, Any]]") -> "list[tuple[int, Any]]":
        for lock in requested_locks(thread):
            here = [*path, (thread, lock)]
            if lock.owner == ident:
                return here
            if lock.owner is not None and all(lock.owner != known for known, _ in here):
                found = follow(lock.owner, here)
                if found:
                    return found
        return []

    return follow(ident, [])


def on_deadlock(call: "Callable[[], None]") -> None:
    """Take the place of the exception that CPython makes, and sometimes swallows, when a thread closes a cycle."""
    names = vars(bootstrap)
    original = names["_DeadlockError"]

    class _DeadlockError(original):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            call()

    _DeadlockError.__module__, _DeadlockError.__qualname__ = original.__module__, original.__qualname__
    names["_DeadlockError"] = _DeadlockError


def module_locks() -> "list[Any]":
    """Return the module locks that exist."""
    found = (reference() for reference in list(vars(bootstrap)["_module_locks"].values()))
    return [lock for lock in found if lock is not None]


def all_frames() -> "dict[int, FrameType]":
    """Return the innermost Python frame of each thread, by its identifier."""
    return sys._current_frames()  # noqa: SLF001 -- documented in the manual for debugging deadlocks


def outwards(frame: "FrameType | None") -> "Iterator[FrameType]":
    """Yield a frame and its callers, innermost first; importing traceback would hang where imports hang."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def is_machinery(frame: "FrameType") -> bool:
    """Return whether a frame is the import system's, which is no place of the program's own."""
    name = frame.f_code.co_filename
    return name.startswith("<frozen importlib") or name.endswith("/importlib/__init__.py")


def is_own(frame: "FrameType") -> bool:
    """Return whether a frame is the program's own: not of frozen code, the import system or this package."""
    name = frame.f_code.co_filename
    return not (name.startswith("<frozen") or is_machinery(frame) or os.path.dirname(name) == HERE)  # noqa: PTH120


def own_frames(frame: "FrameType | None") -> "Iterator[FrameType]":
    """Yield a frame and its callers that are the program's own, innermost first."""
    return filter(is_own, outwards(frame))


def waits_for_global_lock(top: "FrameType | None") -> bool:
    """Return whether a thread is in ``_imp.acquire_lock()``, which is C and has no frame: its callers have."""
    if top is None:
        return False
    return top.f_code.co_filename == _BOOTSTRAP and top.f_code.co_name in {"_get_module_lock", "__enter__"}


def holds_global_lock(top: "FrameType | None") -> bool:
    """Return whether a thread is inside a finder, which ``_find_spec`` calls with the global import lock held."""
    return not waits_for_global_lock(top) and any(
        frame.f_code.co_filename == _BOOTSTRAP and frame.f_code.co_name == "_find_spec" for frame in outwards(top)
    )
