"""Wait for processes that outlive the program that was run, and end those that stay.

A daemon has left the process group of the program, and is no child of this process. Its first environment, which fork
passes on, names the folder of its run.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.stacks import PYTHON_STACKS_VARIABLE
from python_tsan.process.group import TERM_GRACE_SECONDS
from python_tsan.running.elf import is_runtime, read_elf
from python_tsan.running.watch import mapped_code

if TYPE_CHECKING:
    from collections.abc import Iterable

# For processes without the sanitizer, such as a shell that is about to start an instrumented program.
PLAIN_SECONDS = 3.0
_POLL_SECONDS = 0.05
_SCANS = 20
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A process that was still running when its run was over; ``name`` is its program."""

    pid: int
    name: str
    instrumented: bool

    def __str__(self) -> str:
        return f"process {self.pid} ({self.name})"


def leftovers(folder: Path) -> tuple[Leftover, ...]:
    """Return the processes that belong to the run whose files go to ``folder``, and that still run."""
    mark = os.fsencode(f"{PYTHON_STACKS_VARIABLE}={folder.absolute()}/")
    for _ in range(_SCANS):
        pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal()]
        environments = {pid: _environment(pid) for pid in pids if pid != os.getpid()}
        # A process that was gone before it was read may have left a child that is not in the list.
        if None not in environments.values():
            break
    return tuple(_describe(pid) for pid, text in environments.items() if text and mark in text)


def _environment(pid: int) -> bytes | None:
    """Return what a process has started with, empty where it is not shown, None when the process is gone."""
    try:
        return (_PROC / str(pid) / "environ").read_bytes()
    except PermissionError:
        return b""
    except OSError:
        return None


def _describe(pid: int) -> Leftover:
    try:
        program = (_PROC / str(pid) / "exe").readlink()
    except OSError:
        return Leftover(pid=pid, name="ended", instrumented=False)
    instrumented = bool(read_elf(program).instrumented) or any(is_runtime(path) for path in mapped_code(pid))
    return Leftover(pid=pid, name=program.name, instrumented=instrumented)


def wait_for_leftovers(folder: Path, *, limit: float) -> tuple[Leftover, ...]:
    """Wait until no process of the run is left, and return those that are when time is up.

    Instrumented ones have until ``limit``, a reading of the monotonic clock, others a few seconds.
    """
    plain_limit = min(limit, time.monotonic() + PLAIN_SECONDS)
    while left := leftovers(folder):
        until = limit if any(each.instrumented for each in left) else plain_limit
        if time.monotonic() >= until:
            break
        time.sleep(_POLL_SECONDS)
    return left


def end_leftovers(folder: Path) -> None:
    """End every process of the run that is left: SIGTERM, a grace period, SIGKILL."""
    left = leftovers(folder)
    _signal(left, signal.SIGTERM)
    limit = time.monotonic() + TERM_GRACE_SECONDS
    try:
        while left and time.monotonic() < limit:
            time.sleep(_POLL_SECONDS)
            left = leftovers(folder)
    finally:
        # Also when Ctrl-C cuts the grace short.
        _signal(leftovers(folder), signal.SIGKILL)


def _signal(left: Iterable[Leftover], number: signal.Signals) -> None:
    for each in left:
        try:
            os.kill(each.pid, number)
        except (ProcessLookupError, PermissionError):
            continue
