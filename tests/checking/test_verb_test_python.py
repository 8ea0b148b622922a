"""The verb test-python: which tests it takes, and what it says of those that it cannot."""

import argparse
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_lane import TOOLCHAIN, build

from python_tsan.checking.own_tests import INTERRUPTED
from python_tsan.cli import test_python as verb
from python_tsan.cli.main import main
from python_tsan.cpython.manifest import SourceRecord
from python_tsan.cpython.own_tests import Selection
from python_tsan.cpython.sources.provider import SourceTree
from python_tsan.errors import ExitCode, UsageError
from python_tsan.result.codec import load_result
from python_tsan.result.model import Status

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


def test_before_3_12_3_tests_have_to_be_named(tree):
    (tree / "Lib/test/libregrtest/tsan.py").unlink()
    with pytest.raises(UsageError, match=r"CPython 3\.11\.2 has no `-m test --tsan`; it is new in 3\.12\.3"):
        choose([], tree, "3.11.2")
    assert choose(["test_io"], tree, "3.11.2") == ("test_io",)


def test_the_parallel_selection_is_another(tree):
    assert choose([], tree, selection=Selection.PARALLEL) == ("test_abc",)
    assert choose(["test_io"], tree, selection=Selection.PARALLEL) == ("test_io",)


@pytest.mark.parametrize("named", [[], ["test_io"]])
def test_before_3_14_nothing_runs_in_parallel(tree, named):
    (tree / "Lib/test/libregrtest/tsan.py").write_text("TSAN_TESTS = ['test_queue']\n")
    with pytest.raises(UsageError, match=r"CPython 3\.13\.5 has no `-m test --tsan-parallel`; it is new in 3\.14"):
        choose(named, tree, "3.13.5", Selection.PARALLEL)


def test_an_unknown_test_is_named_with_the_nearest(tree):
    with pytest.raises(UsageError, match=r"no test 'test_threadin'$") as caught:
        choose(["test_threadin"], tree)
    assert caught.value.advice == "did you mean test_threading?"


def test_limits_are_seconds():
    assert parse("--session-timeout", "60", "--timeout", "2.5").timeout == 2.5
    for wrong in ("0", "-1", "inf", "nan", "soon"):
        with pytest.raises(argparse.ArgumentError, match="must be a positive number of seconds"):
            parse("--timeout", wrong)


def test_threads_are_two_or_more():
    assert parse("--parallel", "4").parallel == 4
    for wrong in ("1", "0", "-2", "many", "1000001", "9" * 5000):
        with pytest.raises(argparse.ArgumentError, match="must be an integer from 2 to 1000000"):
            parse("--parallel", wrong)


class FakePipeline:
    interpreter = build(free_threaded=False)
    toolchain = TOOLCHAIN


@pytest.fixture
def test_python(tree, tmp_path, monkeypatch, suite_home):
    """Return a function that runs the verb as typed, over a Python that plays the tests."""
    lines = "TSAN_TESTS = ['test_queue', 'test_hang', 'test_io']"
    (tree / "Lib/test/libregrtest/tsan.py").write_text(lines)
    (tree / "Lib/test/test_hang.py").touch()
    record = SourceRecord(version="3.14.4", origin="archive", sha256="93")
    monkeypatch.setattr(verb, "obtain_source", lambda *_, **__: SourceTree(path=tree, record=record))
    monkeypatch.setattr("python_tsan.pipeline.Pipeline", lambda **_: FakePipeline())
    monkeypatch.setattr(verb, "prepare_tests", lambda *_, **__: suite_home)
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return lambda *words: main(["test-python", *words])


def judged(run):
    return {one.check.removeprefix("cpython/"): (one.status, one.reason) for one in run.verdicts}


def test_an_interrupt_loses_no_verdict_and_the_rest_can_be_run(test_python, tmp_path, capsys, signal_once):
    tests = tmp_path.glob
    signal_once(lambda: any(tests("runs/*/cpython/test_hang/logs")))
    began = time.monotonic()
    assert test_python("--jobs", "1") == 130
    assert time.monotonic() - began < 15, "the test that hangs was ended"
    cut = load_result(tmp_path / "runs" / "latest")
    late = (Status.SKIPPED, INTERRUPTED)
    assert judged(cut) == {"test_queue": (Status.PASSED, ""), "test_hang": late, "test_io": late}
    assert (cut.unfinished, cut.exit_code) == ("interrupted", ExitCode.SUBJECT)
    said = capsys.readouterr()
    folder = tmp_path / "runs" / cut.id
    assert "  cpython/test_queue\n" in said.out, "the table"
    assert said.err.endswith(
        "python-tsan: interrupted: 1 of 3 tests finished\n"
        f"  evidence:   {folder}\n  to go on:   the same command with --resume {folder}\n"
    )
    assert test_python("--resume", str(folder), "--timeout", "1") == 1
    whole = load_result(tmp_path / "runs" / "latest")
    assert judged(whole)["test_queue"] == (Status.PASSED, "")
    assert [status for status, _ in judged(whole).values()] == [Status.PASSED, Status.FAILED, Status.PASSED]
    assert not (tmp_path / "runs" / whole.id / "cpython" / "test_queue").exists(), "it was not run again"
    assert f"from run {cut.id}: 1 verdict" in whole.provenance.notes
    assert not whole.unfinished


def test_what_another_interpreter_showed_is_not_taken_over(test_python, tmp_path, monkeypatch, capsys):
    assert test_python("test_queue") == 0
    other = replace(FakePipeline.interpreter, key="another")
    monkeypatch.setattr(FakePipeline, "interpreter", other)
    assert test_python("test_queue", "--resume", str(tmp_path / "runs" / "latest")) == 2
    assert "used another interpreter" in capsys.readouterr().err


def test_a_run_that_did_not_reach_all_tests_concludes_nothing(test_python, tmp_path):
    assert test_python("--jobs", "1", "--session-timeout", "2") == 6
    run = load_result(tmp_path / "runs" / "latest")
    assert (run.exit_code, run.unfinished) == (ExitCode.SUBJECT, "no time left for 2 of 3 tests")


def test_the_time_of_a_run_is_that_of_its_tests_alone(test_python, tmp_path, monkeypatch, suite_home):
    passed = [0.0]

    def prepare(*_, **__):
        passed[0] = 1e6
        return suite_home

    monkeypatch.setattr(verb, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0]))
    monkeypatch.setattr(verb, "prepare_tests", prepare)
    assert test_python("test_queue") == 0
    assert load_result(tmp_path / "runs" / "latest").seconds < passed[0]
