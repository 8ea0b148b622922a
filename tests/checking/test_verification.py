"""A whole run without a compiler: a pipeline that hands out the canned harness, and everything after it for real."""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from staged import CANARY, RACES, scenario

from python_tsan.binding import DEFAULT
from python_tsan.cli import failures, verify
from python_tsan.cpython.manifest import Interpreter, SourceRecord
from python_tsan.errors import BuildError, ExitCode, UsageError
from python_tsan.expectation import Lane, Outcome
from python_tsan.harness.build import Harness
from python_tsan.paths import checks_folder
from python_tsan.result.codec import load_result
from python_tsan.result.model import Status
from python_tsan.toolchain.model import Candidate, Family, Toolchain

COMPILER = Path("/usr/bin/clang")
TOOLCHAIN = Toolchain(
    candidate=Candidate(family=Family.CLANG, cc=COMPILER, cxx=COMPILER, version="19.1.7", target="x86_64-linux-gnu"),
    runtime=Path("/rt.a"),
    runtime_id="7a",
    symbolizer=Path("/usr/bin/llvm-symbolizer"),
    linker=None,
)
RACY = (scenario("counter_unguarded", "gil", RACES), scenario("counter_guarded", "gil"))


def interpreter(prefix, *, instrumented):
    source = SourceRecord(version="3.13.5", origin="archive", sha256="93", replaces="3.12.11")
    return Interpreter(
        key="k",
        instrumented=instrumented,
        version="3.13.5",
        free_threaded=False,
        debug=instrumented,
        prefix=prefix,
        executable=prefix / "bin/python3",
        library=prefix / "lib/libpython3.13.so",
        include=prefix / "include",
        cc=COMPILER,
        cxx=COMPILER,
        toolchain="clang-19",
        runtime=None,
        runtime_id="7a",
        source=source if instrumented else None,
    )


class FakePipeline:
    """What the verbs read of a pipeline, made from a setup's canned program."""

    def __init__(self, setup, prefix):
        self.toolchain = TOOLCHAIN
        built, stock = (interpreter(prefix, instrumented=which) for which in (True, False))
        self.interpreter_with_numpy = built
        self.harness = Harness(
            key="h", executable=setup.executable, scenarios=setup.scenarios, interpreter=built, binding=DEFAULT
        )
        self.stock_harness = replace(self.harness, interpreter=stock)


@pytest.fixture
def run_verb(lane_setup, tmp_path, monkeypatch):
    """Return a function that runs a verb with words from the command line over a canned harness."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("TSAN_OPTIONS", "")
    monkeypatch.chdir(tmp_path)
    # Scenarios of this test are of the group "gil" alone; the real checks of that file look at a real log.
    gil = tmp_path / "checks"
    gil.mkdir()
    for name, group in (("canary", "canary"), ("gil", "gil")):
        mark = f"import pytest\npytestmark = pytest.mark.scenarios('{group}')\n"
        (gil / f"test_{name}.py").write_text(f"{mark}def test_scenario(subject): subject.must_pass()\n")
    monkeypatch.setattr("python_tsan.checking.session.checks_folder", lambda: gil)

    def run(*words, verb="verify", scenarios=RACY, plays=None, change=None):
        setup = lane_setup(*scenarios, plays={"counter_unguarded": {"race": True}} | (plays or {}), canary=CANARY)
        pipeline = FakePipeline(setup, tmp_path / "python")
        if change:
            change(pipeline)
        monkeypatch.setattr("python_tsan.pipeline.Pipeline", lambda **_: pipeline)
        parser = argparse.ArgumentParser()
        verify.add_arguments(parser)
        parser.set_defaults(verb=verb)
        return verify.run(parser.parse_args(["--output", str(tmp_path / "runs"), *words]))

    return run


def saved(tmp_path):
    return load_result(tmp_path / "runs" / "latest")


def test_both_lanes_fast_first(run_verb, tmp_path, capsys):
    assert run_verb() is ExitCode.CLEAN
    run = saved(tmp_path)
    assert [record.lane for record in run.lanes] == [Lane.FAST, Lane.FULL]
    assert len(run.of(Lane.FAST)) == len(run.of(Lane.FULL)) == 4
    out = capsys.readouterr().out
    assert out.index("fast lane") < out.index("full lane") < out.index("clean: 8 checks as expected")
    assert "cannot see: accesses inside libpython and numpy" in " ".join(out.split())
    assert "CPython 3.12.11 is unavailable; using 3.13.5" in out


def test_the_run_says_where_it_comes_from(run_verb, tmp_path):
    run_verb("--lane", "full")
    provenance = saved(tmp_path).provenance
    assert provenance.replaces == "3.12.11"
    run_verb("--lane", "full", "--python", "3.13.5")
    assert not saved(tmp_path).provenance.replaces
    assert provenance.lock_file == "numpy-cp313.txt"
    assert len(provenance.lock_sha256) == 64
    assert provenance.machine.kernel
    assert provenance.machine.cores >= 1
    (record,) = saved(tmp_path).lanes
    assert "halt_on_error=0" in record.tsan_options
    assert "external_symbolizer_path=/usr/bin/llvm-symbolizer" in record.tsan_options
    plain = json.loads((tmp_path / "runs" / "latest" / "run.json").read_text())
    assert len(plain["verdicts"]) == 4


def test_a_check_that_is_not_met_is_exit_1(run_verb, tmp_path):
    assert run_verb("--lane", "fast", plays={"counter_guarded": {"race": True}}) is ExitCode.FINDINGS
    (failed,) = [one for one in saved(tmp_path).verdicts if one.status is Status.FAILED]
    assert failed.check == "gil/counter_guarded"


def test_a_canary_that_fails_is_exit_6(run_verb, tmp_path):
    assert run_verb("--lane", "fast", plays={"canary_race": {}}) is ExitCode.SUBJECT
    assert {one.status for one in saved(tmp_path).verdicts if one.check.startswith("gil/")} == {Status.COULD_NOT_JUDGE}


def test_without_a_stock_python_the_fast_lane_is_skipped_aloud(run_verb, tmp_path, capsys):
    assert run_verb(change=lambda pipeline: setattr(pipeline, "stock_harness", None)) is ExitCode.CLEAN
    assert saved(tmp_path).lanes[0].skipped == verify.NO_STOCK
    assert "fast lane: skipped, no shared libpython" in capsys.readouterr().out


def test_the_fast_lane_alone_without_a_stock_python_judges_nothing(run_verb):
    assert run_verb("--lane", "fast", change=lambda one: setattr(one, "stock_harness", None)) is ExitCode.SUBJECT


def test_a_free_threaded_build_is_judged_in_the_full_lane_alone(run_verb, tmp_path, capsys):
    words = ("--python", "3.13.5", "--free-threaded")
    assert run_verb(*words) is ExitCode.CLEAN
    run = saved(tmp_path)
    assert run.lanes[0].skipped == verify.NO_FREE_THREADING
    assert not run.of(Lane.FAST)
    assert len(run.of(Lane.FULL)) == 4
    assert "fast lane: skipped, a free-threaded build" in capsys.readouterr().out
    assert run_verb("--lane", "fast", *words) is ExitCode.SUBJECT


def test_a_lane_that_cannot_be_built_leaves_what_was_judged(run_verb, tmp_path, capsys):
    class Broken(FakePipeline):
        @property
        def interpreter_with_numpy(self):
            raise BuildError("configure failed")

        @interpreter_with_numpy.setter
        def interpreter_with_numpy(self, _):
            pass

    with pytest.raises(BuildError):
        run_verb(change=lambda pipeline: setattr(pipeline, "__class__", Broken))
    run = saved(tmp_path)
    assert len(run.of(Lane.FAST)) == 4
    assert run.lanes[1].skipped == "configure failed"
    assert (run.unfinished, run.exit_code) == ("configure failed", ExitCode.SUBJECT)
    assert "clean:" not in capsys.readouterr().out


def test_an_interrupted_run_is_kept_and_not_called_clean(run_verb, tmp_path, capsys, monkeypatch, signal_once):
    told = []
    real = verify._Verification._on_verdict
    monkeypatch.setattr(verify._Verification, "_on_verdict", lambda *given: told.append(real(*given)))
    signal_once(lambda: len(told) == 3)
    began = time.monotonic()
    plays = {"counter_guarded": {}, "counter_unguarded": {"sleep": 60}}
    scenarios = tuple(reversed(RACY))
    assert failures.as_exit_code(lambda: run_verb("--lane", "full", scenarios=scenarios, plays=plays)) == 130
    assert time.monotonic() - began < 20
    run = saved(tmp_path)
    assert run.unfinished == "interrupted"
    assert [one.check for one in run.verdicts] == ["canary/race", "canary/safe", "gil/counter_guarded"]
    assert run.lanes[0].seconds > 0
    said = capsys.readouterr()
    assert "  gil/counter_guarded\n" in said.out, "the table"
    assert "unfinished after 3 checks, so nothing is concluded: interrupted" in said.out
    assert "interrupted: 3 checks judged" in said.err
    assert str(tmp_path / "runs" / run.id) in said.err


def test_the_users_tsan_options_are_reported_once(run_verb, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TSAN_OPTIONS", "history_size=3")
    run_verb()
    assert capsys.readouterr().err.count("history_size=3 is yours") == 1
    assert len(saved(tmp_path).provenance.notes) == 1


def test_a_job_summary_is_added_to(run_verb, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    run_verb("--lane", "fast")
    assert summary.read_text().startswith("before\n### python-tsan: clean: 4 checks as expected")


def test_repeat_and_keyword(run_verb, tmp_path):
    run_verb("--lane", "fast", "-k", "counter_guarded", "--repeat", "2")
    run = saved(tmp_path)
    assert {one.check: one.runs for one in run.verdicts} == {
        "canary/race": 2,
        "canary/safe": 2,
        "gil/counter_guarded": 2,
    }


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_repeat_is_a_positive_integer(run_verb, count):
    with pytest.raises(SystemExit):
        run_verb("--repeat", count)


def test_a_keyword_that_matches_nothing(run_verb):
    with pytest.raises(UsageError, match="no check matches"):
        run_verb("--lane", "fast", "-k", "nothing")


def test_each_file_of_checks_belongs_to_one_verb():
    gil, imports = verify.files_of("check-gil"), verify.files_of("check-imports")
    every = {path.name for path in checks_folder().glob("test_*.py")}
    assert not set(gil) & set(imports)
    assert {*gil, *imports, "test_canary.py"} == every
    assert "test_canary.py" not in gil
    assert {"test_gil.py", "test_locks.py"} <= set(gil)
    assert verify.files_of("verify") == ()


def test_another_verb_runs_its_files_only(run_verb, tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "files_of", {"check-gil": ("test_gil.py",)}.get)
    assert run_verb("--lane", "fast", verb="check-gil") is ExitCode.CLEAN
    assert {one.check.partition("/")[0] for one in saved(tmp_path).verdicts} == {"canary", "gil"}


def test_a_scenario_for_another_outcome_is_not_repeated_like_a_race(run_verb, tmp_path):
    run_verb("--lane", "fast")
    runs = {one.expectation.outcome: one.runs for one in saved(tmp_path).verdicts}
    assert runs == {Outcome.RACE: 3, Outcome.CLEAN: 1}
