"""Set the breakpoints in lldb, which imports this file: one line for each release and acquisition.

:mod:`python_tsan.gil.debugger` reads the lines. No code is shared with the preload engine, so that the two can be
compared.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import lldb  # type: ignore[import-not-found]  # known inside lldb only
from recorder import Recorder  # type: ignore[import-not-found]
from watched import WATCHED, GatedProgram, Lines  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recorder import Caller

_SETTINGS = (
    "target.process.stop-on-exec false",
    "target.process.follow-fork-mode parent",
    "target.skip-prologue false",
    "symbols.enable-external-lookup false",
)


class Memory:
    """The symbols and the memory of the program."""

    def __init__(self, process: lldb.SBProcess) -> None:
        self._process = process

    def address(self, symbol: str) -> int:
        """Return the address of a symbol, 0 if it does not exist."""
        target = self._process.GetTarget()
        found = target.FindSymbols(symbol)
        if not len(found):
            return 0
        return int(found[0].GetSymbol().GetStartAddress().GetLoadAddress(target))

    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes. Raises RuntimeError if they cannot be read."""
        error = lldb.SBError()
        data = self._process.ReadMemory(address, size, error)
        if error.Fail():
            raise RuntimeError(error.GetCString())
        return bytes(data)


def _record_call(recorder: Recorder, thread: lldb.SBThread) -> None:
    """Record the call at which ``thread`` stopped."""
    frame = thread.GetFrameAtIndex(0)
    # Only the debug information names a copy that was inlined into another function.
    name = next((name for name in (frame.GetSymbol().GetName(), frame.GetFunctionName()) if name in WATCHED), "")
    if name:
        argument = frame.FindRegister("arg1").GetValueAsUnsigned()
        recorder.call(name, argument, thread.GetThreadID(), _callers(thread))


def _callers(thread: lldb.SBThread) -> Iterator[Caller]:
    """Yield the callers of the called function."""
    called = _whole(thread, 0)
    while True:
        # Of the frames that share a return address, only the innermost has it in lldb.
        address = thread.GetFrameAtIndex(called + 1).GetPCAddress()
        library = address.GetModule().GetFileSpec().fullpath or ""
        called = _whole(thread, called + 1)
        yield thread.GetFrameAtIndex(called).GetSymbol().GetName(), (library, address.GetFileAddress())


def _whole(thread: lldb.SBThread, index: int) -> int:
    """Return the index of the frame that ``index`` was inlined into, or ``index``."""
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
        if number != signal.SIGTRAP:  # lldb uses it
            for change in (signals.SetShouldStop, signals.SetShouldNotify, signals.SetShouldSuppress):
                change(number, False)  # noqa: FBT003 -- lldb's signature
    return process


def _run(debugger: lldb.SBDebugger) -> None:
    program = GatedProgram()
    try:
        process = _attach(debugger, program.child.pid)
    except BaseException:
        program.child.kill()
        raise
    program.open()
    memory = Memory(process)
    recorder = Recorder(address=memory.address, read=memory.read)
    while process.GetState() == lldb.eStateStopped:
        for thread in process:
            if thread.GetStopReason() == lldb.eStopReasonBreakpoint:
                _record_call(recorder, thread)
        process.Continue()
    code = int(program.child.wait())
    recorder.end(code if code >= 0 else None, -code)


def __lldb_init_module(_debugger: lldb.SBDebugger, _session: object) -> None:
    """Set the breakpoints, run the program to its end, and record its exit code; lldb calls this on import."""
    # A new debugger, because lldb's own would print its progress to the program's standard output.
    debugger = lldb.SBDebugger.Create()
    debugger.SetAsync(False)  # noqa: FBT003 -- lldb's signature
    for setting in _SETTINGS:
        debugger.HandleCommand(f"settings set {setting}")
    try:
        _run(debugger)
    except RuntimeError as error:
        Lines().write("error", str(error))
