"""Own the breakpoints under lldb, which imports this file: one line for each release and acquisition.

:mod:`python_tsan.gil.debugger` reads the lines. Nothing is shared with the preload engine, so that the two can be held
against each other.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import lldb  # type: ignore[import-not-found]  # known inside lldb only

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

_SETTINGS = (
    "target.process.stop-on-exec false",
    "target.process.follow-fork-mode parent",
    "target.skip-prologue false",
    "symbols.enable-external-lookup false",
)
_SIGNALLED = 128


class Python:
    """The interpreter that is loaded: its version, and where its frames are."""

    def __init__(self, process: lldb.SBProcess) -> None:
        self._process = process
        version = self._address("Py_Version")  # since 3.11
        self.version = int.from_bytes(self._read(version, 8), "little") if version else 0
        self.frames = Frames(self._read, self._address("_PyRuntime"), (self.version >> 24, self.version >> 16 & 0xFF))

    def _address(self, symbol: str) -> int:
        target = self._process.GetTarget()
        found = target.FindSymbols(symbol)
        if not len(found):
            return 0
        return int(found[0].GetSymbol().GetStartAddress().GetLoadAddress(target))

    def _read(self, address: int, size: int) -> bytes:
        error = lldb.SBError()
        data = self._process.ReadMemory(address, size, error)
        if error.Fail():
            raise RuntimeError(error.GetCString())
        return bytes(data)


def _write_call(lines: Lines, thread: lldb.SBThread, python: Python) -> None:
    """Write what the call at which ``thread`` stopped does, if it does something, and where it comes from."""
    frame = thread.GetFrameAtIndex(0)
    # A copy that was inlined into another function is named by the debug information alone.
    name = next((name for name in (frame.GetSymbol().GetName(), frame.GetFunctionName()) if name in WATCHED), "")
    argument = frame.FindRegister("arg1").GetValueAsUnsigned()
    found = what_it_does(name, argument, python.version) if name else None
    if found is None:
        return
    kind, way = found
    called = _whole(thread, 0)
    caller = _whole(thread, called + 1)
    if thread.GetFrameAtIndex(caller).GetSymbol().GetName() in WRAPPERS:
        way, called = GIL_STATE, caller
    # Of the frames that share a return address, lldb keeps it for the innermost one alone.
    address = thread.GetFrameAtIndex(called + 1).GetPCAddress()
    library = address.GetModule().GetFileSpec().fullpath or ""
    frames = [] if kind == "acquire" else python.frames.stack(thread.GetThreadID())
    lines.call(kind, thread.GetThreadID(), way, (library, address.GetFileAddress()), frames)


def _whole(thread: lldb.SBThread, index: int) -> int:
    """Return the number of the function that frame ``index`` is in, past what was inlined into it."""
    while thread.GetFrameAtIndex(index).IsInlined():
        index += 1
    return index


def _attach(debugger: lldb.SBDebugger, pid: int) -> lldb.SBProcess:
    error = lldb.SBError()
    target = debugger.CreateTarget("")
    process = target.AttachToProcessWithID(debugger.GetListener(), pid, error)
    if error.Fail():
        raise RuntimeError(error.GetCString())
    for name in WATCHED:
        target.BreakpointCreateByName(name)
    signals = process.GetUnixSignals()
    for number in map(signals.GetSignalAtIndex, range(signals.GetNumSignals())):
        if number != signal.SIGTRAP:  # lldb's own
            for change in (signals.SetShouldStop, signals.SetShouldNotify, signals.SetShouldSuppress):
                change(number, False)  # noqa: FBT003 -- lldb's signature
    return process


def _run(debugger: lldb.SBDebugger, lines: Lines) -> int:
    program = GatedProgram()
    try:
        process = _attach(debugger, program.child.pid)
    except BaseException:
        program.child.kill()
        raise
    program.open()
    python: Python | None = None  # known once one of the functions is called
    while process.GetState() == lldb.eStateStopped:
        for thread in process:
            if thread.GetStopReason() == lldb.eStopReasonBreakpoint:
                python = python or Python(process)
                _write_call(lines, thread, python)
        process.Continue()
    lines.write("python", python.version if python else 0)
    code = int(program.child.wait())
    return code if code >= 0 else _SIGNALLED - code


def __lldb_init_module(_debugger: lldb.SBDebugger, _session: object) -> None:
    """Be imported by lldb: set the breakpoints, run the program to its end, and leave its exit code behind."""
    # Not lldb's own, which would say on the program's standard output what it does.
    debugger = lldb.SBDebugger.Create()
    debugger.SetAsync(False)  # noqa: FBT003 -- lldb's signature
    for setting in _SETTINGS:
        debugger.HandleCommand(f"settings set {setting}")
    lines = Lines()
    try:
        lines.write("exit", _run(debugger, lines))
    except RuntimeError as error:
        lines.write("error", str(error))
