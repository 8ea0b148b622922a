"""Own the breakpoints under gdb, which runs this file: one line for each release and acquisition.

:mod:`python_tsan.gil.debugger` reads the lines. Nothing is shared with the preload engine, so that the two can be held
against each other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gdb  # type: ignore[import-untyped]  # known inside gdb only

sys.path.insert(0, str(Path(__file__).parent))
from frames import Frames  # type: ignore[import-not-found]
from watched import (  # type: ignore[import-not-found]
    GIL_STATE,
    WATCHED,
    WRAPPERS,
    GatedProgram,
    Lines,
    what_it_does,
)

_FIRST_ARGUMENT = {"aarch64": "$x0"}  # by architecture; else that of x86-64
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


def _argument() -> int:
    """Return the first argument, as the called function finds it."""
    register = _FIRST_ARGUMENT.get(gdb.newest_frame().architecture().name(), "$rdi")
    return int(gdb.parse_and_eval(register)) & 0xFFFFFFFFFFFFFFFF


class Python:
    """The interpreter that is loaded: its version, and where its frames are."""

    def __init__(self) -> None:
        self.version = self._number("*(unsigned long *)&Py_Version")  # since 3.11
        runtime = self._number("(unsigned long)&_PyRuntime")
        self.frames = Frames(self._read, runtime, (self.version >> 24, self.version >> 16 & 0xFF))

    @staticmethod
    def _number(expression: str) -> int:
        try:
            return int(gdb.parse_and_eval(expression))
        except gdb.error:  # there is no such symbol
            return 0

    @staticmethod
    def _read(address: int, size: int) -> bytes:
        return bytes(gdb.selected_inferior().read_memory(address, size))


class Watch(gdb.Breakpoint):  # type: ignore[misc]
    """A breakpoint that writes a line and goes on."""

    python: Python | None = None  # known once one of the functions is called

    def __init__(self, function: str, *, lines: Lines, places: Places) -> None:
        super().__init__(function)
        self.silent = True
        self._function = function
        self._places = places
        self._lines = lines

    def stop(self) -> bool:
        """Write what the call does, if it does something, and where it comes from."""
        python = Watch.python = Watch.python or Python()
        found = what_it_does(self._function, _argument(), python.version)
        if found is None:
            return False
        kind, way = found
        caller = _caller(gdb.newest_frame())
        if caller.name() in WRAPPERS:
            way, caller = GIL_STATE, _caller(caller)
        thread = gdb.selected_thread().ptid[1]
        frames = [] if kind == "acquire" else python.frames.stack(thread)
        self._lines.call(kind, thread, way, self._places[caller.pc()], frames)
        return False


def start() -> None:
    """Set the breakpoints, run the program to its end, and leave its exit code behind."""
    lines, places = Lines(), Places()
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
        lines.write("error", str(error))
        return
    for function in WATCHED:
        Watch(function, lines=lines, places=places)
    program.open()
    while not ends:
        gdb.execute("continue")
    lines.write("python", Watch.python.version if Watch.python else 0)
    # None is a signal: told as a shell does.
    lines.write("exit", _SIGNALLED + int(gdb.parse_and_eval("$_exitsignal")) if ends[0] is None else ends[0])


start()
