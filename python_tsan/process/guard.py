"""End a user's program if this process is killed: SIGKILL, as by the kernel without memory, leaves no time to do it.

A small shell waits for the end of a pipe, which comes when this process is gone, however it ended. In contrast to
``PR_SET_PDEATHSIG`` it reaches the children of the program, needs no code between fork and exec, and holds for a
program that changes its user as far as a signal may reach it.
"""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Self

from python_tsan.process.group import TERM_GRACE_SECONDS

if TYPE_CHECKING:
    from types import TracebackType

# The first line names what is to be ended. "over" comes in time if nothing is.
_SCRIPT = """
trap '' HUP INT TERM
read -r target || exit 0
[ "$target" = over ] || read -r target_is_over && exit 0
kill -s TERM -- "$target"
sleep "$1"
kill -s KILL -- "$target"
"""


class DeathGuard:
    """From its entry to its exit, the death of this process ends the program that it watches."""

    def __enter__(self) -> Self:
        """Start the shell. In its own process group, so that no Ctrl-C reaches it."""
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, "python-tsan-guard", f"{TERM_GRACE_SECONDS:g}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        return self

    def watch(self, pid: int, *, group: bool) -> None:
        """End this process, or its whole group, when this process dies."""
        if self._shell.stdin:
            with contextlib.suppress(BrokenPipeError):  # somebody ended the shell
                self._shell.stdin.write(f"{'-' if group else ''}{pid}\n".encode())
                self._shell.stdin.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shell.communicate(b"over\n")
