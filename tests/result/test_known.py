"""Races of CPython itself that are known upstream, together with what a check is about."""

import pytest
from msgspec.structs import replace
from observed import CLEAN, DEADLOCK, LOST, RACY, RACY_TWIN, SAFE_TWIN, finding

from python_tsan.comparison.model import Seen
from python_tsan.comparison.verified import cell_of
from python_tsan.expectation import Lane
from python_tsan.result.judge.check import judge_check
from python_tsan.result.model import KnownRace, Status
from python_tsan.tsan.suppressions import parse_suppressions

ISSUE = "https://github.com/python/cpython/issues/131680"
KNOWN = parse_suppressions(f"# upstream knows: {ISSUE}\nrace:new_reference\n").entries
KNOWN_RACE = finding(location="type_x", function="new_reference")
ASIDE = KnownRace(finding=KNOWN_RACE, suppression="race:new_reference", reason=f"upstream knows: {ISSUE}")
MET_IT = replace(CLEAN, exit_code=66, findings=(KNOWN_RACE,))


def verdict(expectation, *observations, known=KNOWN):
    return judge_check("gil/x", Lane.FULL, expectation, observations, known=known)


def test_a_clean_run_with_a_known_race_passes_and_says_so():
    got = verdict(SAFE_TWIN, CLEAN, MET_IT)
    assert (got.status, got.met) == (Status.PASSED, 2)
    assert got.reason == f"set aside in 1 of 2 runs, known upstream: race:new_reference (upstream knows: {ISSUE})"


def test_what_was_set_aside_is_kept_and_is_not_what_the_run_showed():
    got = verdict(SAFE_TWIN, MET_IT)
    (seen,) = got.observations
    assert (seen.findings, seen.known, seen.exit_code) == ((), (ASIDE,), 66)
    assert cell_of(got, {}).seen is Seen.CLEAN


def test_where_nothing_is_known_it_fails():
    assert verdict(SAFE_TWIN, MET_IT, known=()).status is Status.FAILED


def test_another_race_next_to_it_fails_and_is_the_one_that_is_reported():
    got = verdict(SAFE_TWIN, replace(MET_IT, findings=(KNOWN_RACE, finding())))
    assert got.status is Status.FAILED
    assert "saw 1: a data race (read, write) on python_tsan::g_racy_counter" in got.reason


@pytest.mark.parametrize(("expectation", "observation"), [(RACY_TWIN, RACY), (DEADLOCK, LOST)])
def test_it_takes_nothing_from_what_is_expected(expectation, observation):
    beside = replace(observation, findings=(KNOWN_RACE, *observation.findings))
    assert verdict(expectation, beside).status is Status.PASSED
    assert verdict(expectation, MET_IT).status is Status.FAILED


def test_a_check_that_is_there_for_it_sees_it():
    wanted = replace(RACY_TWIN.findings[0], location="type_x", function="new_reference")
    (seen,) = verdict(replace(RACY_TWIN, findings=(wanted,)), MET_IT).observations
    assert (seen.findings, seen.known) == ((KNOWN_RACE,), ())


def test_a_race_that_is_expected_stays_although_another_run_lacks_it():
    # One run shows only the known race: judged with it and without it, the expected one is missing, so nothing is
    # set aside and the reason names what was seen.
    got = verdict(RACY_TWIN, MET_IT)
    assert (got.status, got.observations[0].findings, got.observations[0].known) == (Status.FAILED, (KNOWN_RACE,), ())
    assert "saw a data race (read, write) on python_tsan::type_x" in got.reason


def test_a_failure_of_its_own_is_not_excused():
    assert verdict(SAFE_TWIN, replace(MET_IT, exit_code=1)).reason.startswith("ended with exit 1")
