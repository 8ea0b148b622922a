"""Save the stacks of a process that passed its deadline; :mod:`python_tsan.process` ends it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.hang import describe_hang
from python_tsan.process import group_members, run
from python_tsan.process.group import thread_folders
from python_tsan.result.hang import Hang, together
from python_tsan.storage import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

NATIVE_FILE = "stacks-native.txt"
PYTHON_FILE = "stacks-python.txt"
# The subject's own handler writes every Python thread's stack into the file that this variable names.
PYTHON_STACKS_VARIABLE = "PYTHON_TSAN_STACKS"
PYTHON_STACKS_SIGNAL = signal.SIGUSR1

DEBUGGER_SECONDS = 60.0
HANDLER_SECONDS = 20.0
_SETTLE_SECONDS = 0.2  # a busy machine may suspend the handler between two threads
_PROC = Path("/proc")
_KERNEL_FILES = ("comm", "wchan", "syscall", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Debugger:
    """A program that prints the native stack of every thread. ``proof`` is in its output when it could."""

    name: str
    arguments: tuple[str, ...]
    proof: str

    def command(self, pid: int) -> list[str]:
        """Return the command line for the process ``pid``."""
        return [self.name, *(part.replace("PID", str(pid)) for part in self.arguments)]


# In order of what their stacks show. Every one needs ptrace, which containers may forbid.
DEBUGGERS = (
    Debugger(
        name="gdb",
        arguments=("-batch", "-nx", "-iex", "set debuginfod enabled off", "-p", "PID", "-ex", "thread apply all bt"),
        proof="#0 ",
    ),
    Debugger(name="lldb", arguments=("--batch", "-p", "PID", "-o", "thread backtrace all"), proof="frame #0"),
    Debugger(name="eu-stack", arguments=("-p", "PID"), proof="#0 "),
    Debugger(name="py-spy", arguments=("dump", "--native", "--pid", "PID"), proof="Thread "),
)


def save_stacks(pgid: int, folder: Path) -> tuple[Path, ...]:
    """Save what every thread of every process of a group is doing into ``folder``; return the files that were written.

    Native stacks come from the first debugger that works, else from what the kernel shows of each thread; those of
    others than the leader go into files with their pid. Python's come from the processes themselves, if they handle the
    agreed signal: they append to the file that the environment of all of them names. Never raises: a process that goes
    away meanwhile leaves fewer stacks.
    """
    written: dict[Path, None] = {}
    python = folder / PYTHON_FILE
    for pid in dict.fromkeys((pgid, *group_members(pgid))):
        native = folder / _native_file(pid, pgid)
        if _debugger_stacks(pid, native) or _kernel_stacks(pid, native):
            written[native] = None
        if _python_stacks(pid, python):
            written[python] = None
    return tuple(written)


def _native_file(pid: int, pgid: int) -> str:
    return NATIVE_FILE if pid == pgid else NATIVE_FILE.replace(".", f".{pid}.")


def describe_group_hang(pgid: int, folder: Path) -> Hang:
    """Describe what the threads of a group wait for, by its saved stacks and by what the kernel shows of it."""
    python = text_of(folder / PYTHON_FILE)
    native = {pid: text_of(folder / _native_file(pid, pgid)) for pid in group_members(pgid)}
    return together(describe_hang(pid, native=text, python=python) for pid, text in native.items())


def _debugger_stacks(pid: int, target: Path) -> bool:
    # A debug-info server that does not answer would hold the debugger for ever.
    env = {**os.environ, "DEBUGINFOD_URLS": ""}
    for debugger in DEBUGGERS:
        if shutil.which(debugger.name) is None:
            continue
        done = run(debugger.command(pid), env=env, timeout=DEBUGGER_SECONDS)
        if done.timed_out:
            # It did not detach: a stopped process could not write its Python stacks.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        if debugger.proof in done.stdout:
            target.write_text(f"# {debugger.name}, process {pid}\n{done.stdout}", encoding="utf-8")
            return True
    return False


def _kernel_stacks(pid: int, target: Path) -> bool:
    """Write each thread's name, state, system call and the kernel function it waits in: not a stack, but a cause."""
    blocks = list(_kernel_threads(pid))
    if not blocks:
        return False
    heading = f"# /proc, process {pid}: no debugger could attach, so this is what the kernel shows of each thread\n"
    target.write_text(heading + "\n".join(blocks), encoding="utf-8")
    return True


def _kernel_threads(pid: int) -> Iterator[str]:
    for thread in thread_folders(pid):
        lines = [f"Thread {thread.name}"]
        for name in _KERNEL_FILES:
            try:
                text = (thread / name).read_text(encoding="utf-8", errors="replace").strip()
            except OSError as error:
                text = f"(not readable: {error.strerror})"
            lines.append(f"  {name}: " + text.replace("\n", "\n    "))
        yield "\n".join(lines) + "\n"


def _python_stacks(pid: int, target: Path) -> bool:
    """Ask the subject to append its Python stacks to ``target``, where it may have noted its threads' names before."""
    if not _handles(pid, PYTHON_STACKS_SIGNAL):
        return False
    before = _size(target)
    try:
        os.kill(pid, PYTHON_STACKS_SIGNAL)
    except ProcessLookupError:
        return False
    limit = time.monotonic() + HANDLER_SECONDS
    while time.monotonic() < limit:
        time.sleep(_SETTLE_SECONDS)
        # Written thread by thread: it is all there once it has stopped growing.
        size = _size(target)
        if size > before:
            time.sleep(_SETTLE_SECONDS)
            if _size(target) == size:
                return True
    return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _handles(pid: int, number: signal.Signals) -> bool:
    """Return whether the process has a handler for a signal whose default is to end it (SigCgt in proc(5))."""
    try:
        status = (_PROC / str(pid) / "status").read_text(encoding="utf-8")
    except OSError:
        return False
    masks = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return bool(int(masks.get("SigCgt", "0").strip(), 16) >> (number - 1) & 1)
