"""The verb test-python: which tests it takes, and what it says of those that it cannot."""

import argparse

import pytest

from python_tsan.checking.model import Status, Verdict
from python_tsan.checking.own_tests import CLEAN, NOT_REACHED
from python_tsan.cli import test_python as verb
from python_tsan.cli.verification import describe_machine
from python_tsan.cpython.own_tests import Selection
from python_tsan.errors import ExitCode, UsageError
from python_tsan.expectation import Lane
from python_tsan.render.run import LaneRecord, Provenance

TESTS = """
TSAN_TESTS = ['test_queue', 'test_io']
TSAN_PARALLEL_TESTS = ['test_abc']
"""


def choose(named, tree, version="3.14.4", selection=Selection.THREADED):
    return verb.choose_tests(named, tree, version, selection)


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "Lib" / "test"
    (folder / "libregrtest").mkdir(parents=True)
    (folder / "libregrtest" / "tsan.py").write_text(TESTS)
    for name in ("test_queue", "test_io", "test_threading", "test_abc"):
        (folder / f"{name}.py").touch()
    return tmp_path


def parse(*words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    verb.add_arguments(parser)
    return parser.parse_args(words)


def test_by_default_it_is_upstreams_selection(tree):
    assert choose([], tree) == ("test_queue", "test_io")


def test_named_tests_are_taken_once_each_in_order(tree):
    assert choose(["test_threading", "test_io", "test_io"], tree) == ("test_threading", "test_io")


def test_before_3_13_tests_have_to_be_named(tree):
    (tree / "Lib/test/libregrtest/tsan.py").unlink()
    with pytest.raises(UsageError, match=r"CPython 3\.11\.2 has no `-m test --tsan`: it came with 3\.13"):
        choose([], tree, "3.11.2")
    assert choose(["test_io"], tree, "3.11.2") == ("test_io",)


def test_the_parallel_selection_is_another(tree):
    assert choose([], tree, selection=Selection.PARALLEL) == ("test_abc",)
    assert choose(["test_io"], tree, selection=Selection.PARALLEL) == ("test_io",)


@pytest.mark.parametrize("named", [[], ["test_io"]])
def test_before_3_14_nothing_runs_in_parallel(tree, named):
    (tree / "Lib/test/libregrtest/tsan.py").write_text("TSAN_TESTS = ['test_queue']\n")
    with pytest.raises(UsageError, match=r"CPython 3\.13\.5 has no `-m test --tsan-parallel`: it came with 3\.14"):
        choose(named, tree, "3.13.5", Selection.PARALLEL)


def test_shards_are_all_of_it_and_no_test_twice():
    tests = tuple("abcdefg")
    parts = [verb.part_of(tests, f"{index}/3") for index in (1, 2, 3)]
    assert parts == [("a", "d", "g"), ("b", "e"), ("c", "f")]
    assert verb.part_of(tests, None) == tests


@pytest.mark.parametrize(("shard", "said"), [("8/8", "only 7 tests"), ("0/2", "names no part"), ("x", "names no part")])
def test_a_shard_of_nothing_is_refused(shard, said):
    with pytest.raises(UsageError, match=said):
        verb.part_of(tuple("abcdefg"), shard)


def test_an_unknown_test_is_named_with_the_nearest(tree):
    with pytest.raises(UsageError, match=r"no test 'test_threadin'; did you mean 'test_threading'\?"):
        choose(["test_threadin"], tree)


def test_limits_are_seconds():
    assert parse("--whole", "60", "--each", "2.5").each == 2.5
    for wrong in ("0", "-1", "inf", "nan", "soon"):
        with pytest.raises(argparse.ArgumentError, match="number of seconds above 0"):
            parse("--each", wrong)


def test_threads_are_two_or_more():
    assert parse("--parallel", "4").parallel == 4
    for wrong in ("1", "0", "-2", "many"):
        with pytest.raises(argparse.ArgumentError, match="number of threads from 2"):
            parse("--parallel", wrong)


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
    assert (run.exit_code, run.unfinished) == (ExitCode.SUBJECT, "for 1 of 2 tests there was no time")
