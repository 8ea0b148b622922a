"""Put native locks around imports, as an embedding program would: a mutex, a once flag, a static guard.

The program's own library functions are called: ``pthread_once`` is what libstdc++'s ``std::call_once`` calls, and
``__cxa_guard_acquire`` what a compiler writes before the initialisation of a function's static variable. With the GIL
held they are called through ``ctypes.PyDLL``, with the GIL released through ``ctypes.CDLL``.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from python_tsan.imports.cases.import_cases.schedules import LOCK

if TYPE_CHECKING:
    import ctypes
    from contextlib import AbstractContextManager

    from .program import Import, Program

RECURSIVE = 1  # PTHREAD_MUTEX_RECURSIVE of Linux
_ROOM = 64  # bytes; no pthread type of Linux takes more


def round_import(program: Program, lock: AbstractContextManager[object]) -> Import:
    """Put ``lock`` round ``builtins.__import__`` and mark when a thread comes to it."""
    original = builtins.__import__

    def guarded(name: str, *arguments: object, **keywords: object) -> object:
        program.scheduler.mark(LOCK)
        with lock:
            return original(name, *arguments, **keywords)  # type: ignore[arg-type]

    builtins.__import__ = guarded  # type: ignore[assignment]
    return program.plain


def _library(name: str | None, *, gil_held: bool) -> ctypes.CDLL:
    import ctypes  # noqa: PLC0415 -- a subject under ThreadSanitizer pays for what it does not use

    return ctypes.PyDLL(name) if gil_held else ctypes.CDLL(name)


class _Mutex:
    """A recursive pthread mutex whose owner is waited for with the GIL held, or released."""

    def __init__(self, library: ctypes.CDLL) -> None:
        import ctypes  # noqa: PLC0415 -- as above

        self._library = library
        self._mutex = ctypes.create_string_buffer(_ROOM)
        attributes = ctypes.create_string_buffer(_ROOM)
        library.pthread_mutexattr_init(attributes)
        library.pthread_mutexattr_settype(attributes, RECURSIVE)
        library.pthread_mutex_init(self._mutex, attributes)

    def __enter__(self) -> None:
        self._library.pthread_mutex_lock(self._mutex)

    def __exit__(self, *_: object) -> None:
        self._library.pthread_mutex_unlock(self._mutex)


def mutex_gil_held(program: Program) -> Import:
    """Put a native mutex round ``builtins.__import__`` and wait for it with the GIL held: the wrong order."""
    return round_import(program, _Mutex(_library(None, gil_held=True)))


def mutex_gil_released(program: Program) -> Import:
    """Put a native mutex round ``builtins.__import__`` and wait for it with the GIL released: the right order."""
    return round_import(program, _Mutex(_library(None, gil_held=False)))


def call_once_gil_held(program: Program) -> Import:
    """Import everything inside one ``std::call_once`` that threads come to with the GIL held: the wrong order."""
    return _behind_once(program, gil_held=True)


def call_once_gil_released(program: Program) -> Import:
    """Import everything inside one ``std::call_once`` that threads come to with the GIL released: the right order."""
    return _behind_once(program, gil_held=False)


def _behind_once(program: Program, *, gil_held: bool) -> Import:
    import ctypes  # noqa: PLC0415 -- as above

    library = _library(None, gil_held=gil_held)
    function = ctypes.PYFUNCTYPE(None) if gil_held else ctypes.CFUNCTYPE(None)
    flag = ctypes.c_int(0)  # PTHREAD_ONCE_INIT
    body = function(lambda: _import_everything(program))

    def once(name: str) -> object:
        program.scheduler.mark(LOCK)
        library.pthread_once(ctypes.byref(flag), body)
        return program.plain(name)

    return once


def static_guard_gil_held(program: Program) -> Import:
    """Import everything to initialise one C++ static variable that threads reach with the GIL held: the wrong order."""
    return _behind_guard(program, gil_held=True)


def static_guard_gil_released(program: Program) -> Import:
    """Import everything to initialise one C++ static variable that threads reach with the GIL released."""
    return _behind_guard(program, gil_held=False)


def _behind_guard(program: Program, *, gil_held: bool) -> Import:
    import ctypes  # noqa: PLC0415 -- as above

    library = _library("libstdc++.so.6", gil_held=gil_held)
    guard = ctypes.c_int64(0)

    def guarded(name: str) -> object:
        program.scheduler.mark(LOCK)
        if library["__cxa_guard_acquire"](ctypes.byref(guard)):
            _import_everything(program)
            library["__cxa_guard_release"](ctypes.byref(guard))
        return program.plain(name)

    return guarded


def _import_everything(program: Program) -> None:
    """Import what each thread needs, as a program's one initialiser would. Each thread meets its own error later."""
    for name in program.entries:
        try:
            program.plain(name)
        except Exception:  # noqa: BLE001, S112 -- a callback of C cannot raise
            continue
