"""What the stage before the blocks makes of lines, by itself: whole lines, and where they belong."""

from __future__ import annotations

import json

import pytest
from tsan_logs import BLOCK, HEADING, SUMMARY, time_of

from python_tsan.tsan.joining import MAX_RECORD_SOURCES, Joiner, Where, Whole
from python_tsan.tsan.lexer import names_sanitizer
from python_tsan.tsan.outside import Outside
from python_tsan.tsan.partial import Appended


@pytest.fixture
def joiner():
    return Joiner(Outside())


def join(joiner, line):
    return joiner.join(line, speaks=names_sanitizer(line))


def record(text, **fields):
    return json.dumps({"log": text, **fields})


@pytest.mark.parametrize(
    "line", [*BLOCK, "Processed 3 + 4", "int main() {", "_x", "2026-11-23 P", f"{time_of(0)} 01E it is up"]
)
def test_a_whole_line_is_what_it_is(joiner, line):
    assert join(joiner, line) is None
    assert not joiner.is_open


def test_the_parts_of_a_line_are_one_line(joiner):
    assert join(joiner, f"{time_of(0)} stderr P {HEADING[:9]}") == []
    assert joiner.is_open
    assert join(joiner, "hello") is None
    whole = f"{time_of(1)} stderr F {HEADING}"
    assert join(joiner, f"{time_of(1)} stderr F {HEADING[9:]}") == [Whole(Where.LOG, [whole])]
    assert not joiner.is_open


def test_a_mark_that_a_line_goes_on_with_an_earlier_one_is_handed_on(joiner):
    assert join(joiner, f"{time_of(0)} 01E+rest") == [Appended(f"{time_of(0)} 01E ", "01E", "rest")]


def test_records_belong_to_their_source_once_it_has_spoken(joiner):
    assert join(joiner, record("hello", pod="a")) is None
    assert join(joiner, record(f"x\n{HEADING}", pod="a")) == [Whole(Where.SOURCE, ["x", HEADING], 1)]
    assert join(joiner, record(HEADING, pod="b")) == [Whole(Where.SOURCE, [HEADING], 2)]
    assert join(joiner, record("hello", pod="c")) == [Whole(Where.NONE, ["hello"])]
    assert join(joiner, record("hello", pod="a")) == [Whole(Where.SOURCE, ["hello"], 1)]


def test_too_many_sources_of_records_are_one(joiner):
    numbers = [
        whole.source for n in range(MAX_RECORD_SOURCES + 3) for whole in join(joiner, record(HEADING, pod=f"p{n}"))
    ]
    assert len(set(numbers)) == MAX_RECORD_SOURCES + 1
    assert len(set(numbers[MAX_RECORD_SOURCES:])) == 1


def test_a_field_that_varies_does_not_make_two_sources(joiner):
    (first,) = join(joiner, record(HEADING, pod="a", at="t1"))
    (second,) = join(joiner, record("  Write of size 8 at 0x7b04 by thread T1:", pod="a", at="t2"))
    assert first.source == second.source


def test_fields_that_vary_in_mixed_records_of_two_sources_do_not_make_more_of_them(joiner):
    lines = [HEADING, "  Write of size 8 at 0x7b04 by thread T1:", "    #0 f(int) /src/a.cpp:3:5 (a+0x10)"]
    sources = [
        [join(joiner, record(line, pod=f"w-{pod}", id=f"x{n}{pod}"))[0].source for pod in "ab"]
        for n, line in enumerate(lines)
    ]
    assert sources == [[1, 2]] * 3


@pytest.mark.parametrize("tags", [[], ["env:x"], ["env:x", "team:y"]], ids=len)
def test_a_list_of_texts_in_each_record_is_no_source_of_its_own(joiner, tags):
    for line in (HEADING, "  Write of size 8 at 0x7b04 by thread T1:"):
        assert join(joiner, record(line, pod="a", tags=tags)) == [Whole(Where.SOURCE, [line], 1)]


def test_another_source_is_not_taken_for_one_with_a_field_that_varies(joiner):
    assert join(joiner, record(HEADING, pod="w-a", id="x1"))[0].source == 1
    for line, pod in (("  Write of size 8 at 0x7b04 by thread T1:", "w-b"), ("hello", "w-a"), ("", "w-a")):
        assert join(joiner, record(line, pod=pod, id="x2"))[0].where is Where.NONE


def test_a_report_in_one_line_is_its_lines(joiner):
    assert join(joiner, f"{HEADING}\\n{SUMMARY}") == [Whole(Where.ALONE, [HEADING, SUMMARY])]


def test_what_lacks_its_end_comes_at_the_end_and_is_counted(joiner):
    for line in (f"{time_of(0)} stderr P {HEADING}", "__CURSOR=s=1", f"MESSAGE={HEADING}"):
        assert join(joiner, line) == []
    ends = joiner.end()
    assert ends == [Whole(Where.SOURCE, [HEADING], 1), Whole(Where.LOG, [f"{time_of(0)} stderr F {HEADING}"])]
    assert joiner.outside.unfinished == 1


def test_a_document_of_several_lines_is_one_record(joiner):
    assert [join(joiner, line) for line in ("{", '"pod": "a",', f'"log": "{HEADING}"')] == [[], [], []]
    assert joiner.is_open
    assert join(joiner, "}") == [Whole(Where.SOURCE, [HEADING], 1, 1)]


@pytest.mark.parametrize("rest", [["hello"], ['"a": 1', "}"], ["1", "2", "{", "hello"]])
def test_brackets_of_a_program_are_its_lines(joiner, rest):
    lines = []
    for line in ("{", *rest):
        joined = join(joiner, line)
        lines += [line] if joined is None else [each for whole in joined for each in whole.lines]
    assert lines == ["{", *rest]
    assert not joiner.is_open
