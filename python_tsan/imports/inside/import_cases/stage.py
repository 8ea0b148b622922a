"""Own one performance of a row: write its packages, run its threads' imports, report what each thread met.

The threads may be Python's or the embedding program's; their order is the director's.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from .director import Director
from .mitigations import MITIGATIONS
from .program import Program
from .rows import row
from .schedules import LOCK
from .standing import standing

if TYPE_CHECKING:
    from typing import Any

JOIN_SECONDS = 0.01


def _import_as_a_statement_does(name: str) -> object:
    """Call what ``__import__`` is now: an import statement looks it up each time, and a cure may replace it."""
    return builtins.__import__(name)


class Stage:
    """One row and variant in this process. Made on the main thread, before any of the row's threads starts."""

    def __init__(self, name: str, variant: str, folder: str, mitigation: str = "none") -> None:
        self.row = row(name)
        self.variant = self.row.variant(variant)
        self.director = Director(self.row.holds, self.row.modules)
        self.errors: dict[str, dict[str, str] | None] = {}
        self.folder = folder
        self._gate = threading.RLock()
        self._write(folder)
        sys.path.insert(0, folder)
        self.director.install()
        for module in self.variant.main:
            __import__(module)
        self.director.install()
        self.mitigation = mitigation
        self._import_one = MITIGATIONS[mitigation](self._program())

    def _program(self) -> Program:
        steps = dict.fromkeys(step for steps in self.variant.threads.values() for step in steps)
        plain = importlib.import_module if self.variant.by_name else _import_as_a_statement_does
        return Program(self.director, plain, tuple(step for step in steps if ":" not in step))

    def _write(self, folder: str) -> None:
        # Without pathlib, which costs a subject under ThreadSanitizer a good part of a second.
        for path, text in {**self.row.tree, **self.variant.tree}.items():
            target = os.path.join(folder, path)  # noqa: PTH118
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            with open(target, "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(text)

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

    def standing(self) -> list[str]:
        """Return the wait-for graph, one edge a line: what each thread stands at, and who has it."""
        return standing(self.director, self.folder)

    def play(self, thread: str) -> None:
        """Do the imports of ``thread`` in the calling thread."""
        self.director.enter(thread)
        error: BaseException | None = None
        try:
            if self.variant.one_at_a_time:
                self.director.mark(LOCK)
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
        self.director.leave(thread)

    def _import(self, thread: str) -> None:
        for step in self.variant.threads[thread]:
            module, _, function = step.partition(":")
            if function:
                getattr(sys.modules[module], function)()
            else:
                self._import_one(module)

    def perform(self, deadline: float) -> dict[str, Any]:
        """Run every thread as a Python thread for at most ``deadline`` seconds and return the report."""
        for name in self.variant.threads:
            threading.Thread(target=self.play, args=(name,), name=name, daemon=True).start()
        limit = time.monotonic() + deadline
        while self.unfinished() and time.monotonic() < limit:
            time.sleep(JOIN_SECONDS)
        return self.report()

    def report(self) -> dict[str, Any]:
        """Return what happened as a JSON object; ``held`` names the threads that the director still holds."""
        return {
            "row": self.row.name,
            "variant": self.variant.name,
            "mitigation": self.mitigation,
            "version": list(sys.version_info[:3]),
            "free_threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
            "unfinished": self.unfinished(),
            "held": self.director.held(),
            "errors": {name: error for name, error in self.errors.items() if error},
            "waits": self.standing() if self.unfinished() else [],
            "stacks": self.director.stacks(),
            "pid": os.getpid(),
        }
