"""List the running members of a process group, and end the group."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TERM_GRACE_SECONDS = 2.0
# A test runner prints what it has, under a sanitizer that makes it slow.
INTERRUPT_GRACE_SECONDS = 5.0
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_POLL_SECONDS = 0.01
# The line of /proc/PID/task/TID/status, proc_pid_status(5)
_SLEPT = re.compile(r"^voluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)
# The states of a process that has ended and is not collected.
ENDED = frozenset({"Z", "X"})


def end_group(pgid: int) -> None:
    """End a process group: SIGTERM, up to two seconds of grace, SIGKILL. A group that is gone is not an error."""
    end_groups([pgid])


def end_groups(pgids: Iterable[int]) -> None:
    """End several process groups, as :func:`end_group` does, within one grace for all."""
    left = [pgid for pgid in pgids if _signal_group(pgid, signal.SIGTERM)]
    limit = time.monotonic() + TERM_GRACE_SECONDS
    try:
        while left := [pgid for pgid in left if _group_runs(pgid)]:
            if time.monotonic() >= limit:
                return
            time.sleep(_POLL_SECONDS)
    finally:
        # Also when a second Ctrl-C cuts the grace short.
        for pgid in left:
            _signal_group(pgid, signal.SIGKILL)


def interrupt_group(pgid: int) -> None:
    """Send SIGINT to a group, as Ctrl-C does, and give it five seconds to end by itself."""
    if _signal_group(pgid, signal.SIGINT):
        limit = time.monotonic() + INTERRUPT_GRACE_SECONDS
        while _group_runs(pgid) and time.monotonic() < limit:
            time.sleep(_POLL_SECONDS)


def group_cpu_seconds(pgid: int) -> float:
    """Return the processor time that the running members of a group have used, with that of children they reaped."""
    # Fields 14 to 17, counted from 1, are utime, stime, cutime and cstime.
    return sum(sum(map(int, process_stat(pid)[11:15])) for pid in group_members(pgid)) / _CLOCK_TICKS


def group_waits(pgid: int) -> dict[int, tuple[float, int]]:
    """Return, for each thread of a group, the seconds that it was ready without a processor, and how often it slept."""
    waits = {}
    for pid in group_members(pgid):
        for task in thread_folders(pid):
            with contextlib.suppress(OSError, IndexError, ValueError):
                waited = int((task / "schedstat").read_text(encoding="ascii").split()[1])
                found = _SLEPT.search((task / "status").read_text(encoding="utf-8", errors="replace"))
                waits[int(task.name)] = (waited / 1e9, int(found[1]) if found else 0)
    return waits


def thread_folders(pid: int) -> list[Path]:
    """Return /proc/PID/task/TID of each thread of a process, the oldest first; none when it is gone."""
    try:
        return sorted(Path("/proc", str(pid), "task").iterdir(), key=lambda folder: int(folder.name))
    except OSError:
        return []


def _signal_group(pgid: int, number: int) -> bool:
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _group_runs(pgid: int) -> bool:
    """Return whether a member of the group still runs.

    ``killpg`` alone is not enough: it counts zombies, and a symbolizer that outlived its subject stays one until init
    collects it, which may take as long as the whole grace.
    """
    if not _signal_group(pgid, 0):
        return False
    try:
        return bool(_members(pgid))
    except OSError:
        return True


def group_members(pgid: int) -> tuple[int, ...]:
    """Return the processes of a group that still run, none where the system does not show them."""
    try:
        return _members(pgid)
    except OSError:
        return ()


def _members(pgid: int) -> tuple[int, ...]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    stats = ((pid, process_stat(pid)[:3]) for pid in pids)
    return tuple(sorted(pid for pid, stat in stats if stat and stat[0] not in ENDED and int(stat[2]) == pgid))


def process_stat(pid: int) -> list[str]:
    """Return the fields of proc_pid_stat(5) from the third on: state, parent, group and so on; none when it is gone."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text(errors="replace")
    except OSError:
        return []
    # "pid (name) state ppid pgrp ...", where the name may hold blanks and parentheses.
    return stat.rpartition(")")[2].split()
