import struct
import zlib

import gil_samples as samples
import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.errors import UsageError
from python_tsan.gil import codec
from python_tsan.gil.codec import BLOCK, MAGIC, decode, encode
from python_tsan.gil.trace import Event

TIMES = st.integers(0, 2**63)
NUMBERS = st.integers(0, 2**32 - 1)
CALLS = st.integers(0, 6)
SITES = st.integers(0, len(samples.SITES) - 1)
EVENTS = st.lists(st.builds(Event, TIMES, TIMES, TIMES, SITES, NUMBERS, NUMBERS, CALLS, CALLS), max_size=20)


def test_a_trace_is_read_as_it_was_written():
    assert decode(b"".join(encode(samples.trace()))) == samples.trace()


@given(EVENTS)
def test_any_events_are_read_as_they_were_written(events):
    trace = samples.trace(processes=(samples.process(events=tuple(events)),))
    assert decode(b"".join(encode(trace))).processes[0].events == tuple(events)


def test_many_events_are_written_in_several_sections():
    events = samples.EVENTS[:1] * (BLOCK + 1)
    trace = samples.trace(processes=(samples.process(events=events),))
    pieces = list(encode(trace))
    assert len([piece for piece in pieces if piece.startswith(b"EVNT")]) == 2
    assert len(decode(b"".join(pieces)).processes[0].events) == BLOCK + 1


def test_a_trace_cut_short_anywhere_gives_what_is_whole():
    pieces = list(encode(samples.trace()))
    data, readable = b"".join(pieces), len(pieces[0] + pieces[1])
    seen = set()
    for length in range(len(MAGIC), len(data)):
        if length < readable:
            with pytest.raises(UsageError, match="cut short"):
                decode(data[:length])
            continue
        trace = decode(data[:length])
        assert trace.truncated
        assert trace.command == ("python", "main.py")
        seen.add(tuple(len(process.events) for process in trace.processes))
    assert seen == {(0, 0), (5, 0), (5, 1)}


def test_what_follows_damage_is_not_believed():
    pieces = list(encode(samples.trace()))
    position = next(index for index, piece in enumerate(pieces) if piece.startswith(b"EVNT"))
    pieces[position] = pieces[position][:-1] + bytes([pieces[position][-1] ^ 1])
    trace = decode(b"".join(pieces))
    assert trace.truncated
    assert [len(process.events) for process in trace.processes] == [0, 0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a GIL trace"),
        (b"\x7fELF and more", "not a GIL trace"),
        (MAGIC.replace(b"\n", b" 1\n"), "another version"),
        (MAGIC, "cut short before its header"),
    ],
)
def test_a_file_that_is_not_a_trace_is_refused(data, words, tmp_path):
    with pytest.raises(UsageError, match=words) as caught:
        decode(data, source=tmp_path)
    assert caught.value.evidence == tmp_path


def test_a_trace_of_another_schema_is_refused_by_its_number():
    pieces = list(encode(samples.trace()))
    head = pieces[1][12:].replace(b'"schema": 2', b'"schema": 9')
    pieces[1] = struct.pack("<4sII", b"HEAD", len(head), zlib.crc32(head)) + head
    with pytest.raises(UsageError, match="newer than this python-tsan: it has schema 9"):
        decode(b"".join(pieces))


@pytest.mark.parametrize("section", [b"EVNT\x09\0\0\0" + zlib.compress(b""), b"EVNT", b"EVNT\0\0\0\0no zlib", b"TABL{"])
def test_a_section_that_refers_to_nothing_is_damage(section):
    tag, payload = section[:4], section[4:]
    bad = struct.pack("<4sII", tag, len(payload), zlib.crc32(payload)) + payload
    with pytest.raises(UsageError, match="the trace is damaged"):
        decode(b"".join([*encode(samples.trace()), bad]))


def test_a_small_file_that_decompresses_to_very_much_is_refused(monkeypatch):
    monkeypatch.setattr(codec, "MOST_TABLE_BYTES", 1 << 20)
    for tag, payload in (
        (b"TABL", zlib.compress(b" " * (1 << 21))),
        (b"EVNT", bytes(4) + zlib.compress(bytes(1 << 26))),
    ):
        section = struct.pack("<4sII", tag, len(payload), zlib.crc32(payload)) + payload
        with pytest.raises(UsageError, match="the trace is damaged: a section has more than"):
            decode(b"".join([*encode(samples.trace()), section]))


def test_an_event_of_a_site_that_is_not_in_the_file_is_damage():
    events = (samples.EVENTS[0]._replace(site=len(samples.SITES)),)
    data = b"".join(encode(samples.trace(processes=(samples.process(events=events),))))
    with pytest.raises(UsageError, match="refers to a call site that is not in the file"):
        decode(data)
