"""Set the breakpoints in gdb, which runs this file: one line for each release and acquisition.

:mod:`python_tsan.gil.debugger` reads the lines. No code is shared with the preload engine, so that the two can be
compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gdb  # type: ignore[import-untyped]  # known inside gdb only
from recorder import Recorder  # type: ignore[import-not-found]
from watched import WATCHED, GatedProgram  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recorder import Caller

_FIRST_ARGUMENT = {"aarch64": "$x0"}  # by architecture; else that of x86-64
_EXECUTABLE_TYPE = b"\x02\x00"  # ET_EXEC: linked for fixed addresses


class Places:
    """Finds the file of an address, and the offset from its load base."""

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


def _callers(places: Places) -> Iterator[Caller]:
    """Yield the callers of the called function, without inlined functions."""
    frame = _called(gdb.newest_frame())
    while True:
        frame = _called(frame.older())
        yield frame.name(), places[frame.pc()]


def _called(frame: gdb.Frame) -> gdb.Frame:
    while frame.type() == gdb.INLINE_FRAME:
        frame = frame.older()
    return frame


def _argument() -> int:
    """Return the first argument of the called function."""
    register = _FIRST_ARGUMENT.get(gdb.newest_frame().architecture().name(), "$rdi")
    return int(gdb.parse_and_eval(register)) & 0xFFFFFFFFFFFFFFFF


def _address(symbol: str) -> int:
    try:
        return int(gdb.parse_and_eval(f"(unsigned long)&{symbol}"))
    except gdb.error:  # the symbol does not exist
        return 0


def _read(address: int, size: int) -> bytes:
    return bytes(gdb.selected_inferior().read_memory(address, size))


class Watch(gdb.Breakpoint):  # type: ignore[misc]
    """A breakpoint that records its call and continues."""

    def __init__(self, function: str, *, recorder: Recorder, places: Places) -> None:
        super().__init__(function)
        self.silent = True
        self._function = function
        self._places = places
        self._recorder = recorder

    def stop(self) -> bool:
        """Record the call."""
        thread = gdb.selected_thread().ptid[1]
        self._recorder.call(self._function, _argument(), thread, _callers(self._places))
        return False


def start() -> None:
    """Set the breakpoints, run the program to its end, and record its exit code."""
    recorder, places = Recorder(address=_address, read=_read), Places()
    program = GatedProgram()
    for setting in (
        "pagination off",
        "confirm off",
        "breakpoint pending on",
        "print thread-events off",
        "auto-load no",
        "follow-fork-mode parent",
    ):
        gdb.execute(f"set {setting}")
    gdb.execute("handle all nostop noprint pass")
    gdb.execute("handle SIGTRAP stop noprint nopass")
    ends = []
    gdb.events.exited.connect(lambda event: ends.append(getattr(event, "exit_code", None)))
    try:
        gdb.execute(f"attach {program.child.pid}")
    except gdb.error as error:
        program.child.kill()
        recorder.lines.write("error", str(error))
        return
    for function in WATCHED:
        Watch(function, recorder=recorder, places=places)
    program.open()
    while not ends:
        gdb.execute("continue")
    # A program that a signal ended has no exit code.
    recorder.end(ends[0], 0 if ends[0] is not None else int(gdb.parse_and_eval("$_exitsignal")))


start()
