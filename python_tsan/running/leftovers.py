"""Adopt the processes that outlive the program that was run, wait for them, and end those that stay.

A daemon has left the process group of the program, and may have cleared its environment. So that none is missed, the
kernel makes each orphan of a run a child of this process (``PR_SET_CHILD_SUBREAPER``, prctl(2)), as an init does. As a
child stays in the list of processes until it is collected here, a list without one shows that nothing is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from python_tsan.process.group import ENDED, TERM_GRACE_SECONDS, process_stat
from python_tsan.running.elf import is_runtime, read_elf
from python_tsan.running.watch import mapped_code

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

try:
    import ctypes
except ImportError:  # a Python that was built without libffi
    NO_CTYPES = True
else:
    NO_CTYPES = False

# For processes without the sanitizer, such as a shell that is about to start an instrumented program.
PLAIN_SECONDS = 3.0
NOT_ADOPTED = "Processes that outlived the program were not looked for: this system does not pass them on."
_POLL_SECONDS = 0.05
_PROC = Path("/proc")
# <linux/prctl.h>
_SET_CHILD_SUBREAPER = 36
_GET_CHILD_SUBREAPER = 37


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A process that was still running when its run was over; ``name`` is its program."""

    pid: int
    name: str
    instrumented: bool

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name})"


class Orphans:
    """Makes this process the parent of every orphan of one run, from its entry to its exit, which ends them.

    ``adopts`` is False where the system has no such thing, ``child`` is the program's own process, which is no orphan.
    Children that this process had before are left alone.
    """

    def __init__(self) -> None:
        self._before: set[int] = set()
        self._was_adopting = False
        self.adopts = False
        self.child = 0

    def __enter__(self) -> Self:
        self._before = {pid for pid, (_, parent) in _processes().items() if parent == os.getpid()}
        self._was_adopting = _is_adopting()
        self.adopts = _adopt(on=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.end()
        finally:
            _adopt(on=self._was_adopting)

    def collect(self) -> bool:
        """Collect the orphans that have ended while the program runs, so that they do not pile up; always False."""
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid == self.child or ended.si_pid in self._before:
                    break
                _collect(ended.si_pid)
        return False

    def wait(self, *, limit: float) -> tuple[Leftover, ...]:
        """Wait until no process of the run is left, and return those that are when time is up.

        Instrumented ones have until ``limit``, a reading of the monotonic clock, others a few seconds.
        """
        plain_limit = min(limit, time.monotonic() + PLAIN_SECONDS)
        while pids := self.pids():
            left = tuple(map(_describe, pids))
            if time.monotonic() >= (limit if any(each.instrumented for each in left) else plain_limit):
                return left
            time.sleep(_POLL_SECONDS)
        return ()

    def end(self) -> None:
        """End every process of the run that is left: SIGTERM, a grace period, SIGKILL."""
        _signal(self.pids(), signal.SIGTERM)
        limit = time.monotonic() + TERM_GRACE_SECONDS
        try:
            while self.pids() and time.monotonic() < limit:
                time.sleep(_POLL_SECONDS)
        finally:
            # Also when Ctrl-C cuts the grace short. A child of one that is killed becomes a child of this process.
            limit = time.monotonic() + TERM_GRACE_SECONDS
            while (left := self.pids()) and time.monotonic() < limit:
                _signal(left, signal.SIGKILL)
                time.sleep(_POLL_SECONDS)

    def pids(self) -> tuple[int, ...]:
        """Collect the orphans that have ended; return all that still run, with what descends from them."""
        while True:
            processes = _processes()
            mine = {pid for pid, (_, parent) in processes.items() if parent == os.getpid()} - self._before
            ended = [pid for pid in mine if processes[pid][0] in ENDED]
            for pid in ended:
                _collect(pid)
            # What one of them left behind was added to this process's children before it ended, maybe unlisted.
            if not ended:
                break
        families = mine
        while more := {pid for pid, (_, parent) in processes.items() if parent in families} - families:
            families |= more
        return tuple(sorted(pid for pid in families if processes[pid][0] not in ENDED))


def _processes() -> dict[int, tuple[str, int]]:
    """Return the state of every process and its parent's number."""
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
    return {pid: (stat[0], int(stat[1])) for pid in pids if (stat := process_stat(pid))}


def _collect(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _prctl(option: int, argument: object) -> bool:
    try:
        return bool(ctypes.CDLL(None).prctl(option, argument, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _adopt(*, on: bool) -> bool:
    return not NO_CTYPES and _prctl(_SET_CHILD_SUBREAPER, ctypes.c_ulong(on))


def _is_adopting() -> bool:
    if NO_CTYPES:
        return False
    answer = ctypes.c_int()
    return _prctl(_GET_CHILD_SUBREAPER, ctypes.byref(answer)) and bool(answer.value)


def _describe(pid: int) -> Leftover:
    try:
        program = (_PROC / str(pid) / "exe").readlink()
    except OSError:
        return Leftover(pid=pid, name="ended", instrumented=False)
    instrumented = bool(read_elf(program).instrumented) or any(is_runtime(path) for path in mapped_code(pid))
    return Leftover(pid=pid, name=program.name, instrumented=instrumented)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
