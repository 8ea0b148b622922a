"""Start every child process of the package, with its group, its deadline and its end; callers judge the outcome."""

from __future__ import annotations

import contextlib
import math
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.process.child import Child
from python_tsan.process.child_pool import ChildPool, current_pool, in_order_of_end, in_parallel
from python_tsan.process.command import find_command, find_installed
from python_tsan.process.group import (
    end_group,
    group_cpu_seconds,
    group_members,
    group_waits,
    interrupt_group,
)
from python_tsan.process.guard import DeathGuard
from python_tsan.process.interrupts import hold_interrupts, keeping
from python_tsan.process.preloading import preloading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "Attached",
    "ChildPool",
    "Completed",
    "DeathGuard",
    "end_group",
    "find_command",
    "find_installed",
    "group_cpu_seconds",
    "group_members",
    "group_waits",
    "in_order_of_end",
    "in_parallel",
    "interrupt_group",
    "keeping",
    "preloading",
    "run",
    "run_attached",
]

_ASK_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a child process ended.

    ``exit_code`` is negative when a signal ended it, as in :mod:`subprocess`. ``seconds`` is wall time,
    ``cpu_seconds`` user plus system time of the child and of the descendants that it waited for, and
    ``max_rss_bytes`` the peak of the largest of them. Linux carries the peak over ``exec``, so a child smaller than
    this process shows the size of this process at the moment of the start.
    """

    command: tuple[str, ...]
    pid: int = 0
    exit_code: int
    timed_out: bool
    seconds: float
    cpu_seconds: float
    max_rss_bytes: int
    stdout: str = ""
    stderr: str = ""

    @property
    def ok(self) -> bool:
        """True when the process ended by itself with exit code 0."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def how(self) -> str:
        """How the process ended, for a message: ``exit 3`` or ``SIGSEGV``."""
        if self.exit_code >= 0:
            return f"exit {self.exit_code}"
        names = {each.value: each.name for each in signal.Signals}  # real-time signals have no name
        return names.get(-self.exit_code, f"signal {-self.exit_code}")


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    stdout: Path | None = None,
    stderr: Path | None = None,
    until: Callable[[], bool] | None = None,
    on_deadline: Callable[[int], None] | None = None,
    on_start: Callable[[int], None] | None = None,
    on_end: Callable[[], None] | None = None,
    preexec: Callable[[], None] | None = None,
) -> Completed:
    """Run ``command`` in its own process group and wait for it; its standard input is empty.

    Output is captured as text (undecodable bytes replaced) unless ``stdout``/``stderr`` name files; with ``stdout``
    alone, both go into that file. ``timeout`` is in seconds; when it passes, or once ``until`` returns True,
    ``on_deadline`` is called with the pid while the process still lives (to save its stacks), and then the whole group
    is ended: SIGTERM, a grace period, SIGKILL. ``on_end`` is called once the child has ended by itself, before
    the rest of its group is. What the child leaves in its group is ended too, whether it ended by
    itself, by its deadline, or because this call was interrupted, so no orphan survives Ctrl-C. On a thread of a pool
    that is stopped, ``KeyboardInterrupt`` is raised instead of a result.

    Raises ``OSError`` when the program cannot be executed.
    """
    pool = current_pool()
    if pool:
        pool.raise_if_cancelled()
    argv = tuple(str(part) for part in command)
    with contextlib.ExitStack() as files:
        # Files rather than pipes: a grandchild that keeps a pipe open would hold this call after its child has ended.
        out = files.enter_context(_sink(stdout))
        err = None if stdout and not stderr else files.enter_context(_sink(stderr))
        release_interrupts = files.enter_context(hold_interrupts())
        started = time.monotonic()
        child = Child(
            subprocess.Popen(
                argv,
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT if err is None else err,
                process_group=0,
                preexec_fn=preexec,  # noqa: PLW1509 -- only callers that start no threads of their own pass one
            )
        )
        try:
            with pool.track(child.pid) if pool else contextlib.nullcontext():
                release_interrupts()
                if on_start:
                    on_start(child.pid)
                timed_out = not (_wait_unless(child, timeout, until) if until else child.wait(timeout))
                if timed_out and on_deadline:
                    on_deadline(child.pid)
                if not timed_out and on_end:
                    on_end()
        finally:
            try:
                end_group(child.pid)  # nothing of it is left behind
            finally:
                child.reap(block=True)
        if pool:
            pool.raise_if_cancelled()
        return Completed(
            command=argv,
            pid=child.pid,
            exit_code=child.exit_code,
            timed_out=timed_out,
            seconds=child.ended_at - started,
            cpu_seconds=child.cpu_seconds,
            max_rss_bytes=child.max_rss_bytes,
            stdout="" if stdout else _text(out),
            stderr="" if stderr or err is None else _text(err),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """How a child on this process's own terminal ended. ``exit_code`` is a shell's: 128 + n for signal n."""

    pid: int
    exit_code: int


def run_attached(command: Sequence[str | Path], *, env: Mapping[str, str]) -> Attached:
    """Run ``command`` on this process's own standard streams, in its own process group, and wait for it.

    Ctrl-C reaches the child from the terminal, and the child handles it; SIGTERM and SIGHUP are passed on to it.
    Raises :class:`SubjectError` when the program cannot be executed.
    """
    argv = [str(part) for part in command]
    with DeathGuard() as guard:
        try:
            child = subprocess.Popen(argv, env=dict(env))
        except OSError as error:
            raise SubjectError(f"{argv[0]} cannot be started: {error.strerror}", page="command") from error
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            guard.watch(child.pid, group=False)
            while True:
                try:
                    code = child.wait()
                    break
                except KeyboardInterrupt:  # SIGTERM and SIGHUP come as one
                    child.terminate()
        finally:
            signal.signal(signal.SIGINT, before)
    return Attached(pid=child.pid, exit_code=code if code >= 0 else 128 - code)


def _wait_unless(child: Child, timeout: float | None, until: Callable[[], bool]) -> bool:
    """Wait as ``child.wait`` does, but no longer than until ``until`` returns True."""
    limit = math.inf if timeout is None else time.monotonic() + timeout
    while not child.wait(max(0.0, min(_ASK_SECONDS, limit - time.monotonic()))):
        if time.monotonic() >= limit or until():
            return False
    return True


def _sink(path: Path | None) -> IO[bytes]:
    if path is not None:
        return path.open("wb")
    import tempfile  # noqa: PLC0415 -- brings much with it, and most commands start nothing

    return tempfile.TemporaryFile()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
