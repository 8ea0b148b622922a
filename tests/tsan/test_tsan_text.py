from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from python_tsan.tsan.parser import parse_lines, parse_log
from python_tsan.tsan.text import MAX_LINE, lines_of


@given(text=st.text(), sizes=st.lists(st.integers(min_value=1, max_value=7), min_size=1))
def test_chunks_of_any_size_give_the_same_lines(text, sizes):
    data = text.encode()
    chunks = []
    while data:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(data[:size])
        data = data[size:]
    assert list(lines_of(chunks)) == text.removesuffix("\n").split("\n")[: None if text else 0]


def test_invalid_bytes_are_replaced():
    assert list(lines_of([b"a\xffb\xe2", b"\x82\xac\nc\xe2"])) == ["a\ufffdb\u20ac", "c\ufffd"]


def test_a_line_without_end_comes_in_pieces():
    chunks = [b"x" * MAX_LINE] * 5
    assert [len(line) for line in lines_of(chunks)] == [MAX_LINE] * 5


def test_an_endless_line_does_not_hide_what_follows():
    chunks = [b"x" * (1 << 20)] * 4
    log = parse_log(
        lines_of([*chunks, b"\nWARNING: ThreadSanitizer: thread leak (pid=1)\nSUMMARY: ThreadSanitizer: x\n"])
    )
    assert [finding.title for finding in log.findings] == ["thread leak"]


@given(data=st.binary(max_size=300))
def test_any_bytes(data):
    assert list(parse_lines(lines_of([data]), "x")) == []
