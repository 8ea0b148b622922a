"""Record the moment when a thread closes a cycle of module locks: who waits for whom, and every stack.

Afterwards it is too late: the error ends the one thread, and the other goes on. Which thread lost is decided in
``directed_run``.
"""

from __future__ import annotations

import _frozen_importlib as bootstrap
import importlib
import os
import threading
from threading import get_ident
from typing import TYPE_CHECKING

from .wait_graph import all_frames, outwards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

    from .scheduler import Scheduler

HERE = os.path.dirname(__file__)  # noqa: PTH120 -- compared with the names of code objects, which are strings
# These pass imports and threads on, and their frames are no place of the program's own.
_MACHINERY = frozenset({importlib.__file__, threading.__file__})


class Closings:
    """The cycles that were closed, each as it stood then. One for each process."""

    def __init__(self, scheduler: Scheduler, threads: tuple[str, ...]) -> None:
        self._scheduler = scheduler
        self._threads = threads
        self._seen: list[dict[str, Any]] = []

    def install(self) -> None:
        """Take the place of the exception that CPython makes, and sometimes swallows, when a cycle is closed."""
        names = vars(bootstrap)
        original = names["_DeadlockError"]
        closings = self

        class _DeadlockError(original):  # type: ignore[misc, valid-type]
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments)
                closings._note()

        _DeadlockError.__module__, _DeadlockError.__qualname__ = original.__module__, original.__qualname__
        names["_DeadlockError"] = _DeadlockError

    def _note(self) -> None:
        thread = self._scheduler.name_of(get_ident())
        if thread in self._threads:
            self._seen.append(self._now(thread))

    def record(self, losers: list[str]) -> dict[str, Any]:
        """Return the last cycle that one of ``losers`` closed, else the last one, else how the threads stand now."""
        theirs = [each for each in self._seen if each["thread"] in losers]
        return next(iter((theirs or self._seen)[::-1]), None) or self._now("")

    def _now(self, thread: str) -> dict[str, Any]:
        """Return the wait-for graph and the stacks, innermost frame last; ``thread`` is the one that closes."""
        stacks = {self._scheduler.name_of(ident): list(_frames(top))[::-1] for ident, top in all_frames().items()}
        return {
            "thread": thread,
            "graph": [edge for edge in self._scheduler.wait_for_graph() if edge["thread"] in self._threads],
            "stacks": {name: stacks[name] for name in self._threads if name in stacks},
        }


def _frames(top: FrameType) -> Iterator[dict[str, Any]]:
    """Yield the frames that are the program's own, innermost first."""
    for frame in outwards(top):
        code = frame.f_code
        if not _is_machinery(code.co_filename):
            yield {"file": code.co_filename, "line": frame.f_lineno, "function": code.co_name}


def _is_machinery(name: str) -> bool:
    return name.startswith("<frozen") or name in _MACHINERY or os.path.dirname(name) == HERE  # noqa: PTH120 -- as above
