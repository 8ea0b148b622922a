from hypothesis import given
from hypothesis import strategies as st

from python_tsan.detect.lines import MAX_LINE, Lines
from python_tsan.tsan.parser import parse_lines, parse_log


def lines_of(chunks):
    return Lines(chunks, "utf-8-sig")


@given(text=st.text(), sizes=st.lists(st.integers(min_value=1, max_value=7), min_size=1))
def test_chunks_of_any_size_give_the_same_lines(text, sizes):
    data, chunks = text.encode(), []
    while data:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(data[:size])
        data = data[size:]
    text = text.removeprefix("\ufeff")
    assert list(lines_of(chunks)) == text.removesuffix("\n").split("\n")[: None if text else 0]


def test_invalid_bytes_stay_readable():
    assert list(lines_of([b"a\xffb\xe2", b"\x82\xac\nc\xe2"])) == ["a\\xffb\u20ac", "c\\xe2"]


def test_an_endless_line_is_cut_and_does_not_hide_what_follows():
    block = b"\nWARNING: ThreadSanitizer: thread leak (pid=1)\nSUMMARY: ThreadSanitizer: x\n"
    lines = lines_of([b"x" * (MAX_LINE - 1)] * 5 + [block])
    (first, *_, heading, _) = list(lines)
    assert len(first) == MAX_LINE
    assert "thread leak" in heading
    assert lines.overlong == 1
    assert [finding.title for finding in parse_log(lines_of([b"x" * 9, block])).findings] == ["thread leak"]


@given(data=st.binary(max_size=300))
def test_any_bytes(data):
    found = list(parse_lines(lines_of([data]), "x"))
    assert not found or b"ThreadSanitizer" in data or b"WARNING: D" in data


def test_an_early_end_is_reported_and_what_came_is_kept():
    def broken():
        yield b"one\ntwo"
        raise EOFError("compressed file ended")

    lines = lines_of(broken())
    assert list(lines) == ["one", "two"]
    assert lines.problem == "cannot be read to its end: compressed file ended"
