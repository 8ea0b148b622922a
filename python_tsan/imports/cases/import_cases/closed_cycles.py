"""Record the moment when a thread closes a cycle of module locks: who waits for whom, and every stack.

Afterwards it is too late: the error ends the one thread, and the other goes on. Which thread lost is decided in
``directed_run``.
"""

from __future__ import annotations

import threading
from threading import get_ident
from typing import TYPE_CHECKING

from .wait_graph import all_frames, own_frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

    from .scheduler import Scheduler


class Closings:
    """The cycles that were closed, each as it stood then. One for each process."""

    def __init__(self, scheduler: Scheduler, threads: tuple[str, ...]) -> None:
        self._scheduler = scheduler
        self._threads = threads
        self._seen: list[dict[str, Any]] = []

    def note(self) -> None:
        """Note how the threads stand when the calling one closes a cycle."""
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
            "stacks": [{"thread": name, "frames": stacks[name]} for name in self._threads if name in stacks],
        }


def _frames(top: FrameType) -> Iterator[dict[str, Any]]:
    """Yield the frames that are the program's own, innermost first."""
    for frame in own_frames(top):
        code = frame.f_code
        if code.co_filename != threading.__file__:
            yield {"file": code.co_filename, "line": frame.f_lineno, "function": code.co_name}
