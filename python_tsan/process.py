"""Own every child process of the package: its group, its deadline and its end; leave meaning to the callers."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import resource
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

TERM_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.01
_ASK_SECONDS = 0.2
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """How a child process ended.

    ``exit_code`` is negative when a signal ended it, as in :mod:`subprocess`. ``seconds`` is wall time,
    ``cpu_seconds`` user plus system time of the child and of the descendants that it waited for, and
    ``max_rss_bytes`` the peak of the largest of them. Linux carries the peak over ``exec``, so a child smaller than
    this process shows the size of this process at the moment of the start.
    """

    command: tuple[str, ...]
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
    preexec: Callable[[], None] | None = None,
) -> Completed:
    """Run ``command`` in its own process group and wait for it; its standard input is empty.

    Output is captured as text (undecodable bytes replaced) unless ``stdout``/``stderr`` name files; with ``stdout``
    alone, both go into that file. ``timeout`` is in seconds; when it passes, or once ``until`` says that there is no
    point in waiting for the rest of it, ``on_deadline`` is called with the pid while the process still lives (to save
    its stacks), and then the whole group is ended: SIGTERM, a grace period, SIGKILL. What the child leaves behind in
    its group is ended too, whether it ended by itself, by its deadline, or because this call was interrupted, so no
    orphan survives Ctrl-C.

    Raises ``OSError`` when the program cannot be executed.
    """
    argv = tuple(str(part) for part in command)
    with contextlib.ExitStack() as files:
        # Files rather than pipes: a grandchild that keeps a pipe open would hold this call after its child has ended.
        out = files.enter_context(_sink(stdout))
        err = None if stdout and not stderr else files.enter_context(_sink(stderr))
        release_interrupts = files.enter_context(_hold_interrupts())
        started = time.monotonic()
        child = _Child(
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
        timed_out = _attend(
            child,
            release=release_interrupts,
            timeout=timeout,
            until=until,
            on_deadline=on_deadline,
            on_start=on_start,
        )
        return Completed(
            command=argv,
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
    """How a child that had this process's own terminal ended. ``exit_code`` is a shell's: 128 + n for signal n."""

    pid: int
    exit_code: int


def run_attached(command: Sequence[str | Path], *, env: Mapping[str, str]) -> Attached:
    """Run ``command`` on this process's own standard streams, in its own process group, and wait for it.

    Ctrl-C reaches the child from the terminal and is the child's to answer; being told to end is passed on to it.
    Raises ``OSError`` when the program cannot be executed.
    """
    argv = [str(part) for part in command]
    child = subprocess.Popen(argv, env=dict(env))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        while True:
            try:
                code = child.wait()
                break
            except KeyboardInterrupt:  # SIGTERM and SIGHUP come as one
                child.terminate()
    finally:
        signal.signal(signal.SIGINT, before)
    return Attached(pid=child.pid, exit_code=code if code >= 0 else 128 - code)


def end_group(pgid: int) -> None:
    """End a process group: SIGTERM, up to two seconds of grace, SIGKILL. A group that is gone is no error."""
    if not _signal_group(pgid, signal.SIGTERM):
        return
    limit = time.monotonic() + TERM_GRACE_SECONDS
    try:
        while _group_runs(pgid):
            if time.monotonic() >= limit:
                return
            time.sleep(_POLL_SECONDS)
    finally:
        # Also when a second Ctrl-C cuts the grace short.
        _signal_group(pgid, signal.SIGKILL)


class _Child:
    """A started process that is collected by ``wait4``, which alone gives the resources of one child."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self._process = process
        self._usage: resource.struct_rusage | None = None
        self.ended_at = time.monotonic()

    @property
    def exit_code(self) -> int:
        return int(self._process.returncode)

    @property
    def cpu_seconds(self) -> float:
        return self._usage.ru_utime + self._usage.ru_stime if self._usage else 0.0

    @property
    def max_rss_bytes(self) -> int:
        return self._usage.ru_maxrss * 1024 if self._usage else 0

    def reap(self, *, block: bool = False) -> bool:
        """Collect the process if it has ended, or wait until it has; return whether it is collected."""
        if self._usage is None:
            pid, status, usage = os.wait4(self.pid, 0 if block else os.WNOHANG)
            if pid:
                self._usage = usage
                self.ended_at = time.monotonic()
                # Told to Popen as well, so that it does not wait for a pid that may be another's by now.
                self._process.returncode = os.waitstatus_to_exitcode(status)
        return self._usage is not None

    def wait(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (``None``: for ever) and return whether the process has ended."""
        if timeout is None:
            return self.reap(block=True)
        try:
            pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):
            # Before Linux 5.3, and in sandboxes that do not know the call.
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


@contextlib.contextmanager
def _hold_interrupts() -> Iterator[Callable[[], None]]:
    """Hold back what would interrupt this thread until the yielded function is called, or until the end.

    A child runs before ``Popen`` has returned: an interrupt that came in between would leave one that nobody knows.
    """
    came: list[int] = []
    held: dict[int, Callable[[int, FrameType | None], object]] = {}

    def release() -> None:
        answers = dict(held)
        held.clear()
        for number, handler in answers.items():
            signal.signal(number, handler)
        while came:
            number = came.pop(0)
            answers[number](number, None)

    if threading.current_thread() is threading.main_thread():
        for number in _INTERRUPTS:
            handler = signal.getsignal(number)
            if callable(handler):
                held[number] = handler
                signal.signal(number, lambda number, _: came.append(number))
    try:
        yield release
    finally:
        release()


def _attend(
    child: _Child,
    *,
    release: Callable[[], None],
    timeout: float | None,
    until: Callable[[], bool] | None,
    on_deadline: Callable[[int], None] | None,
    on_start: Callable[[int], None] | None,
) -> bool:
    """Wait for the child and leave nothing of its group behind; return whether its deadline passed."""
    try:
        release()
        if on_start:
            on_start(child.pid)
        timed_out = not (_wait_unless(child, timeout, until) if until else child.wait(timeout))
        if timed_out and on_deadline:
            on_deadline(child.pid)
        return timed_out
    finally:
        try:
            end_group(child.pid)
        finally:
            child.reap(block=True)


def _wait_unless(child: _Child, timeout: float | None, until: Callable[[], bool]) -> bool:
    """Wait as ``child.wait`` does, but no longer than until ``until`` says so."""
    limit = math.inf if timeout is None else time.monotonic() + timeout
    while not child.wait(max(0.0, min(_ASK_SECONDS, limit - time.monotonic()))):
        if time.monotonic() >= limit or until():
            return False
    return True


def _signal_group(pgid: int, number: int) -> bool:
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _group_runs(pgid: int) -> bool:
    """Tell whether a member of the group still runs.

    ``killpg`` alone does not tell: it counts zombies, and a symbolizer that outlived its subject stays one until init
    collects it, which may take as long as the whole grace.
    """
    if not _signal_group(pgid, 0):
        return False
    try:
        return bool(_members(pgid))
    except OSError:
        return True


def group_members(pgid: int) -> tuple[int, ...]:
    """Return the processes of a group that still run, none where the system does not tell."""
    try:
        return _members(pgid)
    except OSError:
        return ()


def _members(pgid: int) -> tuple[int, ...]:
    pids = (entry.name for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return tuple(sorted(int(pid) for pid in pids if _runs_in(pid, pgid)))


def _runs_in(pid: str, pgid: int) -> bool:
    try:
        stat = Path("/proc", pid, "stat").read_text(errors="replace")
    except OSError:
        return False
    # proc_pid_stat(5): "pid (name) state ppid pgrp ...", where the name may hold blanks and parentheses.
    state, _, group = stat.rpartition(")")[2].split()[:3]
    return state not in {"Z", "X"} and int(group) == pgid


def _sink(path: Path | None) -> IO[bytes]:
    return tempfile.TemporaryFile() if path is None else path.open("wb")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
