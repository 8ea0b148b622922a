"""CPython's own tests as subjects: what each verdict says, what is known, and what time does not allow."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs
from test_lane import TOOLCHAIN, build

from python_tsan.checking import own_tests
from python_tsan.checking import own_tests as own_tests_module
from python_tsan.checking.own_tests import Limits, run_tests, suite_environment
from python_tsan.cpython.own_tests import SuiteHome
from python_tsan.result.known import KnownFailure, Seen
from python_tsan.result.model import Status
from python_tsan.tsan.options import parse_options
from python_tsan.tsan.suppressions import parse_suppressions

ISSUE = "https://github.com/python/cpython/issues/1"
CASE = "test.test_x.Case.test_it"


def known(**changes):
    given = {"case": CASE, "seen": Seen.ALWAYS} | changes
    return KnownFailure(issue=ISSUE, reason="it races", releases=("3.13",), **given)


@pytest.fixture
def knows(monkeypatch):
    """Replace the table of known failures."""
    return lambda *entries: monkeypatch.setattr(own_tests_module, "known_failures", lambda: entries)


@pytest.fixture
def run(tmp_path, suite_home):
    told = []

    def run(*tests, whole=60.0, each=20.0, jobs=2, interpreter=None, threads=None):
        verdicts = run_tests(
            tests,
            interpreter or build(free_threaded=False),
            suite_home,
            folder=tmp_path / "run",
            environment=suite_environment(suite_home, TOOLCHAIN),
            launcher=(),
            limits=Limits(whole=whole, each=each, jobs=jobs),
            threads=threads,
            on_verdict=told.append,
        )
        assert sorted(one.check for one in told) == sorted(one.check for one in verdicts)
        return verdicts

    return run


def test_each_test_is_a_verdict_of_its_own(run):
    good, race, bad = run("test_good", "test_race", "test_bad")
    assert [one.check for one in (good, race, bad)] == ["cpython/test_good", "cpython/test_race", "cpython/test_bad"]
    assert [one.status for one in (good, race, bad)] == [Status.PASSED, Status.FAILED, Status.FAILED]
    assert "a data race" in race.reason
    assert bad.reason == f"not known upstream: {CASE} failed"


def test_a_test_that_does_not_end_fails_with_its_stacks(run):
    (hang,) = run("test_hang", each=1.0)
    assert hang.status is Status.FAILED
    assert "still running at its deadline" in hang.reason


def test_what_is_not_reached_in_time_is_skipped_aloud(run):
    first, *others = run("test_hang", "test_good", "test_later", whole=1.0, jobs=1)
    assert (first.status, first.reason) == (Status.SKIPPED, own_tests.CUT_SHORT), "it did not have the time of its own"
    assert others[-1].status is Status.SKIPPED
    assert "was over" in others[-1].reason


def test_a_test_that_skips_all_that_is_in_it_has_not_passed(run):
    none, mute = run("test_none", "test_mute")
    assert (none.status, none.reason) == (Status.SKIPPED, "it skipped all that is in it: requires test modules")
    assert (mute.status, mute.reason) == (Status.COULD_NOT_JUDGE, "it did not say what it ran")


def test_what_is_left_out_is_left_out_by_name_and_reported(run, knows, tmp_path):
    knows(known(test="test_good", seen=Seen.LEFT_OUT))
    (verdict,) = run("test_good")
    assert verdict.status is Status.PASSED
    assert verdict.reason == f"left out {CASE}: it races ({ISSUE})"
    assert f"--ignore {CASE}" in (tmp_path / "run" / "test_good" / "argv").read_text()


def test_a_known_case_that_fails_is_no_failure_and_is_reported(run, knows, tmp_path):
    knows(known(test="test_bad"))
    (verdict,) = run("test_bad")
    assert (verdict.status, verdict.met) == (Status.PASSED, 1)
    assert verdict.reason == f"known upstream: {CASE}: it races ({ISSUE})"
    assert "--ignore" not in (tmp_path / "run" / "test_bad" / "argv").read_text()


@pytest.mark.parametrize("race", ["race_top:increment_unguarded", "race:increment_*"])
def test_a_known_race_is_no_failure_and_is_reported(run, knows, race):
    knows(known(test="test_race", case="", race=race, seen=Seen.SOMETIMES))
    (verdict,) = run("test_race")
    assert (verdict.status, verdict.reason) == (Status.PASSED, f"known upstream: {race}: it races ({ISSUE})")


def test_what_is_not_known_fails_next_to_what_is(run, knows):
    knows(known(test="test_two"))
    (verdict,) = run("test_two")
    assert verdict.status is Status.FAILED
    assert verdict.reason.startswith("not known upstream: test.test_x.Case.test_other failed; known upstream: ")


def test_what_always_fails_and_no_longer_does_is_a_failure(run, knows):
    knows(known(test="test_good"), known(test="test_race"))
    good, race = run("test_good", "test_race")
    assert (good.status, good.met) == (Status.FAILED, 0)
    assert good.reason == f"no longer fails, so take it out of own_tests.toml: {CASE}: it races ({ISSUE})"
    assert race.reason.startswith("not known upstream: a data race")


def test_what_chance_decides_may_stay_away(run, knows):
    knows(known(test="test_good", seen=Seen.SOMETIMES))
    (verdict,) = run("test_good")
    assert (verdict.status, verdict.reason) == (Status.PASSED, "")


def test_a_test_that_did_not_end_is_not_excused(run, knows):
    knows(known(test="test_hang"))
    (verdict,) = run("test_hang", each=1.0)
    assert (verdict.status, "still running" in verdict.reason) == (Status.FAILED, True)


def test_an_exit_code_that_no_case_explains_is_not_excused(run, knows):
    knows(known(test="test_odd", seen=Seen.SOMETIMES))
    (verdict,) = run("test_odd")
    assert (verdict.status, verdict.reason.startswith("ended with exit 3")) == (Status.FAILED, True)


def test_a_known_race_does_not_excuse_a_code_that_no_case_explains(run, knows):
    knows(known(test="test_race_odd", case="", race="race_top:increment_unguarded"))
    (verdict,) = run("test_race_odd")
    assert verdict.status is Status.FAILED


FAILING = """
import sys, unittest
class Case(unittest.TestCase):
    def test_fine(self): pass
    def test_bad(self): self.fail()
    def test_error(self): raise ValueError
    def test_sub(self):
        for number in range(3):
            with self.subTest(number=number): self.assertNotEqual(number, 1)
    @unittest.expectedFailure
    def test_surprise(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail()
"""
MAIN = """
import sys, unittest
def main():
    unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromName("cases"))
    sys.exit(2)
"""


def test_every_kind_of_failure_is_noted_by_name_subtests_too(tmp_path):
    package = tmp_path / "test" / "libregrtest"
    package.mkdir(parents=True)
    for file in (tmp_path / "test" / "__init__.py", package / "__init__.py"):
        file.touch()
    (package / "main.py").write_text(MAIN)
    (tmp_path / "cases.py").write_text(FAILING)
    command = [sys.executable, "-c", own_tests.PROGRAM, str(tmp_path / "failed.txt"), "more"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    assert done.returncode == 1
    names = [f"cases.Case.test_{name}" for name in ("bad", "error", "sub", "surprise")]
    assert sorted(own_tests.failed_cases(tmp_path / "failed.txt")) == names
    assert own_tests.failed_cases(tmp_path / "none.txt") == ()


def test_another_tests_or_versions_failure_does_not_count_here(run, knows):
    knows(known(test="test_other"), known(test="test_bad"))
    (verdict,) = run("test_bad", interpreter=build(free_threaded=False, version="3.14.1"))
    assert verdict.reason == f"not known upstream: {CASE} failed"


def test_in_several_threads(run, tmp_path):
    run("test_good", threads=4)
    assert "--parallel-threads 4" in (tmp_path / "run" / "test_good" / "argv").read_text()


@pytest.mark.parametrize(
    ("version", "free_threaded", "kind", "releases", "concerned"),
    [
        ("3.13.5", False, None, ("3.13",), True),
        ("3.13.5", False, None, ("3.13.5",), True),
        ("3.13.15", False, None, ("3.13.5",), False),
        ("3.14.1", False, None, ("3.13",), False),
        ("3.13.5", True, True, ("3.13",), True),
        ("3.13.5", False, True, ("3.13",), False),
    ],
)
def test_known_is_what_this_version_and_kind_of_build_is_known_of(version, free_threaded, kind, releases, concerned):
    entry = structs.replace(known(test="t", free_threaded=kind), releases=releases)
    assert entry.concerns(version, free_threaded=free_threaded) is concerned


def test_every_known_failure_has_its_issue_and_one_way_to_be_reported():
    for entry in own_tests_module.known_failures():
        upstream = re.fullmatch(r"https://github\.com/python/cpython/(issues|pull)/\d+", entry.issue)
        ours = entry.seen is Seen.LEFT_OUT and (Path(__file__).parents[2] / entry.issue).is_file()
        assert upstream or ours
        assert bool(entry.case) is not bool(entry.race)
        assert entry.reason
        assert not parse_suppressions(entry.race).refused
        assert entry.seen is not Seen.LEFT_OUT or entry.case


def test_the_environment_suppresses_what_upstream_does():
    home = SuiteHome(python=Path("/p"), suppressions=Path("/a b/s.txt"))
    environment = suite_environment(home, TOOLCHAIN)
    assert parse_options(environment.tsan_options).values["suppressions"] == "/a b/s.txt"
    assert "handle_segv=0" in environment.tsan_options
    assert "PYTHONPYCACHEPREFIX" not in environment.variables
    assert "PYTHONHOME" not in environment.variables
