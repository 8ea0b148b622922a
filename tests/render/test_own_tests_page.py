"""The page on CPython's own tests: the newest verdict of each test and build, and its remarks."""

import runs
from msgspec import structs

from python_tsan.checking.own_tests import NOT_REACHED
from python_tsan.expectation import Lane
from python_tsan.result.codec import encode_result
from python_tsan.result.model import LaneRecord, Status
from tools.own_tests_page import main, render_own_tests


def verdict(test, status=Status.PASSED, reason="", times=1):
    return runs.verdict(f"cpython/{test}", status, met=int(status is Status.PASSED), runs=times, reason=reason)


def run_of(name, *verdicts, free_threaded=False):
    lane = LaneRecord(lane=Lane.FULL, interpreter=runs.interpreter(free_threaded=free_threaded))
    return structs.replace(runs.run(*verdicts, lanes=(lane,)), id=name)


def lines_of(*made):
    return render_own_tests(made).splitlines()


def test_a_row_for_each_test_and_a_column_for_each_build():
    gil = run_of("1", verdict("test_io"), verdict("test_queue", reason="known upstream: x: it races (https://i)"))
    free = run_of("2", verdict("test_io", Status.FAILED, "not known upstream: a data race"), free_threaded=True)
    lines = lines_of(gil, free)
    assert "| test | 3.13.5 free-threaded, clang-19, debug | 3.13.5, clang-19, debug |" in lines
    assert r"| test\_io | **failed**, 1 s | passed, 1 s |" in lines
    assert r"| test\_queue | not run | passed, see below, 1 s |" in lines
    assert "- 3.13.5, clang-19, debug: 2 of 2 tests passed, 1 of them for the reasons below; 2 s in all." in lines
    assert "- 3.13.5 free-threaded, clang-19, debug: 0 of 1 test passed, 1 failed; 1 s in all." in lines
    assert r"- **test\_io**: not known upstream: a data race" in lines


def test_the_newest_verdict_counts_for_every_order():
    old, new = run_of("1", verdict("test_io", Status.FAILED, "exit 1")), run_of("2", verdict("test_io"))
    assert lines_of(old, new) == lines_of(new, old)
    assert r"| test\_io | passed, 1 s |" in lines_of(new, old)


def test_what_was_not_reached_takes_nothing_away():
    late = run_of("2", verdict("test_io", Status.SKIPPED, NOT_REACHED, times=0))
    assert r"| test\_io | passed, 1 s |" in lines_of(run_of("1", verdict("test_io")), late)


def test_runs_of_other_checks_are_no_part_of_it():
    other = run_of("2", runs.verdict("gil/x"), free_threaded=True)
    assert lines_of(run_of("1", verdict("test_io")), other) == lines_of(run_of("1", verdict("test_io")))


def test_the_tool_writes_it_and_names_what_cannot_be_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, data in {"1": encode_result(run_of("1", verdict("test_io"))), "2": b"[]"}.items():
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_bytes(data)
    assert main(["runs", "--output", "page.md"]) == 6
    assert r"| test\_io | passed, 1 s |" in (tmp_path / "page.md").read_text().splitlines()
    said = capsys.readouterr()
    assert "page.md: from 1 run\n" in said.out
    assert "runs/2/run.json" in said.err
    (tmp_path / "runs/2/run.json").unlink()
    assert main(["runs", "--output", "page.md"]) == 0
    assert main(["runs", "--output", "nowhere/page.md"]) == 2
    assert main(["nothing", "--output", "page.md"]) == 2
