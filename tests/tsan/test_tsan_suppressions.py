from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.tsan.finding import (
    RULES,
    Access,
    Acquisition,
    Finding,
    Frame,
    Kind,
    Operation,
    Source,
    Stack,
    Thread,
    ThreadStatus,
)
from python_tsan.tsan.suppressions import (
    Suppression,
    SuppressionType,
    hides,
    parse_matches,
    parse_suppressions,
    pattern_matches,
    too_wide,
    unused,
)

FILE = """\
# https://github.com/python/cpython/issues/1
# free lists are racy by design
race_top:_PyFreeList_Pop

race:^my_counter$
"""


def test_entries_with_reason_and_line():
    read = parse_suppressions(FILE)
    assert read.refused == ()
    assert [(str(entry), entry.line) for entry in read.entries] == [
        ("race_top:_PyFreeList_Pop", 3),
        ("race:^my_counter$", 5),
    ]
    assert read.entries[0].reason == "https://github.com/python/cpython/issues/1 free lists are racy by design"
    assert read.entries[1].reason == ""


STOPS = (
    "it must be TYPE:PATTERN, with TYPE one of race, race_top, mutex, thread, signal, deadlock, called_from_lib, "
    + ", ".join(RULES)
)
EVERY_CALL = (
    "every call that libpython makes would be ignored, the ones into your own code included; "
    "name the one function with race_top: instead"
)


def on_every_stack(hub):
    return (
        f"{hub} is on nearly every stack that comes from Python, so races in your own callbacks would be hidden "
        "too; name the function that races, with race_top:"
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("race:_PyEval_EvalFrameDefault", on_every_stack("_PyEval_EvalFrameDefault")),
        ("race:*EvalFrame*", on_every_stack("_PyEval_EvalFrameDefault")),
        ("deadlock:PyObject_Call", on_every_stack("PyObject_Call")),
        ("thread:^thread_run$", on_every_stack("thread_run")),
        ("mutex:^PyEval_EvalCode$", on_every_stack("PyEval_EvalCode")),
        ("called_from_lib:libpython", EVERY_CALL),
        ("called_from_lib:libpython3.13d.so.1.0", EVERY_CALL),
        ("called_from_lib:^libpython*so.1.0$", EVERY_CALL),
        ("race:*", "it matches everything"),
        ("race:^*$", "it matches everything"),
        ("race:", "it has no pattern"),
        ("race", "it has no pattern"),
        ("exception-lost:", "it has no pattern"),
        ("c-api-without-gil:*", "it matches everything"),
        (
            "c-api-without-gil:PyObject_Call",
            "PyObject_Call is on nearly every stack that comes from Python; name a function of the program",
        ),
        ("races:foo", STOPS),
        ("leak:foo", STOPS),
    ],
)
def test_refusals(line, why):
    read = parse_suppressions(line)
    assert read.entries == ()
    (refusal,) = read.refused
    assert refusal.reason == why
    assert (refusal.line, refusal.text) == (1, line)


@pytest.mark.parametrize(
    "line",
    [
        "race_top:_PyEval_EvalFrameDefault",
        "signal:_PyEval_EvalFrameDefault",
        "race:my_callback",
        "race:X",
        "race:libpython3.13d.so.1.0",
        "called_from_lib:libblas",
        "race:^PyObject_CallMe$",
        "c-api-without-gil:PyList_Size",
        "possible-deadlock:^log$",
    ],
)
def test_narrow_entries_are_taken(line):
    assert str(parse_suppressions(line).entries[0]) == line


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("foo", "a foo b", True),
        ("^foo", "a foo", False),
        ("foo$", "foo b", False),
        ("f*o", "f--o", True),
        ("f.o", "fxo", False),
        ("^a*z$", "abcz", True),
    ],
)
def test_patterns_match_as_the_runtime_does(pattern, text, expected):
    assert pattern_matches(pattern, text) is expected


@given(pattern=st.text("ab*", max_size=8), start=st.booleans(), end=st.booleans(), text=st.text("ab", max_size=8))
def test_patterns_match_as_a_regular_expression_would(pattern, start, end, text):
    expression = "^" * start + ".*".join(map(re.escape, pattern.split("*"))) + "$" * end
    assert pattern_matches("^" * start + pattern + "$" * end, text) == bool(re.search(expression, text))


@pytest.mark.timeout(60)
def test_no_pattern_and_no_file_of_many_takes_long():
    assert not pattern_matches("a*" * 1000 + "b", "a" * 16_000)
    assert len(parse_suppressions("rcae:f\nrace:g*\n" * 100_000).refused) == 100_000


def test_too_wide_is_empty_for_the_narrow():
    assert too_wide(SuppressionType.RACE, "my_function") == ""


COUNTS = """\
ThreadSanitizer: Matched 5 suppressions (pid=12):
4 race:^my_counter$
1 race_top:a b c
hello
3 race:not_a_count
ThreadSanitizer: Matched 1 suppressions (pid=13):
2 called_from_lib:libblas
"""


def test_counts_of_each_process():
    found = [(match.pid, match.hits, match.suppression) for match in parse_matches(COUNTS.splitlines())]
    assert found == [(12, 4, "race:^my_counter$"), (12, 1, "race_top:a b c"), (13, 2, "called_from_lib:libblas")]


def test_unused_entries_are_named():
    entries = parse_suppressions(FILE).entries
    assert [str(entry) for entry in unused(entries, parse_matches(COUNTS.splitlines()))] == ["race_top:_PyFreeList_Pop"]


@given(text=st.text())
def test_any_text_is_read(text):
    read = parse_suppressions(text)
    assert all(isinstance(entry, Suppression) for entry in read.entries)
    list(parse_matches(text.splitlines()))


def finding(*stacks):
    accesses = tuple(
        Access(
            operation=Operation.WRITE,
            atomic=False,
            size=8,
            address=1,
            thread=number,
            main_thread=False,
            stack=Stack(frames=tuple(Frame(index=at, symbol=name, file="/x/a.c") for at, name in enumerate(names))),
        )
        for number, names in enumerate(stacks)
    )
    source = Source(file="tsan.1", first_line=1, last_line=2)
    return Finding(kind=Kind.RACE, title="data race", pid=1, source=source, raw="", accesses=accesses)


@pytest.mark.parametrize(
    ("entry", "hidden"),
    [
        ("race:callback", True),
        ("race:^call$", False),
        ("race_top:bump", True),
        ("race_top:callback", False),
        ("race:a.c", True),
        ("race:other", False),
        ("mutex:bump", False),
        ("thread:callback", False),
    ],
)
def test_a_finding_is_hidden_as_the_runtime_would(entry, hidden):
    (suppression,) = parse_suppressions(entry).entries
    assert hides(suppression, finding(["read_it", "main"], ["bump", "callback", "main"])) is hidden


def test_without_a_stack_nothing_is_hidden():
    (suppression,) = parse_suppressions("race_top:x").entries
    assert not hides(suppression, finding([], []))


def test_numbers_that_do_not_fit_are_unknown():
    huge = "9" * 5000
    lines = [f"ThreadSanitizer: Matched 1 suppressions (pid={huge}):", f"{huge} race:x"]
    assert [(match.pid, match.hits) for match in parse_matches(lines)] == [(0, 0)]


def test_counts_without_their_heading_are_not_read():
    assert list(parse_matches(["4 race:^my_counter$"])) == []


def test_a_comment_loses_its_mark_only_and_a_pattern_spans_lines():
    (entry,) = parse_suppressions("# XX is racy\nrace:g_counter").entries
    assert entry.reason == "XX is racy"
    assert pattern_matches("a*b", "a\nb")


SOURCE = Source(file="recorded", first_line=1, last_line=1)
MISUSE = Finding(
    kind=Kind.API_NOT_ATTACHED,
    title="PyList_Size called without the GIL",
    pid=7,
    source=SOURCE,
    raw="",
    stacks=(Stack(frames=(Frame(index=0, symbol="is_empty()", file="list.cpp"), Frame(index=1, module="libwork.so"))),),
)


def of_log(symbol):
    return Stack(frames=(Frame(index=0, symbol=symbol),))


DEADLOCK = Finding(
    kind=Kind.POSSIBLE_DEADLOCK,
    title=Kind.POSSIBLE_DEADLOCK.value,
    pid=7,
    source=SOURCE,
    raw="",
    acquisitions=(
        Acquisition(
            mutex=0, holding=1, thread=1, main_thread=False, stack=of_log("asked"), holding_stack=of_log("held")
        ),
        Acquisition(mutex=1, holding=0, thread=2, main_thread=False, stack=of_log("other")),
    ),
    threads=(Thread(id=1, name="", tid=8, status=ThreadStatus.RUNNING, stack=of_log("started")),),
)


@pytest.mark.parametrize(
    ("line", "finding", "expected"),
    [
        ("c-api-without-gil:is_empty", MISUSE, True),
        ("c-api-without-gil:list.cpp", MISUSE, True),
        ("c-api-without-gil:libwork", MISUSE, True),
        ("c-api-without-gil:^PyList_Size$", MISUSE, True),
        ("c-api-without-gil:called", MISUSE, False),
        ("c-api-without-gil:PyDict", MISUSE, False),
        ("c-api-after-finalization:is_empty", MISUSE, False),
        ("race:is_empty", MISUSE, False),
        ("deadlock:asked", DEADLOCK, True),
        ("deadlock:held", DEADLOCK, True),
        ("deadlock:^other$", DEADLOCK, True),
        ("deadlock:started", DEADLOCK, True),
        ("deadlock:ask$", DEADLOCK, False),
        ("deadlock:is_empty", MISUSE, False),
        ("mutex:asked", DEADLOCK, False),
        ("possible-deadlock:started", DEADLOCK, False),
        ("possible-deadlock:asked", DEADLOCK, True),
        ("possible-deadlock:held", DEADLOCK, True),
        ("possible-deadlock:other", DEADLOCK, True),
        ("possible-deadlock:possible", DEADLOCK, False),
    ],
)
def test_a_rule_hides_what_breaks_it_in_a_function(line, finding, expected):
    (entry,) = parse_suppressions(line).entries
    assert hides(entry, finding) is expected
