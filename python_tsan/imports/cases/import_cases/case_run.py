"""Run one row: write its packages, do its threads' imports, report what each thread met.

The threads may be Python's or the embedding program's; the scheduler orders them.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .rows import row
from .scheduler import Scheduler
from .schedules import LOCK
from .stall_monitor import describe_waits, is_free_threaded

if TYPE_CHECKING:
    from typing import Any

JOIN_SECONDS = 0.01
Import = Callable[[str], object]


def _import_as_a_statement_does(name: str) -> object:
    """Call what ``__import__`` is now: an import statement looks it up each time, and a mitigation may replace it."""
    return builtins.__import__(name)


class CaseRun:
    """One row and variant in this process. Made on the main thread, before any of the row's threads starts.

    ``import_one`` is how its threads import; the caller may put something else in its place.
    """

    def __init__(self, name: str, variant: str, folder: str) -> None:
        self.row = row(name)
        self.variant = self.row.variant(variant)
        self.scheduler = Scheduler(self.row.holds, self.row.modules)
        self.errors: dict[str, dict[str, str] | None] = {}
        self.folder = folder
        self._gate = threading.RLock()
        # Without pathlib, which costs a subject under ThreadSanitizer a good part of a second.
        for path, text in {**self.row.tree, **self.variant.tree}.items():
            target = os.path.join(folder, path)  # noqa: PTH118
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            with open(target, "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(text)
        sys.path.insert(0, folder)
        self.scheduler.install()
        for module in self.variant.main:
            __import__(module)
        self.scheduler.install()
        self.import_one: Import = importlib.import_module if self.variant.by_name else _import_as_a_statement_does

    @property
    def threads(self) -> dict[str, tuple[str, ...]]:
        """What each thread imports, in order."""
        return dict(self.variant.threads)

    @property
    def lost(self) -> str:
        """Names of the threads whose imports failed, in order, with blanks between."""
        return " ".join(sorted(name for name, error in self.errors.items() if error))

    def unfinished(self) -> list[str]:
        """Return the names of the threads that have not ended, in order."""
        return [name for name in self.variant.threads if name not in self.errors]

    def wait_graph(self) -> list[str]:
        """Return the wait-for graph, one edge a line: what each thread waits for, and who holds it."""
        return describe_waits(self.scheduler, self.folder)

    def play(self, thread: str) -> None:
        """Do the imports of ``thread`` in the calling thread."""
        self.scheduler.enter(thread)
        error: BaseException | None = None
        try:
            if self.variant.one_at_a_time:
                self.scheduler.mark(LOCK)
                with self._gate:
                    self._import(thread)
            else:
                self._import(thread)
        except BaseException as caught:  # noqa: BLE001 -- a module's body may raise anything, and that is the result
            error = caught
        self.leave(thread, type(error).__name__ if error else "", str(error))

    def leave(self, thread: str, error_type: str, text: str) -> None:
        """Note how the imports of ``thread`` ended; an empty ``error_type`` means well."""
        self.errors[thread] = {"type": error_type, "text": text} if error_type else None
        self.scheduler.leave(thread)

    def _import(self, thread: str) -> None:
        for step in self.variant.threads[thread]:
            module, _, function = step.partition(":")
            if function:
                getattr(sys.modules[module], function)()
            else:
                self.import_one(module)

    def perform(self, deadline: float) -> dict[str, Any]:
        """Run every thread as a Python thread for at most ``deadline`` seconds and return what happened.

        ``held`` names the threads that the scheduler still holds.
        """
        for name in self.variant.threads:
            threading.Thread(target=self.play, args=(name,), name=name, daemon=True).start()
        limit = time.monotonic() + deadline
        while self.unfinished() and time.monotonic() < limit:
            time.sleep(JOIN_SECONDS)
        return {
            "row": self.row.name,
            "variant": self.variant.name,
            "version": list(sys.version_info[:3]),
            "free_threaded": is_free_threaded(),
            "unfinished": self.unfinished(),
            "held": self.scheduler.held(),
            "errors": {name: error for name, error in self.errors.items() if error},
            "waits": self.wait_graph() if self.unfinished() else [],
        }
