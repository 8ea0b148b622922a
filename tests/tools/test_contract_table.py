"""The table of mistakes: what a case is expected to show by version, and what the page says of what it showed."""

from pathlib import Path

import pytest

from python_tsan.locks.model import Rule
from tools.contract_table.measure import NOT_SEEN, RULES, Case, Measured
from tools.contract_table.page import render_page
from tools.late_threads.measure import Target

PAGE = Path(__file__).parents[2] / "docs" / "c-api-mistakes.md"
SWAPPED = Case(name="swapped_out", found="GIL", what="after PyThreadState_Swap(NULL)")
TIMER = Case(name="timer", found="GIL", what="the thread of a timer")
OF_ANOTHER = Case(name="object_of_another", found="another interpreter", what="an object of the main interpreter")
INLINE = Case(name="inline", found="not seen: it calls nothing", what="Py_INCREF")


def target(version, **others):
    return Target(version=version, library=Path("/lib/libpython.so"), home=Path("/"), **others)


def measured(case, wrong=(), right=(), version="3.13.0", **others):
    return Measured(target=target(version, **others), case=case, wrong=frozenset(wrong), right=frozenset(right))


@pytest.mark.parametrize(
    ("case", "version", "others", "expected"),
    [
        (SWAPPED, "3.11.7", {}, "not seen: the thread keeps the GIL"),
        (SWAPPED, "3.12.1", {}, "GIL"),
        (TIMER, "3.13.5", {"sanitized": True}, "GIL"),
        (OF_ANOTHER, "3.14.7", {}, "another interpreter"),
        (OF_ANOTHER, "3.14.7", {"free_threaded": True}, "not seen: a free-threaded build has no arenas"),
        (SWAPPED, "3.14.7", {"free_threaded": True}, "GIL"),
        (INLINE, "3.13.0", {}, "not seen: it calls nothing"),
    ],
)
def test_what_is_expected_depends_on_the_build(case, version, others, expected):
    assert case.expected(target(version, **others)) == expected


@pytest.mark.parametrize(
    ("wrong", "right", "good"),
    [
        ({Rule.NO_THREAD_STATE}, (), True),
        ({Rule.GIL_NOT_HELD, Rule.NEVER_RELEASED}, (), True),
        ((), (), False),
        ({Rule.NEVER_RELEASED}, (), False),
        ({Rule.NO_THREAD_STATE}, {Rule.NEVER_DELETED}, False),
    ],
)
def test_a_mistake_has_to_be_found_by_its_rule_and_its_twin_quiet(wrong, right, good):
    assert measured(SWAPPED, wrong, right).is_as_expected is good


def test_what_cannot_be_seen_must_not_be_found():
    assert measured(INLINE).is_as_expected
    assert not measured(INLINE, {Rule.NO_THREAD_STATE}).is_as_expected


def test_each_rule_has_a_name():
    assert set().union(*RULES.values()) == set(Rule)


def test_the_page_counts_what_was_found():
    results = [
        measured(SWAPPED, {Rule.NO_THREAD_STATE}),
        measured(SWAPPED, version="3.11.7"),
        measured(TIMER),
        measured(INLINE, right={Rule.NEVER_DELETED}),
    ]
    page = render_page(results, command="tools.contract_table")
    assert "3 mistakes on 2 builds of CPython: 1 of 2 found where they can be seen" in page
    assert "and 1 of 4 right programs reported." in page
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    assert rows[0] == ["mistake", "rule", "3.13.0", "3.11.7"]
    assert rows[2] == ["after PyThreadState_Swap(NULL)", "GIL", "found", "not seen: the thread keeps the GIL"]
    assert rows[3] == ["the thread of a timer", "GIL", "missed", ""]
    assert rows[4] == ["Py_INCREF", "", "not seen: it calls nothing, twin reported", ""]


def test_the_page_of_the_documentation_has_no_miss():
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("| found") > 60
    assert "missed" not in text
    assert "twin reported" not in text
    assert NOT_SEEN in text
