"""Define the mitigations that a program may try without changing its modules, each as code that applies it to a row.

Which of them helps where is for the measurements to show: several of them do not.
"""

from __future__ import annotations

import _imp
import importlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from python_tsan.imports.cases.import_cases.schedules import LOCK

from . import native_locks

if TYPE_CHECKING:
    import queue
    from contextlib import AbstractContextManager

    from .program import Import, Mitigation, Program


LONG_SWITCH_SECONDS = 10
RETRIES = 3
RETRY_PAUSE_SECONDS = 0.02


class _GlobalImportLock:
    """CPython's own global import lock, held for a whole import."""

    def __enter__(self) -> None:
        _imp.acquire_lock()

    def __exit__(self, *_: object) -> None:
        _imp.release_lock()


def lock_round_import(program: Program) -> Import:
    """Put one re-entrant lock round ``builtins.__import__``, as programs that fight these deadlocks do."""
    return native_locks.round_import(program, threading.RLock())


def lock_round_entries(program: Program) -> Import:
    """Put one lock round each thread's own imports and leave the import statements within them as they are."""
    return _under(threading.RLock(), program)


def imp_lock(program: Program) -> Import:
    """Hold the interpreter's global import lock for the whole of each thread's imports. A fork waits for that lock."""
    os.register_at_fork(before=lambda: program.scheduler.mark(LOCK))
    return _under(_GlobalImportLock(), program)


def _under(lock: AbstractContextManager[object], program: Program) -> Import:
    def guarded(name: str) -> object:
        program.scheduler.mark(LOCK)
        with lock:
            return program.plain(name)

    return guarded


def parents_first(program: Program) -> Import:
    """Import the parents of a module, outermost first, before the module, in each thread."""

    def from_the_top(name: str) -> object:
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            program.plain(".".join(parts[:count]))
        return sys.modules[name]

    return from_the_top


def parents_first_everywhere(program: Program) -> Import:
    """Wrap the private ``importlib._bootstrap._find_and_load``, so that every import takes its parents first."""
    bootstrap = vars(importlib)["_bootstrap"]
    original = bootstrap._find_and_load  # noqa: SLF001 -- this mitigation needs a private function, and that is its price

    def wrapped(name: str, import_: Import, *arguments: object) -> object:
        parent = name.rpartition(".")[0]
        if parent:
            import_(parent)
        return original(name, import_, *arguments)

    bootstrap._find_and_load = wrapped  # noqa: SLF001 -- as above
    return program.plain


def retry(program: Program) -> Import:
    """Import again when ``_DeadlockError`` comes, three times at most, after a pause for the other thread."""

    def again(name: str) -> object:
        for attempt in range(1, RETRIES + 1):
            try:
                return program.plain(name)
            except RuntimeError as error:
                if type(error).__name__ != "_DeadlockError":
                    raise
            time.sleep(RETRY_PAUSE_SECONDS * attempt)
        return program.plain(name)

    return again


def long_switch_interval(program: Program) -> Import:
    """Ask the interpreter to switch threads every ten seconds only."""
    sys.setswitchinterval(LONG_SWITCH_SECONDS)
    return program.plain


def one_import_thread(program: Program) -> Import:
    """Hand every thread's imports to one thread that does them all."""
    from queue import SimpleQueue  # noqa: PLC0415 -- a subject under ThreadSanitizer pays for what it does not use

    requests: queue.SimpleQueue[tuple[str, str, queue.SimpleQueue[BaseException | None]]] = SimpleQueue()

    def serve() -> None:
        while True:
            thread, name, answer = requests.get()
            program.scheduler.act_for(thread)
            try:
                program.plain(name)
            except BaseException as error:  # noqa: BLE001 -- it belongs to the thread that asked
                answer.put(error)
            else:
                answer.put(None)

    threading.Thread(target=serve, name="importer", daemon=True).start()

    def ask(name: str) -> object:
        program.scheduler.mark(LOCK)
        answer: queue.SimpleQueue[BaseException | None] = SimpleQueue()
        requests.put((program.scheduler.name_of(threading.get_ident()), name, answer))
        error = answer.get()
        if error is not None:
            raise error
        return sys.modules[name]

    return ask


def safe_import(program: Program) -> Import:
    """Import through ``python_tsan.safe_import``. A fork waits for its turn."""
    from python_tsan.safe_import import safe_import as safely  # noqa: PLC0415 -- as in one_import_thread

    os.register_at_fork(before=lambda: program.scheduler.mark(LOCK))

    def marked(name: str) -> object:
        program.scheduler.mark(LOCK)
        return safely(name)

    return marked


MITIGATIONS: dict[str, Mitigation] = {
    "none": lambda program: program.plain,
    **{
        function.__name__: function
        for function in (
            safe_import,
            parents_first,
            parents_first_everywhere,
            lock_round_import,
            lock_round_entries,
            imp_lock,
            one_import_thread,
            retry,
            long_switch_interval,
            native_locks.mutex_gil_held,
            native_locks.mutex_gil_released,
            native_locks.call_once_gil_held,
            native_locks.call_once_gil_released,
            native_locks.static_guard_gil_held,
            native_locks.static_guard_gil_released,
        )
    },
}
