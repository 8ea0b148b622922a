import struct

import pytest

from python_tsan.gil.inside.frames import _FIELDS, Frame, Frames

RUNTIME, SIZE = 0x1000, 0x4000
STATE, OUTER, INNER, FIND, OTHER = 0x2000, 0x2100, 0x2200, 0x2300, 0x2400
TID = 77


class Memory:
    """A process's memory, in which each structure has its fields in the order of the table, 8 bytes each."""

    def __init__(self, version):
        self.bytes = bytearray(SIZE)
        self.at, offsets, self._free = {}, [], 0x3000
        for line in filter(None, map(str.strip, _FIELDS[version].split("\n"))):
            name, fields = line.split(":")
            for index, field in enumerate(fields.split()):
                self.at[f"{name}.{field}"] = index * 8
                offsets.append(index * 8)
        self.at["unicode.ascii_size"] = 40
        offsets[-1] = 40
        self.put(RUNTIME, b"xdebugpy" + struct.pack(f"<QQ{len(offsets)}Q", 0, 0, *offsets))

    def put(self, address, data):
        self.bytes[address : address + len(data)] = data

    def word(self, address, field, value):
        self.put(address + self.at[field], struct.pack("<Q", value))

    def text(self, text):
        address, data = self._free, text.encode()
        self._free += 256
        self.word(address, "unicode.length", len(text))
        self.put(address + 40, data)
        return address

    def code(self, address, file, function):
        self.word(address, "code.filename", self.text(file))
        self.word(address, "code.qualname", self.text(function))
        self.word(address, "code.firstlineno", 9)

    def read(self, address, size):
        assert RUNTIME <= address <= SIZE - size, f"{address:#x}"
        return bytes(self.bytes[address : address + size])


# The offsets lie behind the cookie in RUNTIME; what the runtime points to lies behind them.
@pytest.fixture(params=[(3, 13), (3, 14), (3, 15)], ids=["3.13", "3.14", "3.15"])
def memory(request):
    memory = Memory(request.param)
    memory.version = request.param
    memory.at["runtime.interpreters_head"] = 0x800
    index = 3  # of interpreters_head among the fields: cookie, version and free_threaded come first
    memory.put(RUNTIME + 24 + (index - 1) * 8, struct.pack("<Q", 0x800))
    memory.word(RUNTIME, "runtime.interpreters_head", 0x1A00)
    memory.word(0x1A00, "interpreter.threads_head", STATE)
    memory.word(STATE, "thread.native_thread_id", TID)
    memory.word(STATE, "thread.current_frame", INNER)
    memory.word(INNER, "frame.previous", OUTER)
    for frame, code in ((INNER, FIND), (OUTER, OTHER)):
        memory.word(frame, "frame.executable", code | 1)  # a tagged reference
        memory.word(frame, "frame.owner", 0)
    memory.code(FIND, "<frozen importlib._bootstrap>", "_find_and_load")
    memory.code(OTHER, "main.py", "<module>")
    memory.word(INNER, "frame.localsplus", memory.text("alpha") | 1)
    return memory


def test_the_frames_of_a_thread_come_innermost_first(memory):
    frames = Frames(memory.read, RUNTIME, memory.version)
    assert frames.stack(TID) == [
        Frame("<frozen importlib._bootstrap>", "_find_and_load", 9, "alpha"),
        Frame("main.py", "<module>", 9, ""),
    ]
    assert frames.stack(TID + 1) == []


def test_the_interpreters_own_frames_are_left_out(memory):
    memory.word(INNER, "frame.owner", 3)
    assert [frame.function for frame in Frames(memory.read, RUNTIME, memory.version).stack(TID)] == ["<module>"]


def test_a_chain_that_does_not_end_is_cut(memory):
    memory.word(OUTER, "frame.previous", OUTER)
    assert len(Frames(memory.read, RUNTIME, memory.version).stack(TID)) == 512


def test_a_name_that_is_not_ascii_is_not_guessed(memory):
    memory.code(OTHER, "mäin.py", "f\0g")
    assert Frames(memory.read, RUNTIME, memory.version).stack(TID)[1][:2] == ("?", "?")


def test_without_a_table_there_are_no_frames(memory):
    assert Frames(memory.read, RUNTIME, (3, 12)).stack(TID) == []
    memory.put(RUNTIME, b"\0" * 8)
    assert Frames(memory.read, RUNTIME, memory.version).stack(TID) == []
