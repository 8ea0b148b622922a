from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import NASTY, renamed
from runs import run, verdict

from python_tsan.expectation import Lane, Outcome
from python_tsan.render.junit import render
from python_tsan.render.registry import Context
from python_tsan.result.build import Standing
from python_tsan.result.finding import FindingStatus
from python_tsan.result.model import Status


def suites(report):
    root = ET.fromstring(render(report, Context()))  # noqa: S314 -- what we wrote ourselves
    (suite,) = root.findall("testsuite")
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert root.get(name) == suite.get(name) == str(len(suite.findall(f"testcase/{tag}")))
    assert suite.get("tests") == str(len(suite.findall("testcase")))
    return suite


def test_a_failing_finding_is_a_failed_case_with_its_block(report_of):
    report = report_of("race_global")
    (case,) = suites(report).findall("testcase")
    assert case.get("classname") == "python-tsan.data-race"
    assert case.get("name").endswith(f"[{report.findings[0].fingerprint}]")
    assert (case.get("file"), case.get("line")) == ("/src/golden/race_global.cpp", "25")
    failure = case.find("failure")
    assert failure.get("type") == "data race"
    assert "Previous write of size 8" in failure.text
    assert "yours, 1 time, first in" in failure.text


def test_names_full_of_markup_come_back_as_they_were(nasty):
    (case,) = suites(nasty).findall("testcase")
    assert NASTY in case.get("name")
    assert NASTY in case.find("failure").text


@pytest.mark.parametrize(
    ("status", "skipped"),
    [
        (FindingStatus.KNOWN, "known: why"),
        (FindingStatus.SUPPRESSED, "suppressed: why"),
        (FindingStatus.EXPECTED, None),
    ],
)
def test_findings_that_do_not_fail_are_skipped_or_passed(report_of, status, skipped):
    key = report_of("race_global").findings[0].fingerprint
    report = report_of("race_global", standings={key: Standing(status=status, reason="why")})
    case, verdict = suites(report).findall("testcase")
    assert case.find("failure") is None
    assert (None if case.find("skipped") is None else case.find("skipped").get("message")) == skipped
    assert (verdict.get("name"), len(verdict)) == ("verdict", 0)


def test_a_doubt_is_an_error(report_of):
    fatal, verdict = suites(report_of("segv")).findall("testcase")
    assert fatal.find("error").get("type") == "DEADLYSIGNAL"
    assert "could not judge" in verdict.find("error").get("type")


def test_clean_is_one_passed_case(report_of):
    (case,) = suites(report_of("suppressed")).findall("testcase")
    assert len(case) == 0


@settings(deadline=None, max_examples=60)
@given(symbol=st.text(min_size=1, max_size=60))
def test_no_name_makes_unreadable_xml(one_race, symbol):
    suites(renamed(one_race, symbol))


def test_each_check_is_a_case_of_its_lane():
    result = run(
        verdict("canary/race", outcome=Outcome.RACE, runs=3, met=3),
        verdict("gil/counter", Status.FAILED, Outcome.RACE, runs=3, met=2, reason="expected a race <x>"),
        verdict("numpy/sum", Status.SKIPPED, runs=0, met=0, reason="needs numpy"),
        verdict("gil/lost", Status.COULD_NOT_JUDGE, met=0, reason="the log folder is gone"),
    )
    cases = {case.get("name"): case for case in suites(result).findall("testcase")}
    assert list(cases)[:4] == ["canary/race", "gil/counter", "numpy/sum", "gil/lost"]
    lane = result.verdicts[0].lane
    assert lane in set(Lane)
    assert {cases[name].get("classname") for name in list(cases)[:4]} == {f"python-tsan.{lane.value}"}
    assert float(cases["canary/race"].get("time")) == result.verdicts[0].seconds
    assert len(cases["canary/race"]) == 0
    failure = cases["gil/counter"].find("failure")
    assert (failure.get("type"), failure.get("message")) == ("race", "expected a race <x>")
    assert failure.text.startswith("2 of 3 runs as expected")
    assert cases["numpy/sum"].find("skipped").get("message") == "needs numpy"
    assert cases["gil/lost"].find("error").get("message") == "the log folder is gone"


def test_a_failed_check_is_one_failure():
    result = run(verdict("canary/race", outcome=Outcome.RACE), verdict("gil/one", Status.FAILED, reason="1 finding"))
    assert suites(result).get("failures") == "1"
