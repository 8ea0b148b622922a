"""Notice a standstill of a program: it computes nothing and prints nothing, or its threads wait in a cycle."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_tsan.checking.execution import STDERR_FILE, STDOUT_FILE
from python_tsan.detect import locks
from python_tsan.process import group_cpu_seconds
from python_tsan.result.judge.process import IDLE_SHARE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOK_SECONDS = 0.5


@dataclass(kw_only=True)
class Stall:
    """Looks at one run now and then; ``seconds`` without movement are a standstill; 0 switches this off.

    ``pid`` is that of the process group, 0 before the program has started.
    """

    folder: Path
    seconds: float
    pid: int = 0
    stalled: bool = False
    clock: Callable[[], float] = time.monotonic
    used: Callable[[int], float] = group_cpu_seconds
    _next: float = 0.0
    _since: float = 0.0
    _cpu: float = 0.0
    _printed: tuple[int, ...] = ()
    _cycles: frozenset[object] = frozenset()
    _cycles_since: float = field(default=0.0)

    def ended(self) -> bool:
        """Return whether the run has come to a standstill."""
        now = self.clock()
        if not self.seconds or not self.pid or now < self._next:
            return self.stalled
        self._next = now + min(LOOK_SECONDS, self.seconds / 2)
        self.stalled = self._is_idle(now) or self._is_stuck(now)
        return self.stalled

    def _is_idle(self, now: float) -> bool:
        cpu, printed = self.used(self.pid), self._sizes()
        # A thread that waits for the GIL wakes two hundred times a second, and the sanitizer's own thread ten times.
        moves = cpu - self._cpu > IDLE_SHARE * max(now - self._since, 2 * LOOK_SECONDS)
        if moves or printed != self._printed or not self._since:
            self._since, self._cpu, self._printed = now, cpu, printed
        return now - self._since >= self.seconds

    def _is_stuck(self, now: float) -> bool:
        cycles: frozenset[object] = locks.cycles(self.folder)
        if not cycles & self._cycles:
            self._cycles_since = now
        self._cycles = cycles
        return bool(cycles) and now - self._cycles_since >= self.seconds

    def _sizes(self) -> tuple[int, ...]:
        files = (self.folder / name for name in (STDOUT_FILE, STDERR_FILE))
        return tuple(path.stat().st_size if path.is_file() else 0 for path in files)
