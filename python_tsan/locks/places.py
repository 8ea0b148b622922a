"""Decide what makes two locks, or two requests, the same to a reader. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from python_tsan.locks.lock_functions import address
from python_tsan.locks.model import LockKind
from python_tsan.result.attribution import owner
from python_tsan.result.finding import Attribution
from python_tsan.tsan.frames import is_plumbing

if TYPE_CHECKING:
    from python_tsan.locks.lock_functions import Address
    from python_tsan.locks.model import CallStack, TracedLock
    from python_tsan.tsan.finding import Frame


# pybind11::gil_scoped_acquire::gil_scoped_acquire(), nanobind::gil_scoped_acquire::gil_scoped_acquire()
_GUARD = re.compile(r"(?:pybind11|nanobind)::(?:gil_scoped_|ft_|detail::gil_|gil_safe_call_once)")
Serving = frozenset["Address"]
Place = tuple[object, ...]  # what can be compared, and nothing more


def lock_class(lock: TracedLock, serving: Serving = frozenset()) -> Place:
    """Return what locks have in common that are called the same, or were created at the same place.

    ``serving`` are functions that only create locks for others.
    """
    if lock.name:
        return (lock.kind, lock.name)
    if lock.offset is not None:
        return (lock.kind, lock.module, lock.offset)
    created = site(lock.created, serving)
    if (lock.kind is LockKind.PYTHON or lock.by_python) and lock.created.python:
        first = lock.created.python[0]
        created = (first.file, first.function, first.line)
    return (lock.kind, created) if created else (lock.kind, lock.id)


def site(stack: CallStack, serving: Serving = frozenset()) -> Place:
    """Return the innermost native frame that is neither Python's nor the system's, else the best that there is.

    Python functions do not count where there is such a frame: a thread may ask for the GIL again in any of them.
    Neither do the functions ``serving`` others, unless there is nothing else.
    """
    own = [address(frame) for frame in stack.native if not is_machinery(frame)]
    for place in own:
        if place not in serving:
            return place
    if own:
        return own[0]
    if stack.python:
        return (stack.python[0].file, stack.python[0].function)
    return (stack.native[0].module, stack.native[0].offset) if stack.native else ()


def is_machinery(frame: Frame) -> bool:
    """Return whether a native frame only serves a call: the interpreter's, the system's, or a guard's of C++."""
    return owner(frame) in {Attribution.LIBPYTHON, Attribution.RUNTIME} or is_guard(frame)


def is_guard(frame: Frame) -> bool:
    """Return whether a frame is of the C++ library or of an object that holds the GIL or a lock for a scope."""
    return is_plumbing(frame) or bool(_GUARD.match(frame.symbol))
