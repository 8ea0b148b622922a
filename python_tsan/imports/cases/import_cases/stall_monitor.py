"""Describe what blocked threads wait for: a module's lock, the global import lock, or a line of the program.

The text is the wait-for graph of a hang, one edge a line. It is taken from inside, without an import of its own: an
import would wait for the very locks in question.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from threading import get_ident
from typing import TYPE_CHECKING

from .wait_graph import GLOBAL_LOCK, all_frames, holds_global_lock, locks_awaited, outwards, waits_for_global_lock

if TYPE_CHECKING:
    from types import FrameType

    from .case_run import CaseRun
    from .scheduler import Scheduler

POLL_SECONDS = 0.05
# Threads that are seen to wait for the same two times, so long after each other, stand still.
STANDSTILL_SECONDS = 0.5


def describe_waits(scheduler: Scheduler, folder: str) -> list[str]:
    """Return a line for each thread but the calling and the main one: what it waits for and who holds it.

    ``folder`` holds the program; a thread that waits for no import lock is described by its innermost line there.
    Without the GIL that line is left out: a look at the frames of a thread that may run is a data race of CPython's.
    """
    mine = {get_ident(), threading.main_thread().ident}
    started = {thread.ident for thread in threading.enumerate()}
    others = {ident for ident in started | scheduler.present() if ident is not None and ident not in mine}
    frames = {} if is_free_threaded() else {ident: top for ident, top in all_frames().items() if ident in others}
    owner = next((ident for ident, top in frames.items() if holds_global_lock(top)), None)
    return sorted(_line(scheduler, ident, frames.get(ident), owner, folder) for ident in others)


def is_free_threaded() -> bool:
    """Return whether this process runs without the GIL."""
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


def _line(scheduler: Scheduler, ident: int, top: FrameType | None, owner: int | None, folder: str) -> str:
    name = scheduler.name_of(ident)
    held = scheduler.held().get(name)
    if held:
        return f"{name} is kept at {held} by the schedule"
    for lock in locks_awaited(ident):
        return f"{name} waits for {lock.name}, held by {scheduler.name_of(lock.owner)}"
    if top is None:
        return f"{name} has not ended"
    if waits_for_global_lock(top):
        # Code that calls _imp.acquire_lock() by itself leaves no trace of whose it is.
        return f"{name} waits for {GLOBAL_LOCK}" + (f", held by {scheduler.name_of(owner)}" if owner else "")
    return f"{name} is at {_place(top, folder)}"


def _place(top: FrameType, folder: str) -> str:
    own = (frame for frame in outwards(top) if frame.f_code.co_filename.startswith(folder + os.sep))
    frame = next(own, None)
    code, line = (top.f_code, top.f_lineno) if frame is None else (frame.f_code, frame.f_lineno)
    file = code.co_filename[len(folder) + 1 :] if frame is not None else os.path.basename(code.co_filename)  # noqa: PTH119 -- as above
    return f"{file}:{line} in {code.co_name}"


class StallMonitor:
    """Writes what the threads of a case wait for into a file, once they are stalled.

    Made for a program that a deadline ends from outside, where nothing could be asked any more. On a slow machine a
    stall may be a false one: what is seen later, again two times, replaces it.
    """

    def __init__(self, case: CaseRun, path: str) -> None:
        self._case = case
        self._path = path

    def watch(self) -> None:
        """Return when every thread of the case has ended. The caller provides the thread for it."""
        picture: tuple[object, ...] = ()
        seen: list[str] = []
        written: list[str] = []
        since = time.monotonic()
        while self._case.unfinished():
            time.sleep(POLL_SECONDS)
            now = self._picture()
            if now != picture:
                picture, seen, since = now, [], time.monotonic()
            elif time.monotonic() - since > STANDSTILL_SECONDS:
                before, seen, since = seen, self._case.wait_graph(), time.monotonic()
                if seen and before == seen != written:
                    self._write(seen)
                    written = seen

    def _picture(self) -> tuple[object, ...]:
        """Return what changes when a thread goes on, cheaply: frames are looked at only when this stands still."""
        scheduler = self._case.scheduler
        return self._case.unfinished(), scheduler.held(), scheduler.reached()

    def _write(self, lines: list[str]) -> None:
        draft = self._path + ".new"
        with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123 -- pathlib may import while it opens
            file.write("".join(f"{line}\n" for line in lines))
        os.replace(draft, self._path)  # noqa: PTH105 -- as above
