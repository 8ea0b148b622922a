"""Schedule the threads of a row: hold each one where the row says until its conditions are true.

Ordering comes from CPython's own tables of module locks, never from a delay. What the threads import is the row's.
"""

from __future__ import annotations

import sys
import threading
import time
from threading import get_ident
from typing import TYPE_CHECKING

from .case import CREATE, EXEC, START, Hold
from .wait_graph import sleeps_on, waits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

POLL_SECONDS = 0.0005


class HeldLoader:
    """A loader that calls the scheduler before it creates and before it executes a module."""

    def __init__(self, loader: Loader, scheduler: Scheduler) -> None:
        self._loader = loader
        self._scheduler = scheduler

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Hold at ``create``, then do what the real loader does."""
        self._scheduler.pass_point(CREATE, spec.name)
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Hold at ``exec``, then do what the real loader does."""
        self._scheduler.pass_point(EXEC, module.__name__)
        self._loader.exec_module(module)

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)


class Scheduler:
    """Hold threads by name. One for each process: it stays on ``sys.meta_path``."""

    def __init__(self, holds: tuple[Hold, ...], modules: frozenset[str]) -> None:
        self._holds = holds
        self._modules = modules
        self._names: dict[int, str] = {}
        self._ended: set[str] = set()
        self._reached: set[tuple[str, str, str]] = set()
        self._holding: dict[str, str] = {}

    def install(self) -> None:
        """Put the scheduler before every other finder, those that came since the last call included."""
        sys.meta_path[:] = [self, *(finder for finder in sys.meta_path if finder is not self)]

    def enter(self, thread: str) -> None:
        """Give the calling thread its name and hold it at its start."""
        self.act_for(thread)
        self.pass_point(START, "")

    def act_for(self, thread: str) -> None:
        """Take the calling thread's imports for those of ``thread`` from here on."""
        self._names[get_ident()] = thread

    def leave(self, thread: str) -> None:
        """Note that ``thread`` is through with its imports."""
        # The system gives a dead thread's identifier to the next one.
        self._names = {ident: name for ident, name in self._names.items() if name != thread}
        self._ended.add(thread)

    def mark(self, point: str) -> None:
        """Note that the calling thread has come to a point of the program's own, such as a lock."""
        self.pass_point(point, "")

    def pass_point(self, point: str, module: str) -> None:
        """Note that the calling thread is here, and hold it as the row says."""
        thread = self.name_of(get_ident())
        self._reached.add((thread, point, module))
        for hold in self._holds:
            if (hold.thread, hold.point, hold.module) == (thread, point, module):
                self._hold(hold)

    def _hold(self, hold: Hold) -> None:
        self._holding[hold.thread] = f"{hold.point} {hold.module}".rstrip()
        while not any(condition(self) for condition in hold.until):
            time.sleep(POLL_SECONDS)
        del self._holding[hold.thread]

    def present(self) -> set[int]:
        """Return the identifiers of the threads that have begun and not ended."""
        return set(self._names)

    def reached(self) -> int:
        """Return the number of points that threads have come to so far."""
        return len(self._reached)

    def held(self) -> dict[str, str]:
        """Return where each thread that is being held stands. A thread that hangs by itself is not among them."""
        return dict(self._holding)

    def is_blocked(self, thread: str, module: str) -> bool:
        """Return whether ``thread`` sleeps on the lock of ``module``, or of any module if that is empty."""
        awaited = [sleeps_on(ident) for ident, name in list(self._names.items()) if name == thread]
        return module in awaited if module else any(awaited)

    def has_reached(self, thread: str, point: str, module: str) -> bool:
        """Return whether ``thread`` has come to ``point`` of importing ``module``."""
        return (thread, point, module) in self._reached

    def has_ended(self, thread: str) -> bool:
        """Return whether ``thread`` has finished, well or not."""
        return thread in self._ended

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of the row's tree as the other finders do, and hold its loader's steps."""
        if name not in self._modules:
            return None
        for finder in sys.meta_path:
            spec: ModuleSpec | None = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = HeldLoader(spec.loader, self)  # type: ignore[assignment]
                return spec
        return None

    def wait_for_graph(self) -> list[dict[str, str]]:
        """Return one edge for each thread that sleeps on a module lock: who waits, for what, and who holds it."""
        return [
            {"thread": self.name_of(ident), "module": str(lock.name), "holder": self.name_of(lock.owner)}
            for ident, lock in waits()
        ]

    def name_of(self, ident: int | None) -> str:
        """Return the name of a thread: the row's for its own threads, else Python's."""
        if ident in self._names:
            return self._names[ident]
        return next((thread.name for thread in threading.enumerate() if thread.ident == ident), f"thread {ident}")
