"""Decide by processor time when a process takes too long, so that a busy machine ends nothing early."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.process import group_members

if TYPE_CHECKING:
    from collections.abc import Callable

_TICKS = os.sysconf("SC_CLK_TCK")
_AFTER_NAME = 2  # fields of /proc/PID/stat up to the name, which may hold blanks; those behind it are counted from here
_TIMES = slice(13 - _AFTER_NAME, 17 - _AFTER_NAME)  # utime, stime, cutime, cstime: proc_pid_stat(5)


@dataclass(slots=True)
class Patience:
    """Ends a process that has used ``seconds`` of processor time, or none for as long, since its last line of output.

    ``lines`` is the file that the process writes to. :func:`python_tsan.process.run` takes ``begin`` as ``on_start``
    and ``is_over`` as ``until``.
    """

    seconds: float
    lines: Path
    now: Callable[[], float] = time.monotonic
    _pid: int = 0
    _size: int = 0
    _used_before: float = 0.0
    _used: float = 0.0
    _moved: float = 0.0

    def begin(self, pid: int) -> None:
        """Watch the process group of this process."""
        self._pid = pid
        self._moved = self.now()

    def is_over(self) -> bool:
        """Return whether the process takes too long."""
        size, used = self.lines.stat().st_size, processor_seconds(self._pid)
        if size != self._size:
            self._size, self._used_before = size, used
        if used != self._used:
            self._used, self._moved = used, self.now()
        return used - self._used_before > self.seconds or self.now() - self._moved > self.seconds


def processor_seconds(group: int) -> float:
    """Return the processor time that the processes of a group, and the children that they waited for, have used."""
    return sum(map(_seconds_of, group_members(group))) / _TICKS


def _seconds_of(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended
        return 0
    return sum(map(int, stat.rpartition(")")[2].split()[_TIMES]))
