"""What CPython's own tests are known to fail by upstream's account, and what is left of a verdict without it."""

import pytest
from msgspec.structs import replace
from observed import CLEAN, finding

from python_tsan.result.known import KnownFailure, Seen, less_what_is_known
from python_tsan.result.model import Status, Verdict

CASE = KnownFailure(
    test="test_x",
    issue="https://example.org/1",
    reason="too slow",
    releases=("3.13", "3.14.1"),
    seen=Seen.SOMETIMES,
    case="test.test_x.*.test_slow",
)
RACE = replace(CASE, case="", race="race:bump", reason="racy by design", issue="https://example.org/2")
OTHER_RACE = replace(RACE, race="race:other", issue="https://example.org/3")
ALWAYS = replace(CASE, seen=Seen.ALWAYS)
LEFT_OUT = replace(CASE, seen=Seen.LEFT_OUT)
SLOW = "test.test_x.Slow.test_slow"
CASE_WORDS = "test.test_x.*.test_slow: too slow (https://example.org/1)"
RACE_WORDS = "race:bump: racy by design (https://example.org/2)"
RUN = replace(CLEAN, exit_code=2)
RACY = replace(CLEAN, exit_code=66, findings=(finding(function="bump"),))
PASSED = Verdict(status=Status.PASSED, met=1, runs=1, observations=(CLEAN,))


def failed(observation, reason="ended with exit 2"):
    return Verdict(status=Status.FAILED, reason=reason, met=0, runs=1, observations=(observation,))


def left(verdict, *known, cases=()):
    judged = less_what_is_known(verdict, cases, known)
    return judged.status, judged.met, judged.reason


@pytest.mark.parametrize(
    ("version", "free_threaded", "build", "concerned"),
    [
        ("3.13.5", None, True, True),
        ("3.13.5", None, False, True),
        ("3.14.1", None, False, True),
        ("3.14.2", None, False, False),
        ("3.1.3", None, False, False),
        ("3.13.5", True, True, True),
        ("3.13.5", True, False, False),
        ("3.13.5", False, True, False),
        ("3.14.2", True, True, False),
    ],
)
def test_a_failure_is_known_of_minors_or_versions_and_of_a_kind_of_build(version, free_threaded, build, concerned):
    known = replace(CASE, free_threaded=free_threaded)
    assert known.concerns(version, free_threaded=build) is concerned


def test_a_failure_is_a_case_or_a_race():
    assert (CASE.what, RACE.what) == ("test.test_x.*.test_slow", "race:bump")
    assert CASE.is_case(SLOW)
    assert not CASE.is_case("test.test_x.Slow.test_fast")
    assert not RACE.is_case("")
    assert RACE.is_race(finding(function="bump"))
    assert not RACE.is_race(finding(function="other"))
    assert not CASE.is_race(finding(function="bump"))


def test_a_known_case_alone_passes_and_is_named():
    assert left(failed(RUN), CASE, cases=[SLOW]) == (Status.PASSED, 1, f"known upstream: {CASE_WORDS}")


def test_a_known_race_alone_passes_and_is_named():
    known = left(failed(RACY, "expected no finding"), OTHER_RACE, RACE)
    assert known == (Status.PASSED, 1, f"known upstream: {RACE_WORDS}")


def test_a_known_case_and_a_known_race_are_both_named():
    both = replace(RACY, exit_code=2)
    words = f"known upstream: {CASE_WORDS}; known upstream: {RACE_WORDS}"
    assert left(failed(both), CASE, RACE, cases=[SLOW]) == (Status.PASSED, 1, words)


def test_another_case_fails_and_comes_first():
    new = "test.test_x.Slow.test_new"
    words = f"not known upstream: {new} failed; known upstream: {CASE_WORDS}"
    assert left(failed(RUN), CASE, cases=[SLOW, new]) == (Status.FAILED, 0, words)
    assert left(failed(RUN), CASE, cases=[new]) == (Status.FAILED, 0, f"not known upstream: {new} failed")
    assert left(PASSED, cases=[new]) == (Status.FAILED, 0, f"not known upstream: {new} failed")


def test_another_race_fails_and_is_described():
    status, met, words = left(failed(replace(RACY, findings=(*RACY.findings, finding(function="new")))), RACE)
    described = "a data race (read, write) on python_tsan::g_racy_counter in python_tsan::new"
    assert (status, met) == (Status.FAILED, 0)
    assert words == f"not known upstream: {described}; known upstream: {RACE_WORDS}"


def test_an_exit_code_that_no_case_explains_is_not_excused_by_a_known_race():
    assert left(failed(replace(RACY, exit_code=1), "ended with exit 1"), RACE) == (
        Status.FAILED,
        0,
        f"ended with exit 1; known upstream: {RACE_WORDS}",
    )
    assert left(failed(replace(RACY, exit_code=0), "expected no finding"), RACE)[0] is Status.PASSED


def test_a_failure_of_which_nothing_is_known_keeps_its_reason():
    assert left(failed(RUN)) == (Status.FAILED, 0, "ended with exit 2")
    assert left(failed(RUN), CASE) == (Status.FAILED, 0, "ended with exit 2")
    assert left(failed(replace(CLEAN, exit_code=0), "wrong value"), RACE) == (Status.FAILED, 0, "wrong value")


def test_what_passes_keeps_its_verdict():
    assert left(PASSED) == (Status.PASSED, 1, "")
    assert left(PASSED, CASE, RACE) == (Status.PASSED, 1, "")


def test_a_failure_that_is_known_to_come_always_must_come():
    gone = f"no longer fails, so take it out of own_tests.toml: {CASE_WORDS}"
    assert left(PASSED, ALWAYS) == (Status.FAILED, 0, gone)
    assert left(failed(RUN), ALWAYS, cases=[SLOW]) == (Status.PASSED, 1, f"known upstream: {CASE_WORDS}")
    status, met, words = left(failed(RACY), ALWAYS, RACE)
    assert (status, met) == (Status.FAILED, 0)
    assert words == f"{gone}; known upstream: {RACE_WORDS}"


def test_what_is_left_out_is_named_and_need_not_fail():
    words = f"left out {CASE_WORDS}"
    assert left(PASSED, LEFT_OUT) == (Status.PASSED, 1, words)
    assert left(failed(RUN), LEFT_OUT) == (Status.FAILED, 0, f"ended with exit 2; {words}")
    assert left(failed(RACY), LEFT_OUT, RACE) == (Status.PASSED, 1, f"{words}; known upstream: {RACE_WORDS}")


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(status=Status.COULD_NOT_JUDGE, reason="why", observations=(RACY,)),
        Verdict(status=Status.SKIPPED, reason="why", observations=(RACY,)),
        Verdict(status=Status.FAILED, reason="why"),
        failed(replace(RACY, timed_out=True), "why"),
        failed(replace(RACY, crashes=("SEGV",)), "why"),
        failed(replace(RACY, exit_code=-6), "why"),
    ],
    ids=["doubt", "skipped", "no run", "hung", "crashed", "signal"],
)
def test_a_run_that_did_not_end_is_not_excused(verdict):
    assert left(verdict, RACE, ALWAYS, LEFT_OUT) == (verdict.status, 0, f"why; left out {CASE_WORDS}")
