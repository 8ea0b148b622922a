"""Checks of recorded locks: what a recorder shows is judged, what it did not see is a doubt, its canary comes first."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from staged import RACES, scenario

from python_tsan.checking import session
from python_tsan.checking.session import run_checks
from python_tsan.detect import locks
from python_tsan.errors import BuildError
from python_tsan.expectation import Outcome
from python_tsan.harness.cases import CANARY, PROGRAM, read_cases
from python_tsan.result.model import Status
from tests.locks.conftest import compile_cpp, lock_recorder, stock, stock_flags, stocks  # noqa: F401 -- fixtures

SOURCE = Path(__file__).parents[2] / "native" / "deadlocks" / "cases.cpp"
LISTED = (
    "mutex_inverted\tdeadlock\tmutex_released\tBad.\nmutex_released\tnothing\tmutex_inverted\tGood.\n"
    "gate\tnothing\tmutex_inverted\tGood too.\ntwo_mutexes\tdeadlock\tgate\tBad too.\n"
)
CASES = read_cases(LISTED, source=Path("listed"))
PASSED, FAILED, UNKNOWN = Status.PASSED, Status.FAILED, Status.COULD_NOT_JUDGE


@pytest.fixture
def judge(lane_setup, tmp_path, monkeypatch):
    """Return a function that runs the checks of deadlocks; the program of them is ``deadlocks``."""
    folder = tmp_path / "checks"
    folder.mkdir()
    monkeypatch.setattr(session, "checks_folder", lambda: folder)
    for group in ("canary", "deadlocks"):
        mark = f"import pytest\npytestmark = pytest.mark.scenarios('{group}')\n"
        (folder / f"test_{group}.py").write_text(f"{mark}def test_scenario(subject): subject.must_pass()\n")

    def run(program, scenarios=CASES, **settings):
        have = frozenset({"gil", "lock_recorder"})
        setup = lane_setup(*scenarios, **{"available": have, "variables": {"PATH": "/usr/bin:/bin"}} | settings)
        setup.variables["TSAN_OPTIONS"] = "exitcode=66"
        shutil.copy(program, setup.executable.parent / PROGRAM)
        verdicts = {each.check.removeprefix("deadlocks/"): each for each in run_checks(setup)}
        return {name: each for name, each in verdicts.items() if not name.startswith("canary/")}

    return run


@pytest.fixture(scope="module")
def deadlocks(compile_cpp, stock_flags):  # noqa: F811 -- the fixture
    return compile_cpp(SOURCE.read_text(), "-O1", *stock_flags)


@pytest.fixture
def recording(lock_recorder):  # noqa: F811 -- the fixture
    return locks.preload(lock_recorder, "", {})


def statuses(verdicts):
    return {name: each.status for name, each in verdicts.items()}


@pytest.mark.compiler
def test_bad_ones_are_found_and_good_ones_are_quiet_in_one_run_each(judge, deadlocks, recording):
    verdicts = judge(deadlocks, recording=recording)
    assert statuses(verdicts) == dict.fromkeys(("mutex_inverted", "mutex_released", "gate", "two_mutexes"), PASSED)
    assert {each.runs for each in verdicts.values()} == {1}


@pytest.mark.compiler
def test_the_runtime_does_not_report_the_cycles_that_the_recorder_is_to_find(judge, tmp_path):
    program = tmp_path / "reports"
    program.write_text('#!/bin/sh\ncase "$TSAN_OPTIONS" in *detect_deadlocks=0*) exit 3 ;; esac\nexit 4\n')
    program.chmod(0o755)
    verdicts = judge(program)
    assert {each.observations[0].exit_code for each in verdicts.values() if each.observations} == {3}


@pytest.mark.compiler
def test_another_expectation_fails_with_what_was_seen(judge, deadlocks, recording):
    gate, two = CASES[2:]
    changed = (*CASES[:2], replace(gate, expect=two.expect), replace(two, expect=gate.expect))
    verdicts = judge(deadlocks, changed, recording=recording)
    assert statuses(verdicts) == {
        "mutex_inverted": PASSED,
        "mutex_released": PASSED,
        "gate": FAILED,
        "two_mutexes": FAILED,
    }
    assert verdicts["gate"].reason == "expected a possible deadlock, saw none"
    assert "expected no finding, saw 1: a possible deadlock" in verdicts["two_mutexes"].reason


@pytest.mark.compiler
@pytest.mark.parametrize("swapped", [0, 1])
def test_nothing_is_concluded_when_a_canary_of_the_locks_fails(judge, deadlocks, recording, swapped):
    bad, good = CASES[:2]
    pair = (replace(bad, expect=good.expect), good) if swapped else (bad, replace(good, expect=bad.expect))
    verdicts = judge(deadlocks, (*pair, *CASES[2:]), recording=recording)
    failed = CANARY[0 if swapped else 1]
    assert {verdicts[name].status for name in ("gate", "two_mutexes")} == {UNKNOWN}
    assert f"the canary failed: {failed}: " in verdicts["gate"].reason


def test_a_program_of_which_nothing_was_recorded_could_not_be_judged(judge):
    verdicts = judge("/bin/true")
    assert set(statuses(verdicts).values()) == {UNKNOWN}
    assert "No lock, thread or Python was seen" in verdicts["mutex_released"].reason
    assert "the canary failed" in verdicts["gate"].reason


def test_a_gil_that_was_not_recognised_leaves_all_of_them_open(judge, monkeypatch):
    words = "The GIL was not recognised in this Python, so deadlocks with it could not be judged."
    monkeypatch.setattr(locks, "gaps", lambda folders, *, alone: iter([words] if alone and folders else []))
    verdicts = judge("/bin/true")
    assert set(statuses(verdicts).values()) == {UNKNOWN}
    assert words in verdicts["mutex_released"].reason


def test_races_are_judged_although_the_recorder_is_not_trusted(judge, tmp_path):
    (tmp_path / "checks" / "test_gil.py").write_text(
        (tmp_path / "checks" / "test_canary.py").read_text().replace("canary", "gil")
    )
    verdicts = judge("/bin/true", (*CASES, scenario("racy", "gil", RACES)), plays={"racy": {"race": True}})
    assert verdicts["gil/racy"].status is PASSED
    assert verdicts["gate"].status is UNKNOWN


def test_without_a_pair_for_the_locks_nothing_is_concluded(judge):
    verdicts = judge("/bin/true", CASES[1:])
    assert "no canary pair for locks" in verdicts["gate"].reason


def test_without_a_recorder_they_are_skipped(judge):
    verdicts = judge("/bin/true", available=frozenset({"gil"}))
    assert {each.reason for each in verdicts.values()} == {"needs a compiler for the lock recorder"}


def test_the_list_says_what_each_case_must_show():
    assert [each.name for each in CASES[:2]] == list(CANARY)
    assert [each.expect.outcome for each in CASES] == [Outcome.RACE, Outcome.CLEAN, Outcome.CLEAN, Outcome.RACE]
    assert CASES[0].twin == CASES[1].name


@pytest.mark.parametrize(
    "line", ["", "one\tdeadlock\tone\n", "one\tmaybe\tone\tx\n", "one\tdeadlock\ttwo\tx\n"], ids=repr
)
def test_a_list_that_is_not_understood_is_an_error(line):
    with pytest.raises(BuildError, match="The program of deadlocks was built, but its list has"):
        read_cases(line, source=Path("listed"))
