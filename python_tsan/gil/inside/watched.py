"""Share between both debuggers: the traced functions, the file of lines, the start of the program.

This runs in a debugger's own Python and imports only the standard library.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.gil.inside.frames import Frame

OUT = "PYTHON_TSAN_GIL_OUT"  # the file of lines; with a suffix:
LOG = ".log"  # the debugger's output
COMMAND = ".command"  # the command with its environment, which could misconfigure the debugger's own Python
# What each function does, and its number in GilCall.
WATCHED = {
    "PyEval_SaveThread": ("release", 1),
    "PyEval_RestoreThread": ("acquire", 1),
    "PyEval_ReleaseThread": ("release", 2),
    "PyEval_AcquireThread": ("acquire", 2),
    "PyGILState_Release": ("release", 3),
    "PyThreadState_Swap": ("swap", 4),
    "PyThreadState_DeleteCurrent": ("release", 5),
}
WRAPPERS = ("PyGILState_Release", "PyGILState_Ensure")
GIL_STATE = 3
_SAVE_RESTORE, _SWAP = 1, 4
_UNLOCKED = 1  # of PyGILState_STATE
_FIRST_SWAP = 0x030C0000  # up to 3.11 a swap changes a pointer and keeps the GIL
_WAIT = 'read -r go < "$0"; exec "$@"'
_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)  # <linux/prctl.h>; where Yama is, only an ancestor may attach


def what_it_does(name: str, argument: int, version: int) -> tuple[str, int] | None:
    """Return what a call of a traced function does, and its number in ``GilCall``; None if it leaves the GIL alone.

    ``argument`` is the call's first argument, ``version`` is ``Py_Version``.
    """
    kind, call = WATCHED[name]
    if call == GIL_STATE and argument & 0xFFFFFFFF != _UNLOCKED:
        return None
    if call == _SWAP:
        return None if version < _FIRST_SWAP else ("swap" if argument else "release", call)
    return kind, call


class Lines:
    """The file of lines in JSON; each is complete as soon as it is written."""

    def __init__(self) -> None:
        self._file = Path(os.environ[OUT]).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115 -- until the end

    def call(self, kind: str, thread: int, call: int, place: tuple[str, int], frames: Sequence[Frame]) -> None:
        """Write a call with the current time, its return address, and the Python frames, innermost first."""
        self.write(kind, time.monotonic_ns(), thread, call, *place, frames)

    def write(self, *row: str | int | Sequence[Frame]) -> None:
        """Write a line."""
        self._file.write(json.dumps(row) + "\n")


class GatedProgram:
    """The command, which starts only after the debugger has attached to it.

    A program that a debugger starts gets other streams and another environment. Here a shell with the debugger's own
    streams waits at a named pipe, and then executes the program.
    """

    def __init__(self) -> None:
        gate = f"{os.environ[OUT]}.gate"
        os.mkfifo(gate)
        self._gate = os.open(gate, os.O_RDWR)  # so that neither side waits for the other to open it
        command, env = json.loads(Path(f"{os.environ[OUT]}{COMMAND}").read_text(encoding="utf-8"))
        libc = ctypes.CDLL(None)
        self.child = subprocess.Popen(
            ["/bin/sh", "-c", _WAIT, gate, *command],
            env=env,
            preexec_fn=lambda: libc.prctl(_SET_PTRACER, _ANYBODY, 0, 0, 0),  # noqa: PLW1509 -- one call of the kernel
        )
        # The debugger's output goes to the log, not among the program's, which has its streams by now.
        log = os.open(f"{os.environ[OUT]}{LOG}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)

    def open(self) -> None:
        """Start the program once the debugger lets the shell run."""
        os.write(self._gate, b"go\n")
