"""Record the calls at which a debugger stops the program, and the program's end.

Each engine provides access to memory, symbols and frames. This runs in a debugger's own Python and imports only the
standard library.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from frames import Frames  # type: ignore[import-not-found]
from watched import GIL_STATE, WRAPPERS, Lines, what_it_does  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    # The name of a calling function, and its return address: a file and the offset from its load base.
    Caller = tuple[str | None, tuple[str, int]]

_SIGNALLED = 128


class Recorder:
    """Writes the lines about one program.

    ``address`` returns the address of a symbol, 0 if it does not exist; ``read`` returns bytes of the program's memory.
    """

    def __init__(self, *, address: Callable[[str], int], read: Callable[[int, int], bytes]) -> None:
        self.lines = Lines()
        self._address = address
        self._read = read
        self._seen = False

    def call(self, function: str, argument: int, thread: int, callers: Iterator[Caller]) -> None:
        """Write a line for a call of a traced function, unless the call has no effect on the GIL.

        ``argument`` is its first argument; ``callers`` are its callers, innermost first.
        """
        self._seen = True
        found = what_it_does(function, argument, self._version)
        if found is None:
            return
        kind, call = found
        name, place = next(callers)
        if name in WRAPPERS:
            call, (_, place) = GIL_STATE, next(callers)
        self.lines.call(kind, thread, call, place, [] if kind == "acquire" else self._frames.stack(thread))

    def end(self, code: int | None, signal: int = 0) -> None:
        """Write the interpreter's version and the program's exit code, which is None if ``signal`` ended it."""
        self.lines.write("python", self._version if self._seen else 0)
        self.lines.write("exit", _SIGNALLED + signal if code is None else code)  # a signal as a shell reports it

    # Both are read on the first call of a function of the interpreter; before, it is not loaded.
    @cached_property
    def _version(self) -> int:
        address = self._address("Py_Version")  # since 3.11
        return int.from_bytes(self._read(address, 8), "little") if address else 0

    @cached_property
    def _frames(self) -> Frames:
        return Frames(self._read, self._address("_PyRuntime"), (self._version >> 24, self._version >> 16 & 0xFF))
