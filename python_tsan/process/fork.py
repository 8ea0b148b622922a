"""Let a process that is forked from this one make results: it has all of its objects, and nothing travels to it."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Result = TypeVar("Result")


def may_fork() -> bool:
    """Report whether a forked process is safe: no other thread of this one holds a lock."""
    return hasattr(os, "fork") and sys.platform != "darwin" and threading.active_count() == 1


class Fork(Generic[Result]):
    """A process that makes results while this one goes on; what it has made is there when it has ended or is ended.

    ``make`` receives a function that ends the process if this one is gone; it is to be called now and then. Raises
    ``OSError`` if there can be no further process.
    """

    def __init__(self, make: Callable[[Callable[[], None]], Iterable[Result]]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- open until the results are read
        parent = os.getpid()
        try:
            self._pid = os.fork()
        except OSError:
            self._file.close()
            raise
        if not self._pid:
            self._work(make, parent)

    def _work(self, make: Callable[[Callable[[], None]], Iterable[Result]], parent: int) -> None:
        """Write the results, and None at the end. Never returns."""

        def end_as_orphan() -> None:
            if os.getppid() != parent:
                os._exit(1)

        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process ends this one
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for result in make(end_as_orphan):
                pickle.dump(result, self._file)
                self._file.flush()
            pickle.dump(None, self._file)
            self._file.flush()
        finally:
            os._exit(0)  # without what this process would do at its end

    def results(self) -> tuple[list[Result], bool]:
        """Wait for its end; return its results, and whether these are all: it may have died or been ended."""
        self._wait()
        made: list[Result] = []
        with self._file as file, contextlib.suppress(EOFError, pickle.UnpicklingError):
            file.seek(0)
            while (result := pickle.load(file)) is not None:  # noqa: S301 -- written by this program
                made.append(result)
            return made, True
        return made, False

    def end(self) -> None:
        """End it if it runs; its results so far can be read."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._wait()

    def _wait(self) -> None:
        if self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0
