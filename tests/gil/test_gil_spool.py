import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.gil import spool
from python_tsan.gil.trace import Event, Node, Thread

NAMES = ["", "f.py", "run", "alpha", "/lib/libpython.so"]
SIZE = 1 << 17
CHUNKS_AT = 1 << 15


def make(*, chunks, magic=spool.MAGIC, version=1, flags=2, python=0x030D05F0, nodes=((0, 1, 4, 7, 0),), used=None):
    """Lay out a file as format.hpp has it, with each region where it is convenient."""
    offsets, text = [], b"\0"
    for name in NAMES:
        offsets.append(len(text) if name else 0)
        text += name.encode() + b"\0" if name else b""
    regions = [
        (9000, text),
        (12000, bytes(16) + struct.pack("<IIII", offsets[1], offsets[2], offsets[3], 1)),
        (14000, bytes(20) + b"".join(struct.pack("<IIiiI", *node) for node in nodes)),
        (16000, bytes(32) + struct.pack("<QQQII", 0x1000, 0x1000, 0x2000, offsets[4], 0)),
    ]
    data = bytearray(SIZE)
    fields = []
    for offset, content in regions:
        data[offset : offset + len(content)] = content
        fields += [offset, 1000, len(content) if used is None else used]
    fields += [CHUNKS_AT, len(chunks) * spool._CHUNK_BYTES, 0]
    head = (magic, version, flags, SIZE, 5, 6, 10, 9, python, len(chunks))
    spool._HEADER.pack_into(data, 0, *head, *fields, 3, 7, 8, 9)
    data[spool._HEADER.size : spool._HEADER.size + 11] = b"/bin/python"
    for index, (ordinal, tid, events) in enumerate(chunks):
        start = CHUNKS_AT + index * spool._CHUNK_BYTES
        spool._CHUNK.pack_into(data, start, 1, len(events), index, tid, ordinal, b"python")
        for number, event in enumerate(events):
            spool._EVENT.pack_into(data, start + 64 + number * spool._EVENT.size, *event)
    return bytes(data)


LATE = (200, 210, 220, 0x1100, 1, 1, 1, 0)
EARLY = (100, 110, 120, 0x1200, 0, 6, 6, 0)


def test_what_was_recorded_is_read_in_order_of_time():
    read = spool.read_spool(make(chunks=[(0, 10, [LATE]), (1, 11, [EARLY])]))
    assert read.events == (
        Event(100, 110, 120, 0x1200, 0, 1, 6, 6),
        Event(200, 210, 220, 0x1100, 1, 0, 1, 1),
    )
    assert read.nodes == (Node(0, "", "", 0, "", ""), Node(0, "f.py", "run", 7, "alpha", ""))
    assert read.objects == (spool.SpoolObject(0x1000, 0x1000, 0x2000, "/lib/libpython.so"),)


def test_the_process_is_described():
    record = spool.read_spool(make(chunks=[(0, 10, [EARLY]), (1, 11, [LATE])], flags=3)).record
    assert (record.pid, record.parent, record.executable, record.python) == (10, 9, "/bin/python", "3.13.5")
    assert (record.free_threaded, record.sees_internal) == (True, True)
    assert (record.started, record.started_unix) == (5, 6)
    assert (record.dropped, record.lost, record.lost_stacks) == (7, 8, 9)
    assert record.threads == (Thread(ordinal=0, tid=10, name="python"), Thread(ordinal=1, tid=11, name="python"))


def test_a_row_that_was_being_written_is_left_out():
    read = spool.read_spool(make(chunks=[(0, 10, [EARLY, (0,) * 8])]))
    assert len(read.events) == 1


def test_impossible_counts_are_limited_to_the_region():
    data = bytearray(make(chunks=[(0, 10, [EARLY])], used=1 << 60))
    struct.pack_into("<I", data, CHUNKS_AT + 4, 2**32 - 1)
    read = spool.read_spool(bytes(data))
    assert [event.released for event in read.events] == [100]
    assert len(read.nodes) <= 51


def test_an_unknown_function_is_no_error():
    read = spool.read_spool(make(chunks=[], nodes=[(0, 77, 0, 3, 0)]))
    assert read.nodes[1] == Node(0, "", "", 3, "", "")


@pytest.mark.parametrize(
    "data",
    [b"", b"x" * 100, make(chunks=[], magic=bytes(8)), make(chunks=[], version=2)],
    ids=["empty", "short", "unfinished", "newer"],
)
def test_a_file_that_is_not_a_record_is_ignored(data):
    assert spool.read_spool(data) is None


WHOLE = make(chunks=[(0, 10, [EARLY, LATE]), (1, 11, [LATE])])
HEADER_BYTES = spool._HEADER.size


@given(st.integers(0, SIZE))
def test_a_record_that_is_cut_anywhere_is_read_as_far_as_it_goes(length):
    read = spool.read_spool(WHOLE[:length])
    assert read is None or {event.released for event in read.events} <= {100, 200}


@given(st.lists(st.tuples(st.integers(12, HEADER_BYTES - 1), st.integers(0, 255)), max_size=30))
def test_a_damaged_header_is_no_error(changes):
    data = bytearray(WHOLE)
    for at, byte in changes:
        data[at] = byte
    read = spool.read_spool(bytes(data))
    assert read is None or len(read.events) <= SIZE // spool._EVENT.size


@given(st.integers(9000, 20000), st.binary(min_size=1, max_size=200))
def test_damaged_tables_are_no_error(at, rubbish):
    data = bytearray(WHOLE)
    data[at : at + len(rubbish)] = rubbish
    assert len(spool.read_spool(bytes(data)).events) == 3
