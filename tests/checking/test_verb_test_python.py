"""The verb test-python: which tests it takes, and what it says of those that it cannot."""

import argparse

import pytest

from python_tsan.checking.model import Lane, Status, Verdict
from python_tsan.checking.own_tests import CLEAN, NOT_REACHED
from python_tsan.cli import test_python as verb
from python_tsan.cli.verification import describe_machine
from python_tsan.errors import ExitCode, UsageError
from python_tsan.render.run import LaneRecord, Provenance


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "Lib" / "test"
    (folder / "libregrtest").mkdir(parents=True)
    (folder / "libregrtest" / "tsan.py").write_text("TSAN_TESTS = ['test_queue', 'test_io']\n")
    for name in ("test_queue", "test_io", "test_threading"):
        (folder / f"{name}.py").touch()
    return tmp_path


def parse(*words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    verb.add_arguments(parser)
    return parser.parse_args(words)


def test_by_default_it_is_upstreams_selection(tree):
    assert verb.choose_tests([], tree, "3.13.5") == ("test_queue", "test_io")


def test_named_tests_are_taken_once_each_in_order(tree):
    assert verb.choose_tests(["test_threading", "test_io", "test_io"], tree, "3.13.5") == ("test_threading", "test_io")


def test_before_3_13_tests_have_to_be_named(tree):
    (tree / "Lib/test/libregrtest/tsan.py").unlink()
    with pytest.raises(UsageError, match=r"CPython 3\.11\.2 has no selection .* came with 3\.13"):
        verb.choose_tests([], tree, "3.11.2")
    assert verb.choose_tests(["test_io"], tree, "3.11.2") == ("test_io",)


def test_an_unknown_test_is_named_with_the_nearest(tree):
    with pytest.raises(UsageError, match=r"no test 'test_threadin'; did you mean 'test_threading'\?"):
        verb.choose_tests(["test_threadin"], tree, "3.13.5")


def test_limits_are_seconds():
    assert parse("--whole", "60", "--each", "2.5").each == 2.5
    for wrong in ("0", "-1", "inf", "nan", "soon"):
        with pytest.raises(argparse.ArgumentError, match="number of seconds above 0"):
            parse("--each", wrong)


def verdict(status):
    return Verdict(
        check=f"cpython/{status.value}",
        lane=Lane.FULL,
        status=status,
        expectation=CLEAN,
        met=0,
        runs=0,
        reason=NOT_REACHED if status is Status.SKIPPED else "",
        seconds=0,
    )


def test_a_run_that_did_not_reach_all_tests_concludes_nothing():
    provenance = Provenance(package="1", command=(), started_at="", machine=describe_machine(()))
    passed, late = verdict(Status.PASSED), verdict(Status.SKIPPED)
    record = LaneRecord(lane=Lane.FULL)
    assert verb.conclude("x", record, provenance, (passed,)).exit_code is ExitCode.CLEAN
    run = verb.conclude("x", record, provenance, (passed, late))
    assert (run.exit_code, run.unfinished) == (ExitCode.SUBJECT, "1 of 2 tests were not reached in time")
