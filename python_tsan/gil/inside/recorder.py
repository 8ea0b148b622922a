"""Own what is written of a call at which a debugger has stopped the program, and of the program's end.

How a debugger reads memory, symbols and frames is its engine's to say. This runs in a debugger's own Python and imports
the standard library alone.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from frames import Frames  # type: ignore[import-not-found]
from watched import GIL_STATE, WRAPPERS, Lines, what_it_does  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # The name of a function that called, and where the call returns to: a file and the address in the file's own terms.
    Caller = tuple[str | None, tuple[str, int]]

_SIGNALLED = 128


class Recorder:
    """What is known of the program and its interpreter, and the lines about it.

    ``address`` gives where a symbol is, 0 if there is none; ``read`` gives that many bytes of the program's memory.
    """

    def __init__(self, *, address: Callable[[str], int], read: Callable[[int, int], bytes]) -> None:
        self.lines = Lines()
        self._address = address
        self._read = read
        self._seen = False

    def call(self, function: str, argument: int, thread: int, callers: Iterator[Caller]) -> None:
        """Write what a call of a watched function does, if it does something, and where it comes from.

        ``argument`` is its first one; ``callers`` are the functions around it, innermost first.
        """
        self._seen = True
        found = what_it_does(function, argument, self._version)
        if found is None:
            return
        kind, way = found
        name, place = next(callers)
        if name in WRAPPERS:
            way, (_, place) = GIL_STATE, next(callers)
        self.lines.call(kind, thread, way, place, [] if kind == "acquire" else self._frames.stack(thread))

    def end(self, code: int | None, signal: int = 0) -> None:
        """Write the interpreter's version and how the program ended: its exit code, None if ``signal`` ended it."""
        self.lines.write("python", self._version if self._seen else 0)
        self.lines.write("exit", _SIGNALLED + signal if code is None else code)  # a signal as a shell tells it

    # Both are first asked for once a function of the interpreter is called: before, it is not loaded.
    @cached_property
    def _version(self) -> int:
        address = self._address("Py_Version")  # since 3.11
        return int.from_bytes(self._read(address, 8), "little") if address else 0

    @cached_property
    def _frames(self) -> Frames:
        return Frames(self._read, self._address("_PyRuntime"), (self._version >> 24, self._version >> 16 & 0xFF))
