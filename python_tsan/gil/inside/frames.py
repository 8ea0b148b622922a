"""Read the Python frames of a stopped process from its memory, with CPython's table of offsets for debuggers.

The table is ``_Py_DebugOffsets``, at the start of ``_PyRuntime`` since 3.13. Nothing is called in the process.
This runs in a debugger's own Python and imports only the standard library.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

_COOKIE = b"xdebugpy"
_WORD = struct.Struct("<Q")
_LONGEST = 4096  # bytes of a name or path
_DEEPEST = 512  # frames
_C_STACK = 3  # frame owners from here on are the interpreter's own, not Python's
_TAGS = 0x7  # in a reference of a frame, since 3.14
# Include/internal/pycore_runtime.h (3.13), pycore_debug_offsets.h (3.14 on): the structures in order, 8 bytes a field.
_FIELDS = {
    (3, 13): """
        runtime: size finalizing interpreters_head
        interpreter: size id next threads_head gc modules sysdict builtins ceval_gil gil enabled locked holder
        thread: size prev next interp current_frame thread_id native_thread_id datastack_chunk status
        frame: size previous executable instr_ptr localsplus owner
        code: size filename name qualname linetable firstlineno argcount names kinds adaptive
        object: size type
        type: size name repr flags
        tuple: size item size
        list: size item size
        dict: size keys values
        float: size value
        long: size tag digit
        bytes: size length value
        unicode: size state length ascii_size
    """,
    (3, 14): """
        runtime: size finalizing interpreters_head
        interpreter: size id next threads_head main gc modules sysdict builtins ceval_gil gil enabled locked holder c t
        thread: size prev next interp current_frame thread_id native_thread_id datastack_chunk status
        frame: size previous executable instr_ptr localsplus owner stackpointer tlbc_index
        code: size filename name qualname linetable firstlineno argcount names kinds adaptive tlbc
        object: size type
        type: size name repr flags
        tuple: size item size
        list: size item size
        set: size used table mask
        dict: size keys values
        float: size value
        long: size tag digit
        bytes: size length value
        unicode: size state length ascii_size
    """,
    (3, 15): """
        runtime: size finalizing interpreters_head
        interpreter: size id next threads_head main gc modules sysdict builtins ceval_gil gil enabled locked holder c t
        thread: size prev next interp current_frame base_frame profiled profiled_seq thread_id native_thread_id chunk
        thread: status holds_gil gil_requested exception exc_state
        item: exc_value
        frame: size previous executable instr_ptr localsplus owner stackpointer tlbc_index
        code: size filename name qualname linetable firstlineno argcount names kinds adaptive tlbc
        object: size type
        type: size name repr flags basicsize dictoffset
        heap_type: size cached_keys
        tuple: size item size
        list: size item size
        set: size used table mask
        dict: size keys values
        float: size value
        long: size tag digit
        bytes: size length value
        unicode: size state length ascii_size
    """,
}  # fmt: skip
_IMPORTLIB = "<frozen importlib._bootstrap>"
_ABOUT_A_MODULE = ("_find_and_load", "_lock_unlock_module")  # their first argument is its name


class Frame(NamedTuple):
    """A Python frame; ``line`` is the first of its function, ``imports`` the module that the frame imports."""

    file: str
    function: str
    line: int
    imports: str


class Frames:
    """The Python frames of one process. ``read(address, size)`` reads its memory, ``runtime`` is _PyRuntime."""

    def __init__(self, read: Read, runtime: int, version: tuple[int, int]) -> None:
        self._read = read
        self._runtime = runtime
        self._codes: dict[tuple[int, int], Frame] = {}
        fields = _FIELDS.get(version, "")
        names = [f"{line.split(':')[0].strip()}.{name}" for line in fields.split("\n") for name in line.split()[1:]]
        table = read(runtime, 24 + 8 * len(names)) if names else b""
        self._at: dict[str, int] = {}
        if table.startswith(_COOKIE):
            offsets = struct.unpack_from(f"<{len(names)}Q", table, 24)  # after cookie, version, free_threaded
            self._at = dict(zip(names, offsets, strict=True))

    def stack(self, tid: int) -> list[Frame]:
        """Return the frames of a thread, innermost first; none if this version has no table or no Python code runs."""
        return list(self._walk(tid)) if self._at else []

    def _walk(self, tid: int) -> Iterator[Frame]:
        state = next((one for one in self._states() if self._word(one, "thread.native_thread_id") == tid), 0)
        frame = self._word(state, "thread.current_frame") if state else 0
        for _ in range(_DEEPEST):
            if not frame:
                return
            code = self._word(frame, "frame.executable") & ~_TAGS
            if self._read(frame + self._at["frame.owner"], 1)[0] < _C_STACK and code:
                yield self._describe(frame, code)
            frame = self._word(frame, "frame.previous")

    def _states(self) -> Iterator[int]:
        interpreter = self._word(self._runtime, "runtime.interpreters_head")
        while interpreter:
            state = self._word(interpreter, "interpreter.threads_head")
            while state:
                yield state
                state = self._word(state, "thread.next")
            interpreter = self._word(interpreter, "interpreter.next")

    def _describe(self, frame: int, code: int) -> Frame:
        # Identified by the addresses of its names, because the code's own address may be reused.
        names = self._word(code, "code.filename"), self._word(code, "code.qualname")
        if names not in self._codes:
            (line,) = struct.unpack("<i", self._read(code + self._at["code.firstlineno"], 4))
            self._codes[names] = Frame(self._text(names[0]), self._text(names[1]), line, "")
        found = self._codes[names]
        if found.file == _IMPORTLIB and found.function in _ABOUT_A_MODULE:
            return found._replace(imports=self._text(self._word(frame, "frame.localsplus") & ~_TAGS))
        return found

    def _word(self, base: int, field: str) -> int:
        return int(_WORD.unpack(self._read(base + self._at[field], 8))[0])

    def _text(self, address: int) -> str:
        """Return an ASCII str; ``?`` for any other, whose layout differs between versions."""
        if not address:
            return "?"
        length = min(self._word(address, "unicode.length"), _LONGEST)
        data = self._read(address + self._at["unicode.ascii_size"], length) if length else b""
        return data.decode() if data.isascii() and b"\0" not in data else "?"
