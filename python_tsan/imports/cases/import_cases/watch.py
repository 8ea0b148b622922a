"""Watch module locks in a user's process: report who waits for whom when a cycle closes or nothing moves.

It changes two places of ``importlib._bootstrap`` that no import reaches which finds its lock free: the
exception that a deadlock raises, and the search for a deadlock that a thread makes before it blocks. The thread that
looks for a stall lives only while some thread is blocked. How a report reads is left to ``watch_report``.
"""

import _frozen_importlib as bootstrap
import os
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
# A thread with a larger share of that time computes, even if each look finds it at the same place: a long call of C, or
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
        """Watch the blocked threads until no thread is blocked, and report when none of them moves.

        Time is counted in looks. By the clock, a process that did not run itself, since the machine or a call with the
        GIL held gave it no time, would be taken for one in which nothing moves.
        """
        looks, before, used = 0, None, 0.0
        while True:
            time.sleep(self.stall / POLLS)
            blocked = dict(waits())
            if not blocked:
                self._attending = 0
                if not waits():  # one that blocked in between saw itself watched
                    return
                self._attending = os.getpid()
                continue
            now, computed = _fingerprint(blocked), _cpu_seconds(blocked)
            looks += 1
            if now != before or (looks >= POLLS and computed - used >= COMPUTING * self.stall):
                looks, before, used = 0, now, computed
            elif looks >= POLLS and now not in self._reported:
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
    """Return the processor time of those threads, 0 of one that has ended or whose clock cannot be read.

    The identifier of a thread, also of one that the threading module does not know, is that of its POSIX thread.
    """
    alive = all_frames()
    total = 0.0
    for ident in _involved(blocked) & alive.keys():
        try:
            # A thread of C++ can end and leave its thread state behind: its clock is no longer there to read.
            with open("/proc/self/mem", "rb", buffering=0) as memory:  # noqa: PTH123 -- pathlib costs milliseconds
                memory.seek(ident)
                memory.read(1)
            total += time.clock_gettime(time.pthread_getcpuclockid(ident))
        except OSError:
            continue
    return total


def _fingerprint(blocked: "dict[int, Any]") -> object:
    """Return what changes as soon as a blocked thread or the owner of what it waits for moves."""
    frames = all_frames()
    places = []
    for ident in sorted(_involved(blocked)):
        places += [(ident, id(frame), frame.f_lasti) for frame in outwards(frames.get(ident))]
    return (os.getpid(), tuple(places))
