"""Wait for one started process, collect it once, and measure what it used."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import resource
    import subprocess

_POLL_SECONDS = 0.01


class Child:
    """A started process that is collected by ``wait4``, which alone gives the resources of one child."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._process = process
        self._usage: resource.struct_rusage | None = None
        self.ended_at = time.monotonic()

    @property
    def exit_code(self) -> int:
        """The code it ended with, negative for a signal."""
        return int(self._process.returncode)

    @property
    def cpu_seconds(self) -> float:
        """User plus system time, with that of the descendants that it waited for."""
        return self._usage.ru_utime + self._usage.ru_stime if self._usage else 0.0

    @property
    def max_rss_bytes(self) -> int:
        """Peak of the largest of them."""
        return self._usage.ru_maxrss * 1024 if self._usage else 0

    def reap(self, *, block: bool = False) -> bool:
        """Collect the process if it has ended, or wait until it has; return whether it is collected."""
        if self._usage is None:
            pid, status, usage = os.wait4(self.pid, 0 if block else os.WNOHANG)
            if pid:
                self._usage = usage
                self.ended_at = time.monotonic()
                # Popen must know it too, or it would wait for a pid that may belong to another process by now.
                self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._usage is not None

    def wait(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (``None``: for ever) and return whether the process has ended."""
        if timeout is None:
            return self.reap(block=True)
        try:
            pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            # Before Linux 5.3, and in sandboxes without the call.
            return self._poll_until(time.monotonic() + timeout)
        try:
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            poller.poll(max(0, timeout) * 1000)
        finally:
            os.close(pidfd)
        return self.reap()

    def _poll_until(self, limit: float) -> bool:
        while not self.reap():
            left = limit - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(_POLL_SECONDS, left))
        return True
