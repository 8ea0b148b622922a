"""Watch module locks in a user's process: report who waits for whom when a cycle closes or nothing moves.

It changes two places of ``importlib._bootstrap`` that no import reaches which finds its lock free: the
exception that a deadlock raises, and the search for a deadlock that a thread makes before it blocks. The thread that
looks for a stall lives only while some thread is blocked. How a report reads is left to ``watch_report``.
"""

import _frozen_importlib as bootstrap
import os
import sys
import time
from _thread import get_ident, start_new_thread

from .wait_graph import all_frames, cycle_from, on_deadlock, outwards, waits
from .watch_report import deadlock_lines, forked, stall_lines

# typing is not imported: it would cost every start milliseconds. A checker takes this name for the one of typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

STALL_VARIABLE, LOG_VARIABLE = "PYTHON_TSAN_WATCH_STALL", "PYTHON_TSAN_WATCH_LOG"
STALL_SECONDS = 10.0
POLLS = 20  # looks within the time after which imports count as stalled
# A thread with a larger share of the time computes, even if each look finds it at the same place: a long call of C, or
# the end of a loop, where it lets others take the GIL. One that wakes up now and then to look again has less.
COMPUTING = 0.02
STARTED = "python-tsan: watching the imports of"


def start(env: "Mapping[str, str]") -> None:
    """Take up the watch as the environment says: seconds without movement, and a file that also gets every report."""
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
        self._attending = 0  # the process whose blocked threads are watched: a fork takes no thread along
        self._reported: set[object] = set()

    def install(self) -> None:
        """Take the two places."""
        on_deadlock(self.deadlock)
        watch, lock = self, vars(bootstrap)["_ModuleLock"]
        search = lock.has_deadlock

        def has_deadlock(self: "Any") -> bool:  # noqa: ANN401 -- a class that no stub knows
            watch.attend()
            return bool(search(self))

        lock.has_deadlock = has_deadlock
        os.register_at_fork(after_in_child=forked)

    def deadlock(self) -> None:
        """Report the cycle that the calling thread has just closed."""
        try:
            cycle = cycle_from(get_ident())
            key = (os.getpid(), tuple(sorted(lock.name for _, lock in cycle)))
            if cycle and key not in self._reported:
                self._reported.add(key)
                self._report(deadlock_lines(cycle))
        except Exception as error:  # noqa: BLE001 -- the watch must never change what the program does
            self._report([f"python-tsan: a deadlock could not be reported: {error!r}"])

    def attend(self) -> None:
        """Have the calling thread watched, which is about to block."""
        if self._attending != os.getpid():
            self._attending = os.getpid()
            try:
                start_new_thread(self._look, ())
            except RuntimeError:  # the interpreter is ending, or is one that may not have threads
                self._attending = 0

    def _look(self) -> None:
        """Watch the blocked threads until no thread is blocked, and report when none of them moves."""
        since, before, used = time.monotonic(), None, 0.0
        while True:
            time.sleep(self.stall / POLLS)
            blocked = dict(waits())
            if not blocked:
                self._attending = 0
                if not waits():  # one that blocked in between saw itself watched
                    return
                self._attending = os.getpid()
                continue
            now = _fingerprint(blocked)
            lasted, computed = time.monotonic() - since, _cpu_seconds(blocked)
            is_due = lasted >= self.stall
            if now != before or (is_due and computed - used >= COMPUTING * lasted):
                since, before, used = time.monotonic(), now, computed
            elif is_due and now not in self._reported:
                self._reported.add(now)
                self._stalled()

    def _stalled(self) -> None:
        try:
            self._report(stall_lines(self.stall))
        except Exception as error:  # noqa: BLE001 -- as above
            self._report([f"python-tsan: a stall of imports could not be reported: {error!r}"])

    def _report(self, lines: "list[str]") -> None:
        text = "\n".join(lines) + "\n"
        try:
            os.write(2, text.encode("utf-8", "replace"))
            if self.log:
                _append(self.log, text)
        except OSError:
            return  # standard error is closed


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


def _involved(blocked: "dict[int, Any]") -> "set[int]":
    """Return the blocked threads and the owners of what they wait for."""
    return {*blocked, *(lock.owner for lock in blocked.values())}


def _cpu_seconds(blocked: "dict[int, Any]") -> float:
    """Return the processor time of those threads that the threading module knows, 0 where it cannot be read."""
    threading = sys.modules.get("threading")
    known = dict(getattr(threading, "_active", {}))
    ticks = 0
    for ident in _involved(blocked):
        native = getattr(known.get(ident), "native_id", None)
        try:
            with open(f"/proc/self/task/{native}/stat", "rb") as file:  # noqa: PTH123 -- pathlib costs milliseconds
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])  # utime, stime: proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def _fingerprint(blocked: "dict[int, Any]") -> object:
    """Return what changes as soon as a blocked thread or the owner of what it waits for moves."""
    frames = all_frames()
    places = []
    for ident in sorted(_involved(blocked)):
        places += [(ident, id(frame), frame.f_lasti) for frame in outwards(frames.get(ident))]
    return (os.getpid(), tuple(places))
