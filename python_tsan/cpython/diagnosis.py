"""Turn a failed build step into an error that a person can act on."""

from __future__ import annotations

import re
import shutil
import signal
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from python_tsan.process import Completed

LAST_LINES = 10
LONGEST_LINE = 200
TAIL_BYTES = 64 * 1024
LOW_DISK_BYTES = 300 * 1024 * 1024


# What a log shows, and what to do about it.
_CAUSES = (
    # cc: fatal error: error writing to /tmp/x.s: No space left on device
    (
        re.compile(r"No space left on device|Disk quota exceeded"),
        "the disk is full, and a build needs about 500 MB: free some, or name another folder with --cache",
    ),
    # clang: error: unable to execute command: Killed   /   g++: fatal error: Killed signal terminated program cc1
    (
        re.compile(r"\bKilled\b|out of memory|Cannot allocate memory|virtual memory exhausted"),
        "a compiler was killed, most likely because memory ran out: try again with --jobs 1",
    ),
    # ld.lld: error: cannot open .../libclang_rt.tsan-x86_64.a   /   ld: cannot find libtsan_preinit.o
    (
        re.compile(r"(?:cannot (?:open|find)|no such file).*(?:libclang_rt\.tsan|tsan)", re.IGNORECASE),
        "the compiler has no ThreadSanitizer runtime; `python-tsan doctor` prints how to install it",
    ),
    # FATAL: ThreadSanitizer: unexpected memory mapping 0x...-0x...
    (
        re.compile(r"FATAL: ThreadSanitizer: (?:unexpected memory mapping|failed to intercept)"),
        "the address space is laid out in a way that the runtime does not know; see `python-tsan doctor`",
    ),
    # configure: error: C compiler cannot create executables
    (
        re.compile(r"C compiler cannot create executables|cannot run C compiled programs"),
        "the compiler does not work for an ordinary program; `python-tsan doctor` tries each one it finds",
    ),
    # The source tree is not clean (/src). Building in a source tree and out of it cannot be mixed
    (
        re.compile(r"source tree is not clean|source directory already configured", re.IGNORECASE),
        "the source tree holds the output of an earlier build: run `make distclean` there",
    ),
)


def run_step(
    step: str,
    command: Sequence[str | Path],
    log: Path,
    *,
    timeout: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a step of a build with its output in ``log``. Raises the :func:`step_error` of one that ends badly."""
    ended = process.run(command, cwd=cwd, env=env, stdout=log, timeout=timeout)
    if not ended.ok:
        raise step_error(step, ended, log)


def step_error(step: str, ended: Completed, log: Path) -> BuildError:
    """Return the error for a step that ended badly, with its log's last lines and what they point to."""
    text = tail(log)
    shown = "\n".join(f"    {shorten(line)}" for line in text.splitlines()[-LAST_LINES:])
    return BuildError(
        f"the step {step!r} {_how(ended)}; the last lines of its log:\n{shown}",
        evidence=log,
        advice=advise(text, ended, free_bytes=shutil.disk_usage(log.parent).free),
    )


def advise(text: str, ended: Completed, *, free_bytes: int) -> str:
    """Return what to do about a failure whose log ends with ``text``, on a disk with ``free_bytes`` left."""
    for pattern, advice in _CAUSES:
        if pattern.search(text):
            return advice
    if ended.exit_code == -signal.SIGKILL:
        return "it was killed, most likely because memory ran out: try again with --jobs 1"
    if free_bytes < LOW_DISK_BYTES:
        return f"only {free_bytes // 2**20} MB are left on the disk: free some, or name another folder with --cache"
    return "read the log from its first error on; `python-tsan doctor` shows what the build relies on"


def shorten(line: str) -> str:
    """Return a line that fits a message: a compiler's command line keeps its beginning and its end."""
    if len(line) <= LONGEST_LINE:
        return line
    half = (LONGEST_LINE - 5) // 2
    return f"{line[:half]} ... {line[-half:]}"


def tail(log: Path) -> str:
    """Return the end of a log, at most 64 KiB, undecodable bytes replaced; empty if the log does not exist."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _how(ended: Completed) -> str:
    if ended.timed_out:
        return f"did not end within {ended.seconds:.0f} s"
    if ended.exit_code < 0:
        return f"was ended by {signal.Signals(-ended.exit_code).name}"
    return f"failed with exit code {ended.exit_code}"
