"""The table of late threads: what a run shows, what the table expects, the page, and the program itself."""

import re
from collections import Counter
from pathlib import Path

import pytest

from python_tsan.errors import SubjectError
from python_tsan.process import Completed
from tools.late_threads import __main__ as command
from tools.late_threads.expected import disagreement, expected_outcome
from tools.late_threads.measure import (
    How,
    Measured,
    Outcome,
    Target,
    When,
    cases,
    compile_program,
    measure,
    outcome_of,
    stock_targets,
)
from tools.late_threads.page import render_page

PAGE = Path(__file__).parents[2] / "docs" / "late-threads.md"


def target(version, **others):
    return Target(version=version, library=Path("/lib/libpython.so"), home=Path("/"), **others)


def measured(version, how, when, *outcomes, **others):
    return Measured(target=target(version, **others), how=how, when=when, outcomes=Counter(outcomes))


def ended(code=0, text="", *, timed_out=False):
    return Completed(
        command=("late", "libpython.so", "new", "after", "2"),
        exit_code=code,
        timed_out=timed_out,
        seconds=0,
        cpu_seconds=0,
        max_rss_bytes=0,
        stdout=text,
    )


def test_a_run_shows_the_word_that_it_prints_and_a_signal_is_a_crash():
    assert outcome_of(ended(text="blocked\n")) is Outcome.BLOCKED
    assert outcome_of(ended(-11)) is Outcome.CRASHED
    assert outcome_of(ended(-6, "returned\n")) is Outcome.CRASHED


@pytest.mark.parametrize("strange", [ended(), ended(3), ended(text="bloc"), ended(-9, timed_out=True)])
def test_a_run_that_shows_nothing_is_no_outcome(strange):
    with pytest.raises(SubjectError, match=r"libpython.so new after 2: neither an outcome nor a crash"):
        outcome_of(strange)


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        ("3.10.9", None),
        ("3.13.7", Outcome.UNWOUND),
        ("3.13.8", Outcome.BLOCKED),
        ("3.14.0", Outcome.RETURNED),
        ("3.15.0b4", None),
        ("3.15.0rc1", Outcome.BLOCKED),
        ("3.16.0", Outcome.BLOCKED),
    ],
)
def test_a_range_includes_its_first_version_and_excludes_its_last(version, outcome):
    assert expected_outcome(version, How.NEW, When.DURING) is outcome


def test_every_case_has_ranges_that_follow_each_other():
    for how in How:
        for when in When:
            assert expected_outcome("3.15.2", how, when)
            if how is not How.VIEW:
                assert expected_outcome("3.11.0", how, when)


def test_a_measurement_that_differs_or_is_new_is_reported():
    same = measured("3.14.7", How.NEW, When.DURING, *[Outcome.RETURNED] * 3)
    assert disagreement(same) == ""
    mixed = measured("3.14.7", How.NEW, When.DURING, Outcome.RETURNED, Outcome.RETURNED, Outcome.BLOCKED)
    assert disagreement(mixed) == "returned 2 of 3, blocked 1 of 3, expected returned"
    assert "this version is not in the table" in disagreement(measured("3.10.1", How.NEW, When.AFTER, Outcome.CRASHED))


def test_a_view_is_measured_where_there_are_views():
    assert {how for how, _ in cases(target("3.14.10"))} == {How.NEW, How.KNOWN}
    assert {how for how, _ in cases(target("3.15.0rc1"))} == set(How)


def test_the_page_has_a_line_for_each_build_in_order_and_an_empty_cell_for_what_was_not_measured():
    page = render_page(
        [
            measured("3.15.2", How.VIEW, When.AFTER, Outcome.REFUSED),
            measured("3.13.5", How.NEW, When.AFTER, Outcome.CRASHED, toolchain="gcc-12", sanitized=True, debug=True),
            measured("3.13.5", How.NEW, When.DURING, Outcome.UNWOUND),
        ],
        date="2026-01-02",
        command="tools.late_threads --runs 1",
        limit=2,
    )
    lines = [line for line in page.splitlines() if line.startswith("| 3.")]
    assert lines == [
        "| 3.13.5 | unwound 1 of 1 |  |  |  |  |  |",
        "| 3.13.5, gcc-12, debug |  | crashed 1 of 1 |  |  |  |  |",
        "| 3.15.2 |  |  |  |  |  | refused 1 of 1 |",
    ]
    assert "\n    python -m tools.late_threads --runs 1\n" in page


def test_the_page_was_written_by_this_command_and_is_as_the_table_says():
    text = PAGE.read_text()
    found = re.findall(r"python -m tools\.late_threads (.*)", text)
    assert len(found) == 1
    with pytest.raises(SystemExit) as ended:
        command.main([*found[0].split(), "--help"])
    assert ended.value.code == 0
    columns = [(how, when) for how in How for when in When]
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if re.match(r"\| 3\.\d", line)]
    assert len(rows) >= 6
    for version, *cells in rows:
        number = version.split(",")[0].rstrip("t")
        for (how, when), cell in zip(columns, cells, strict=False):
            if cell.strip():
                assert cell.split()[0] == expected_outcome(number, how, when).value


@pytest.fixture(scope="module")
def stock():
    found = next(stock_targets(), None)
    if found is None:
        pytest.skip("no stock Python with a shared library")
    return found


@pytest.mark.compiler
def test_a_thread_during_finalization_does_what_the_table_says(stock, tmp_path):
    program = compile_program(stock, tmp_path)
    for how in (How.NEW, How.KNOWN):
        result = measure(stock, how, When.DURING, program=program, runs=1)
        assert disagreement(result) == ""
