"""What a row's report means, and how it is held against the table."""

import pytest

from python_tsan.imports.outcomes import ImportOutcome
from tools.import_table.case_results import Build, disagreement
from tools.import_table.case_results import read_report as read

DEADLOCK = {"type": "_DeadlockError", "text": "deadlock detected by _ModuleLock('pkg.sub') at 1"}


def report(**changes):
    base = {
        "row": "cold_window",
        "variant": "hazard",
        "mitigation": "none",
        "unfinished": [],
        "held": {},
        "errors": {"T2": DEADLOCK},
        "waits": [],
    }
    return {**base, **changes}


def read_report(given, *, version=(3, 13, 0), free_threaded=False):
    return read(given, Build(version=version, free_threaded=free_threaded))


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, ImportOutcome.ERROR),
        ({"errors": {}}, ImportOutcome.OK),
        ({"errors": {"T1": {"type": "KeyError", "text": "'pkg'"}}}, ImportOutcome.PARTIAL),
        ({"errors": {"T1": {"type": "ImportError", "text": ""}, "T2": DEADLOCK}}, ImportOutcome.ERROR),
        ({"unfinished": ["T1"], "errors": {}}, ImportOutcome.HANG),
        ({"unfinished": ["T1", "T2"], "held": {"T2": "exec slow"}, "errors": {}}, ImportOutcome.HANG),
        ({"unfinished": ["T2"], "held": {"T2": "exec pkg"}, "errors": {}}, None),
    ],
)
def test_the_outcome_in_one_word(changes, outcome):
    assert read_report(report(**changes)).outcome is outcome


def test_the_first_loser_speaks():
    played = read_report(report(errors={"T2": DEADLOCK, "T1": {"type": "KeyError", "text": "'pkg'"}}))
    assert played.losers == ("T1", "T2")
    assert played.error == "KeyError: 'pkg'"


def test_a_hang_that_is_not_the_tables_hang_disagrees():
    waits = ["T1 waits for service, held by T2", "T2 is at service.py:3 in <module>"]
    hang = {"row": "user_lock", "errors": {}, "unfinished": ["T1", "T2"]}
    assert disagreement(read_report(report(**hang, waits=waits))) == ""
    assert "service.py:3" in disagreement(read_report(report(**hang, waits=waits[:1])))


def test_a_run_as_the_table_says_agrees():
    assert disagreement(read_report(report())) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"errors": {}}, "expected error, saw ok"),
        ({"errors": {"T1": DEADLOCK}}, "expected T2 to lose, but it was T1"),
        (
            {"errors": {"T2": {**DEADLOCK, "text": "deadlock detected by _ModuleLock('pkg') at 1"}}},
            "expected an error like",
        ),
        ({"unfinished": ["T2"], "held": {"T2": "create pkg"}, "errors": {}}, "the schedule was not reached"),
        ({"variant": "preimport"}, "expected ok, saw error"),
    ],
)
def test_a_run_that_differs_is_reported_in_words(changes, words):
    assert words in disagreement(read_report(report(**changes)))


def test_the_version_and_the_kind_of_build_decide():
    assert "expected ok, saw error" in disagreement(read_report(report(), version=(3, 15, 2)))
    assert disagreement(read_report(report(), version=(3, 15, 0))) == ""


def test_a_mitigation_is_compared_with_its_own_table():
    assert disagreement(read_report(report(mitigation="retry", errors={}))) == ""
    assert "expected ok, saw error _DeadlockError" in disagreement(read_report(report(mitigation="retry")))
    held = report(row="fork", mitigation="imp_lock", errors={}, unfinished=["T1"], held={"T1": "start"})
    assert disagreement(read_report(held)) == "expected ok, saw no schedule"
    wrong_order = read_report(report(mitigation="mutex_gil_held"), free_threaded=True)
    assert disagreement(wrong_order) == ""


def test_a_build_is_named_by_what_distinguishes_it():
    builds = [Build(version=(3, 13, 5)), Build(version=(3, 13, 5), free_threaded=True, sanitized=True)]
    assert [str(build) for build in sorted(builds)] == ["3.13.5", "3.13.5t TSan"]


def test_what_leads_to_a_release_is_shown_by_its_own_name():
    assert str(Build(version=(3, 15, -1), text="3.15.0rc1", free_threaded=True)) == "3.15.0rc1t"
