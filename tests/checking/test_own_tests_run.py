"""CPython's own tests as subjects: what each verdict says, what is known, and what time does not allow."""

import stat
import sys
from pathlib import Path

import pytest
from observed import race_log
from test_lane import TOOLCHAIN, build

from python_tsan.checking import own_tests
from python_tsan.checking.model import Status
from python_tsan.checking.own_tests import Known, Limits, known_failures, run_tests, suite_environment
from python_tsan.cpython.own_tests import SuiteHome
from python_tsan.tsan.options import parse_options

PYTHON = """#!{python} -IS
import os, pathlib, re, sys, time
log = pathlib.Path(re.search("log_path='(.*?)'", os.environ["TSAN_OPTIONS"])[1] + ".1")
test = sys.argv[-1]
pathlib.Path("argv").write_text(" ".join(sys.argv[3:]))
if test == "test_race":
    log.write_text({race!r})
print(dict(test_none="test_none skipped -- requires test modules\\nTotal tests: run=3 skipped=3", test_mute="").get(
    test, "Total tests: run=1,162 failures=0 skipped=6"))
time.sleep(30 if test == "test_hang" else 0)
sys.exit({{"test_race": 66, "test_bad": 1}}.get(test, 0))
"""
KNOWN = Known(
    test="test_good",
    case="test.test_good.Case.test_it",
    issue="https://github.com/python/cpython/issues/1",
    reason="it races",
    releases=("3.13",),
)


@pytest.fixture
def run(tmp_path):
    python = tmp_path / "python3"
    python.write_text(PYTHON.format(python=sys.executable, race=race_log()))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    home = SuiteHome(python=python, suppressions=tmp_path / "with space.txt")
    told = []

    def run(*tests, whole=60.0, each=20.0, jobs=2, interpreter=None):
        verdicts = run_tests(
            tests,
            interpreter or build(free_threaded=False),
            home,
            folder=tmp_path / "run",
            environment=suite_environment(home, TOOLCHAIN, tmp_path / "bytecode"),
            launcher=(),
            limits=Limits(whole=whole, each=each, jobs=jobs),
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
    assert bad.reason.startswith("exit 1")


def test_a_test_that_does_not_end_fails_with_its_stacks(run):
    (hang,) = run("test_hang", each=1.0)
    assert hang.status is Status.FAILED
    assert "still running at its deadline" in hang.reason


def test_what_is_not_reached_in_time_is_skipped_aloud(run):
    first, *others = run("test_hang", "test_good", "test_later", whole=1.0, jobs=1)
    assert first.status is Status.FAILED
    assert others[-1].status is Status.SKIPPED
    assert "was over" in others[-1].reason


def test_a_test_that_skips_all_that_is_in_it_has_not_passed(run):
    none, mute = run("test_none", "test_mute")
    assert (none.status, none.reason) == (Status.SKIPPED, "it skipped all that is in it: requires test modules")
    assert (mute.status, mute.reason) == (Status.COULD_NOT_JUDGE, "it did not say what it ran")


def test_what_is_known_upstream_is_left_out_by_name_and_said(run, monkeypatch, tmp_path):
    monkeypatch.setattr(own_tests, "known_failures", lambda: (KNOWN,))
    (verdict,) = run("test_good")
    assert verdict.status is Status.PASSED
    assert verdict.reason == f"left out {KNOWN.case}: it races ({KNOWN.issue})"
    assert f"--ignore {KNOWN.case}" in (tmp_path / "run" / "test_good" / "argv").read_text()


@pytest.mark.parametrize(
    ("version", "free_threaded", "kind", "concerned"),
    [
        ("3.13.5", False, None, True),
        ("3.14.1", False, None, False),
        ("3.13.5", True, True, True),
        ("3.13.5", False, True, False),
    ],
)
def test_known_is_what_this_version_and_kind_of_build_is_known_of(version, free_threaded, kind, concerned):
    known = Known(test="t", case="c", issue="i", reason="r", releases=("3.13",), free_threaded=kind)
    assert known.concerns(build(free_threaded=free_threaded, version=version)) is concerned


def test_every_known_failure_has_its_issue():
    for known in known_failures():
        assert known.issue.startswith("https://github.com/python/cpython/issues/")
        assert known.case
        assert known.reason


def test_the_environment_suppresses_what_upstream_does_and_spares_the_source(tmp_path):
    home = SuiteHome(python=Path("/p"), suppressions=Path("/a b/s.txt"))
    environment = suite_environment(home, TOOLCHAIN, tmp_path)
    assert parse_options(environment.tsan_options).values["suppressions"] == "/a b/s.txt"
    assert "handle_segv=0" in environment.tsan_options
    assert environment.variables["PYTHONPYCACHEPREFIX"] == str(tmp_path)
    assert "PYTHONHOME" not in environment.variables
