"""Decide by processor time when a process takes too long, so that a busy machine ends nothing early."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.process import group_cpu_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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
        size, used = self.lines.stat().st_size, group_cpu_seconds(self._pid)
        if size != self._size:
            self._size, self._used_before = size, used
        if used != self._used:
            self._used, self._moved = used, self.now()
        return used - self._used_before > self.seconds or self.now() - self._moved > self.seconds
