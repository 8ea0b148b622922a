"""Own the watch over module locks in a user's process: who waits for whom when a deadlock is met or nothing moves.

Two places of ``importlib._bootstrap`` are taken, and neither is passed by an import that finds its lock free: the
exception that a deadlock raises, and the search for a deadlock that a thread makes before it sleeps. The thread that
looks for standstill lives only while some thread sleeps. How a report reads is left to ``report``.
"""

import _frozen_importlib as bootstrap
import os
import time
from _thread import get_ident, start_new_thread

from .wait_graph import all_frames, cycle_from, outwards, waits
from .watch_report import deadlock_lines, forked, stall_lines

# typing is not imported: it would cost every start milliseconds. A checker takes this name for the one of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

STALL_VARIABLE, LOG_VARIABLE = "PYTHON_TSAN_WATCH_STALL", "PYTHON_TSAN_WATCH_LOG"
STALL_SECONDS = 10.0
POLLS = 20  # looks within the time after which imports are said to stand still
STARTED = "python-tsan: watching the imports of"


def start(env: "Mapping[str, str]") -> None:
    """Take up the watch as the environment says: seconds of standstill, and a file that gets every report too."""
    try:
        stall = float(env.get(STALL_VARIABLE, ""))
    except ValueError:
        stall = STALL_SECONDS
    log = env.get(LOG_VARIABLE, "")
    ImportWatch(stall if stall > 0 else STALL_SECONDS, log).install()
    if log:
        _append(log, f"{STARTED} {os.getpid()}\n")


class ImportWatch:
    """The watch of one interpreter. ``stall`` is in seconds."""

    def __init__(self, stall: float, log: str) -> None:
        self.stall = stall
        self.log = log
        self._attending = 0  # the process whose sleepers are looked after: a fork takes no thread along
        self._told: set[object] = set()

    def install(self) -> None:
        """Take the two places."""
        names = vars(bootstrap)
        original = names["_DeadlockError"]
        watch = self

        class _DeadlockError(original):  # type: ignore[misc, valid-type]
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments)
                watch.deadlock()

        _DeadlockError.__module__, _DeadlockError.__qualname__ = original.__module__, original.__qualname__
        names["_DeadlockError"] = _DeadlockError
        lock = names["_ModuleLock"]
        search = lock.has_deadlock

        def has_deadlock(self: "Any") -> bool:  # noqa: ANN401 -- a class that no stub knows
            watch.attend()
            return bool(search(self))

        lock.has_deadlock = has_deadlock
        os.register_at_fork(after_in_child=forked)

    def deadlock(self) -> None:
        """Tell of the cycle that the calling thread has just closed."""
        try:
            cycle = cycle_from(get_ident())
            key = (os.getpid(), tuple(sorted(lock.name for _, lock in cycle)))
            if cycle and key not in self._told:
                self._told.add(key)
                self._tell(deadlock_lines(cycle))
        except Exception as error:  # noqa: BLE001 -- the watch must never change what the program does
            self._tell([f"python-tsan: a deadlock could not be told: {error!r}"])

    def attend(self) -> None:
        """Have someone look after the calling thread, which is about to sleep."""
        if self._attending != os.getpid():
            self._attending = os.getpid()
            try:
                start_new_thread(self._look, ())
            except RuntimeError:  # the interpreter is ending, or is one that may not have threads
                self._attending = 0

    def _look(self) -> None:
        """Look at the sleeping threads until there are none, and tell when nothing of theirs moves."""
        since, before = time.monotonic(), None
        while True:
            time.sleep(self.stall / POLLS)
            sleepers = dict(waits())
            if not sleepers:
                self._attending = 0
                if not waits():  # one that came in between has seen itself looked after
                    return
                self._attending = os.getpid()
                continue
            now = _fingerprint(sleepers)
            if now != before:
                since, before = time.monotonic(), now
            elif now not in self._told and time.monotonic() - since >= self.stall:
                self._told.add(now)
                self._stalled()

    def _stalled(self) -> None:
        try:
            self._tell(stall_lines(self.stall))
        except Exception as error:  # noqa: BLE001 -- as above
            self._tell([f"python-tsan: a standstill of imports could not be told: {error!r}"])

    def _tell(self, lines: "list[str]") -> None:
        text = "\n".join(lines) + "\n"
        try:
            os.write(2, text.encode("utf-8", "replace"))
            if self.log:
                _append(self.log, text)
        except OSError:
            return  # nobody listens


def _append(path: str, text: str) -> None:
    """Add to a file in one piece, so that the reports of several processes stay whole."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError:
        return
    try:
        os.write(file, text.encode("utf-8", "replace"))
    finally:
        os.close(file)


def _fingerprint(sleepers: "dict[int, Any]") -> object:
    """Return what changes as soon as a sleeper or the owner of what it waits for moves."""
    frames = all_frames()
    involved = {*sleepers, *(lock.owner for lock in sleepers.values())}
    places = []
    for ident in sorted(involved):
        places += [(ident, id(frame), frame.f_lasti) for frame in outwards(frames.get(ident))]
    return (os.getpid(), tuple(places))
