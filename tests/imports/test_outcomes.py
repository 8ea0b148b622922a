"""The outcome table: what is in it, and that every version is answered by exactly one range or by none."""

import re

import pytest

from python_tsan.errors import SubjectError
from python_tsan.expectation import Outcome
from python_tsan.imports.cases.import_cases.rows import LAZY_ROWS, ROWS
from python_tsan.imports.cases.import_cases.schedules import HAZARD
from python_tsan.imports.outcomes import (
    ImportOutcome,
    Range,
    expectation_of,
    find_range,
    outcome_table,
    read_table,
)
from python_tsan.version import numbers_of

RELEASES = ["3.9.18", "3.11.7", "3.12.1", "3.12.11", "3.13.0", "3.13.5", "3.13.15", "3.13.16", "3.13.18", "3.14.0"]
RELEASES += ["3.14.10", "3.15.2", "3.15.3"]
VERSIONS = [numbers_of(text) for text in RELEASES]


def test_the_table_has_each_row_and_each_variant_and_nothing_else():
    expected = {
        row.name if variant.name == HAZARD else f"{row.name}.{variant.name}"
        for row in (*ROWS, *LAZY_ROWS)
        for variant in row.variants
    }
    assert set(outcome_table()) == expected


@pytest.mark.parametrize("version", VERSIONS, ids=RELEASES)
def test_one_range_at_most_covers_a_release(version):
    for case, ranges in outcome_table().items():
        covering = [each for each in ranges if each.covers(version, free_threaded=False)]
        lazy = case.partition(".")[0] in {row.name for row in LAZY_ROWS}
        assert len(covering) == (not lazy or version >= (3, 15, 2)), (case, covering)


@pytest.mark.parametrize("version", [(3, 15, 0), (3, 15, 1)])
def test_the_releases_with_the_regression_are_not_answered_for_the_rows_that_it_touches(version):
    assert find_range("cold_window", version) is None
    assert expectation_of("warm_window", version) is None
    assert find_range("joining_body", version) is not None


@pytest.mark.parametrize(
    ("case", "version", "outcome"),
    [
        ("cold_window", numbers_of("3.15.0rc1"), ImportOutcome.OK),
        ("import_module", numbers_of("3.15.0rc1"), ImportOutcome.ERROR),
        ("import_module.parent_first", numbers_of("3.15.0rc1"), ImportOutcome.ERROR),
        ("import_module", (3, 15, 2), ImportOutcome.OK),
        ("cold_window", (3, 9, 18), ImportOutcome.ERROR),
        ("cold_window", (3, 14, 10), ImportOutcome.ERROR),
        ("cold_window", (3, 15, 2), ImportOutcome.OK),
        ("warm_window", (3, 13, 15), ImportOutcome.OK),
        ("warm_window", (3, 13, 16), ImportOutcome.ERROR),
        ("barrel", (3, 12, 11), ImportOutcome.OK),
        ("barrel", (3, 14, 0), ImportOutcome.ERROR),
        ("from_parent", (3, 13, 15), ImportOutcome.PARTIAL),
        ("from_parent", (3, 13, 16), ImportOutcome.ERROR),
        ("import_module", (3, 14, 10), ImportOutcome.ERROR),
        ("import_module.parent_first", (3, 13, 0), ImportOutcome.ERROR),
        ("import_module.preimport", (3, 13, 0), ImportOutcome.OK),
        ("lazy_cycle", (3, 15, 2), ImportOutcome.PARTIAL),
        ("fork", (3, 15, 2), ImportOutcome.HANG),
        ("create_cycle", (3, 15, 2), ImportOutcome.ERROR),
    ],
)
def test_the_boundaries_are_where_cpython_changed(case, version, outcome):
    found = find_range(case, version)
    assert found is not None
    assert found.outcome is outcome


def test_an_error_names_its_text_and_the_thread_that_loses():
    expectation = expectation_of("cold_window", (3, 12, 11))
    assert expectation is not None
    assert expectation.outcome is Outcome.ERROR
    assert expectation.losing_thread == "T2"
    assert expectation.values == {"finished": 2, "lost": "T2"}
    text = "_frozen_importlib._DeadlockError: deadlock detected by _ModuleLock('pkg.sub') at 140023"
    assert re.search(expectation.error, text)
    assert not re.search(expectation.error, text.replace("pkg.sub", "pkg"))
    assert not re.search(expectation.error, text.replace("_DeadlockError", "ImportError"))


def test_two_losers_are_both_in_the_values():
    expectation = expectation_of("from_parent", (3, 11, 7))
    assert expectation is not None
    assert expectation.values["lost"] == "T1 T2"
    assert re.search(expectation.error, "KeyError: 'pkg'")


def test_a_fix_must_be_clean_and_all_its_threads_must_end():
    expectation = expectation_of("cold_window.one_at_a_time", (3, 12, 11))
    assert expectation is not None
    assert expectation.outcome is Outcome.CLEAN
    assert expectation.values == {"finished": 2, "lost": ""}


def test_a_hang_expects_no_values_since_none_can_be_written():
    expectation = expectation_of("user_lock", (3, 13, 0))
    assert expectation is not None
    assert expectation.outcome is Outcome.HANG
    assert expectation.values == {}
    assert expectation.waits == ("T1 waits for service, held by T2", "T2 is at service.py:3 in <module>")


def test_every_loser_is_a_thread_of_its_row_and_every_error_or_hang_is_described():
    rows = {row.name: row for row in (*ROWS, *LAZY_ROWS)}
    for case, ranges in outcome_table().items():
        name, _, variant = case.partition(".")
        threads = rows[name].variant(variant or HAZARD).threads
        for each in ranges:
            assert set(each.threads) <= set(threads)
            losing = each.outcome in {ImportOutcome.ERROR, ImportOutcome.PARTIAL}
            assert losing == bool(each.threads) == bool(each.error), (case, each)
            assert bool(each.waits) == (each.outcome is ImportOutcome.HANG), (case, each)
            re.compile(each.error)


def test_an_unknown_case_is_an_error_that_lists_the_known_ones():
    with pytest.raises(SubjectError) as caught:
        find_range("cold_windows", (3, 13, 0))
    assert "cold_windows" in caught.value.message
    assert "cold_window.preimport" in caught.value.advice


def test_a_range_may_be_for_one_kind_of_build():
    only_free_threaded = Range(since=(3, 13), outcome=ImportOutcome.OK, free_threaded=True)
    assert only_free_threaded.covers((3, 13, 1), free_threaded=True)
    assert not only_free_threaded.covers((3, 13, 1), free_threaded=False)


def test_before_is_not_included():
    until = Range(since=(3, 9), before=(3, 15), outcome=ImportOutcome.OK)
    assert until.covers((3, 14, 99), free_threaded=False)
    assert not until.covers((3, 15, 0), free_threaded=False)
    assert not until.covers((3, 8, 18), free_threaded=False)


@pytest.mark.parametrize(
    "item",
    [
        {"since": "3.9", "outcome": "fine"},
        {"since": "new", "outcome": "ok"},
        {"since": "3.9", "outcome": "ok", "loser": "T1"},
    ],
)
def test_a_mistyped_table_is_refused(item):
    with pytest.raises(ValueError, match=r"fine|new|loser"):
        dict(read_table({"case": {"ranges": [item]}}))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("3.13.16", (3, 13, 16)), ("3.14", (3, 14)), ("3.15.0b2", (3, 15, -1)), ("3.15.2rc1+", (3, 15, 2))],
)
def test_a_version_is_its_numbers(text, numbers):
    assert numbers_of(text) == numbers


@pytest.mark.parametrize("text", ["", "3", "main", "v3.13.1"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(ValueError, match="not a CPython version"):
        numbers_of(text)
