"""Own the breakpoints: gdb runs this file, and it writes one line of JSON for each release and acquisition.

It is kept apart from the preload engine in everything, so that the two can be held against each other. The lines go to
the file named by ``PYTHON_TSAN_GIL_GDB``; :mod:`python_tsan.gil.gdb` reads them.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import gdb  # type: ignore[import-untyped]  # known inside gdb only

RELEASES = {"PyEval_SaveThread": 1, "PyEval_ReleaseThread": 2}
ACQUISITIONS = {"PyEval_RestoreThread": 1, "PyEval_AcquireThread": 2}
GIL_STATE, DELETED = 3, 5
_WRAPPERS = ("PyGILState_Release", "PyGILState_Ensure")
_SIGNALLED = 128
_EXECUTABLE_TYPE = b"\x02\x00"  # ET_EXEC: linked for fixed addresses


class Places:
    """Where code comes from: the file and the address in the file's own terms."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, int]] = {}

    def __getitem__(self, pc: int) -> tuple[str, int]:
        if pc not in self._known:
            self._known[pc] = self._find(pc)
        return self._known[pc]

    def _find(self, pc: int) -> tuple[str, int]:
        bases: dict[str, int] = {}
        with Path(f"/proc/{gdb.selected_inferior().pid}/maps").open(encoding="utf-8", errors="replace") as maps:
            for line in maps:
                # 7f1c2a000000-7f1c2a028000 r--p 00000000 08:01 1234  /usr/lib/libc.so.6
                fields = line.split(maxsplit=5)
                first, last = (int(part, 16) for part in fields[0].split("-"))
                path = fields[5].rstrip("\n") if len(fields) > 5 else ""  # noqa: PLR2004 -- the path may be missing
                bases.setdefault(path, first)
                if first <= pc < last:
                    return path, pc - (0 if _is_fixed(path) else bases[path])
        return "", pc


def _is_fixed(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(18)[16:] == _EXECUTABLE_TYPE
    except OSError:
        return False


def _caller(frame: gdb.Frame) -> gdb.Frame:
    """Return the frame that called, past the functions that were inlined into either."""
    above = _called(frame).older()
    return _called(above)


def _called(frame: gdb.Frame) -> gdb.Frame:
    while frame.type() == gdb.INLINE_FRAME:
        frame = frame.older()
    return frame


class Watch(gdb.Breakpoint):  # type: ignore[misc]
    """A breakpoint that writes a line and goes on."""

    def __init__(self, function: str, kind: str, way: int, *, out: Path, places: Places) -> None:
        super().__init__(function)
        self.silent = True
        self._kind = kind
        self._way = way
        self._places = places
        self._out = out.open("a", encoding="utf-8", buffering=1)

    def stop(self) -> bool:
        """Write where the call came from."""
        caller = _caller(gdb.newest_frame())
        way = self._way
        if caller.name() in _WRAPPERS:
            way, caller = GIL_STATE, _caller(caller)
        thread = gdb.selected_thread().ptid[1]
        library, offset = self._places[caller.pc()]
        self._out.write(json.dumps([self._kind, time.monotonic_ns(), thread, way, library, offset]) + "\n")
        return False


def start() -> None:
    """Set the breakpoints, run the program to its end, and leave its exit code behind."""
    out = Path(os.environ["PYTHON_TSAN_GIL_GDB"])
    for setting in (
        "pagination off",
        "confirm off",
        "breakpoint pending on",
        "print thread-events off",
        "print inferior-events off",
        "auto-load no",
        "follow-fork-mode parent",
    ):
        gdb.execute(f"set {setting}")
    gdb.execute("handle all nostop noprint pass", to_string=True)
    gdb.execute("handle SIGTRAP stop noprint nopass", to_string=True)
    places = Places()
    for function, way in RELEASES.items():
        Watch(function, "release", way, out=out, places=places)
    for function, way in ACQUISITIONS.items():
        Watch(function, "acquire", way, out=out, places=places)
    Watch("PyThreadState_DeleteCurrent", "release", DELETED, out=out, places=places)

    def ended(event: gdb.ExitedEvent) -> None:
        code = getattr(event, "exit_code", None)
        if code is None:  # a signal: told as a shell does
            code = _SIGNALLED + int(gdb.parse_and_eval("$_exitsignal"))
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(["exit", code]) + "\n")

    gdb.events.exited.connect(ended)
    gdb.execute("run")


start()
