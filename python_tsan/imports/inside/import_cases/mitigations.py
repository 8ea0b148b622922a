"""Own the cures that a program may try without changing its modules, each as code that is put in force for a row.

Which of them helps where is for the measurements to say: several of them do not.
"""

from __future__ import annotations

import _imp
import builtins
import importlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from .director import Director
from .rows import LOCK

Import = Callable[[str], object]
Mitigation = Callable[[Director], Import]

LONG_SWITCH_SECONDS = 10
RETRIES = 3
RETRY_PAUSE_SECONDS = 0.02


class _GlobalImportLock(AbstractContextManager[None]):
    """CPython's own global import lock, held for a whole import."""

    def __enter__(self) -> None:
        _imp.acquire_lock()

    def __exit__(self, *_: object) -> None:
        _imp.release_lock()


def none(_director: Director) -> Import:
    """Do nothing."""
    return __import__


def lock_round_import(director: Director) -> Import:
    """Put one re-entrant lock round ``builtins.__import__``, as programs that fight these deadlocks do."""
    gate = threading.RLock()
    original = builtins.__import__

    def guarded(name: str, *arguments: object, **keywords: object) -> object:
        director.mark(LOCK)
        with gate:
            return original(name, *arguments, **keywords)  # type: ignore[arg-type]

    builtins.__import__ = guarded  # type: ignore[assignment]
    return guarded


def lock_round_entries(director: Director) -> Import:
    """Put one lock round each thread's own imports and leave the import statements within them alone."""
    return _under(threading.RLock(), director)


def imp_lock(director: Director) -> Import:
    """Hold the interpreter's global import lock for the whole of each thread's imports. A fork waits for that lock."""
    os.register_at_fork(before=lambda: director.mark(LOCK))
    return _under(_GlobalImportLock(), director)


def _under(lock: AbstractContextManager[object], director: Director) -> Import:
    def guarded(name: str) -> object:
        director.mark(LOCK)
        with lock:
            return __import__(name)

    return guarded


def parents_first(_director: Director) -> Import:
    """Import the parents of a module, outermost first, before the module, in each thread."""

    def from_the_top(name: str) -> object:
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            __import__(".".join(parts[:count]))
        return sys.modules[name]

    return from_the_top


def parents_first_everywhere(_director: Director) -> Import:
    """Wrap the private ``importlib._bootstrap._find_and_load``, so that every import takes its parents first."""
    bootstrap = vars(importlib)["_bootstrap"]
    original = bootstrap._find_and_load  # noqa: SLF001 -- this cure lives by a private function, and that is its price

    def wrapped(name: str, import_: Import, *arguments: object) -> object:
        parent = name.rpartition(".")[0]
        if parent:
            import_(parent)
        return original(name, import_, *arguments)

    bootstrap._find_and_load = wrapped  # noqa: SLF001 -- as above
    return __import__


def retry(_director: Director) -> Import:
    """Import again when ``_DeadlockError`` comes, three times at most, after a pause for the other thread."""

    def again(name: str) -> object:
        for attempt in range(1, RETRIES + 1):
            try:
                return __import__(name)
            except RuntimeError as error:
                if type(error).__name__ != "_DeadlockError":
                    raise
            time.sleep(RETRY_PAUSE_SECONDS * attempt)
        return __import__(name)

    return again


def long_switch_interval(_director: Director) -> Import:
    """Ask the interpreter to switch threads every ten seconds only."""
    sys.setswitchinterval(LONG_SWITCH_SECONDS)
    return __import__


def one_import_thread(director: Director) -> Import:
    """Hand every thread's imports to one thread that does them all."""
    wanted: queue.SimpleQueue[tuple[str, str, queue.SimpleQueue[BaseException | None]]] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            thread, name, answer = wanted.get()
            director.act_for(thread)
            try:
                __import__(name)
            except BaseException as error:  # noqa: BLE001 -- it belongs to the thread that asked
                answer.put(error)
            else:
                answer.put(None)

    threading.Thread(target=serve, name="importer", daemon=True).start()

    def ask(name: str) -> object:
        director.mark(LOCK)
        answer: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        wanted.put((director.name_of(threading.get_ident()), name, answer))
        error = answer.get()
        if error is not None:
            raise error
        return sys.modules[name]

    return ask


MITIGATIONS: dict[str, Mitigation] = {
    function.__name__: function
    for function in (
        none,
        parents_first,
        parents_first_everywhere,
        lock_round_import,
        lock_round_entries,
        imp_lock,
        one_import_thread,
        retry,
        long_switch_interval,
    )
}
