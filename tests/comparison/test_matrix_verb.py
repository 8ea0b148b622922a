import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from compared import run_of, verdict

from python_tsan.binding import BINDINGS, DEFAULT, parse_binding
from python_tsan.cli import cluster, matrix
from python_tsan.cli.main import main
from python_tsan.comparison.model import Seen
from python_tsan.config import Settings
from python_tsan.console import make_console
from python_tsan.cpython.manifest import SourceRecord
from python_tsan.errors import BuildError, ExitCode, FetchError, UsageError
from python_tsan.matrix import available
from python_tsan.matrix.model import Available, Axes, LeftOut, Plan
from python_tsan.matrix.outcomes import FORMAT, Outcome, Record, exit_code
from python_tsan.matrix.plan import plan_matrix
from python_tsan.paths import Layout
from python_tsan.result.codec import encode_result
from python_tsan.result.model import Status
from python_tsan.result.store import open_run, save_run

HERE = Available(pythons=("3.11.2", "3.13.5"), toolchains=("clang-19",), bindings=(DEFAULT,))


@pytest.fixture
def here(monkeypatch, tmp_path):
    """Make the machine one that has :data:`HERE`, and return what was verified on it, in order."""
    verified = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(matrix, "find_available", lambda *_, **__: HERE)

    def verify(context, request):
        settings = context.settings
        verified.append((settings.python, settings.free_threaded, settings.toolchain, settings.binding))
        if settings.python in verify.broken:
            raise BuildError("make failed")
        seen = Seen.RACE if settings.free_threaded else Seen.CLEAN
        status = Status.FAILED if settings.python in verify.racy else Status.PASSED
        folder = open_run(settings.output)
        made = run_of(
            verdict("gil/counter_guarded", seen, status=status),
            name=folder.id,
            version=settings.python,
            free_threaded=settings.free_threaded,
        )
        save_run(folder, made)
        assert request.lanes == (matrix.Lane.FULL,)
        return made

    verify.broken, verify.racy = set(), set()
    verify.calls = verified
    monkeypatch.setattr(matrix, "verify", verify)
    return verify


def folder_of(tmp_path):
    (made,) = (path for path in (tmp_path / "runs").iterdir() if not path.is_symlink())
    return made


def test_each_combination_is_a_run_and_they_are_compared_at_the_end(here, tmp_path, capsys):
    assert main(["matrix"]) == 0
    assert here.calls == [("3.11.2", False, "clang-19", DEFAULT), ("3.13.5", False, "clang-19", DEFAULT),
                          ("3.13.5", True, "clang-19", DEFAULT)]  # fmt: skip
    said = capsys.readouterr().out
    assert "3.13.5 free-threaded, clang-19, pybind11 2.13.6  clean" in said
    assert "clean -> race in gil/counter_guarded" in said
    made = folder_of(tmp_path)
    assert json.loads((made / "comparison.json").read_text())["differing"] == ["gil/counter_guarded"]
    assert (made / "comparison.html").is_file()
    assert (made / "comparison.md").is_file()
    assert main(["compare", str(made)]) == 0


def test_the_comparison_has_no_path_of_this_machine(here, tmp_path):
    assert main(["matrix"]) == 0
    assert here.calls
    pages = {path.name: path.read_text() for path in folder_of(tmp_path).glob("comparison.*")}
    assert set(pages) == {"comparison.md", "comparison.html", "comparison.json"}
    assert [name for name, text in pages.items() if str(tmp_path) in text] == []
    assert "/run.json" in pages["comparison.html"]


def test_a_format_needs_the_list(here, capsys):
    assert main(["matrix", "--format", "json"]) == 2
    assert "--format needs --list" in capsys.readouterr().err
    assert here.calls == []


def test_one_that_fails_costs_none_of_the_others(here, tmp_path, capsys):
    here.broken.add("3.11.2")
    assert main(["matrix"]) == 5
    said = capsys.readouterr()
    assert len(here.calls) == 3
    assert "3.11.2, clang-19, pybind11 2.13.6                failed: build" in said.out
    assert "make failed" in said.err
    assert len(json.loads((folder_of(tmp_path) / "comparison.json").read_text())["columns"]) == 2


def test_a_finding_outweighs_a_build_that_failed(here, capsys):
    here.broken.add("3.11.2")
    here.racy.add("3.13.5")
    assert main(["matrix"]) == 1
    assert "NOT clean" in capsys.readouterr().out


def test_a_matrix_goes_on_where_it_ended(here, tmp_path, capsys):
    here.broken.add("3.11.2")
    main(["matrix"])
    here.broken.clear()
    here.calls.clear()
    capsys.readouterr()
    assert main(["matrix", "--resume", str(folder_of(tmp_path))]) == 0
    assert here.calls == [("3.11.2", False, "clang-19", DEFAULT)]
    said = capsys.readouterr().out
    assert said.count("already done") == 2
    assert "3 runs" in said


def test_a_matrix_may_be_run_piece_by_piece(here, tmp_path, monkeypatch, capsys):
    here.racy.add("3.11.2")
    assert main(["matrix"]) == 1
    folder, newer = folder_of(tmp_path), replace(HERE, pythons=("3.13.15",))
    here.calls.clear()
    capsys.readouterr()
    monkeypatch.setattr(matrix, "find_available", lambda *_, **__: newer)
    assert main(["matrix", "--resume", str(folder)]) == 1, "what an earlier piece came to counts too"
    assert [call[:2] for call in here.calls] == [("3.13.15", False), ("3.13.15", True)]
    assert "5 runs" in capsys.readouterr().out
    assert len(json.loads((folder / "comparison.json").read_text())["columns"]) == 5


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [(None, 2, "cannot read"), ("[]", 6, "not a matrix.json"), ('{"schema": 9}', 6, "newer than this python-tsan")],
)
def test_what_is_no_matrix_cannot_be_resumed(here, tmp_path, capsys, content, code, words):  # noqa: PLR0917 -- fixtures
    (tmp_path / "x").mkdir()
    if content:
        (tmp_path / "x" / "matrix.json").write_text(content)
    assert main(["matrix", "--resume", str(tmp_path / "x")]) == code
    said = capsys.readouterr().err
    assert words in said
    assert here.calls == []


def test_two_processes_may_continue_one_matrix(here, tmp_path, monkeypatch):
    here.broken.add("3.11.2")
    assert main(["matrix", "--python", "3.13"]) == 5
    folder = folder_of(tmp_path)
    record = json.loads((folder / "matrix.json").read_text())
    other = record["outcomes"].pop()
    (folder / "matrix.json").write_text(json.dumps(record))

    def meanwhile(context, request):
        again = json.loads((folder / "matrix.json").read_text())
        again["outcomes"] = [each for each in again["outcomes"] if each != other] + [other]
        (folder / "matrix.json").write_text(json.dumps(again))
        return here(context, request)

    monkeypatch.setattr(matrix, "verify", meanwhile)
    here.broken.clear()
    here.calls.clear()
    main(["matrix", "--resume", str(folder)])
    assert here.calls == [("3.11.2", False, "clang-19", DEFAULT)], "the other process has done the last one"
    kept = json.loads((folder / "matrix.json").read_text())["outcomes"]
    assert len(kept) == 3
    assert all(each["run"] for each in kept)


def test_an_interrupt_loses_nothing_that_was_done(here, tmp_path, monkeypatch, capsys):
    def interrupted(context, request):
        if context.settings.free_threaded:
            raise KeyboardInterrupt
        return here(context, request)

    monkeypatch.setattr(matrix, "verify", interrupted)
    assert main(["matrix"]) == 130
    folder = folder_of(tmp_path)
    record = json.loads((folder / "matrix.json").read_text())
    assert [each["combination"]["python"] for each in record["outcomes"]] == ["3.11.2", "3.13.5"]
    said = capsys.readouterr()
    assert f"comparison: {folder / 'comparison.html'}" in said.out
    assert said.err.endswith(
        "python-tsan: interrupted: 2 of 3 combinations finished\n"
        f"  evidence:   {folder}\n  to go on:   the same command with --resume {folder}\n"
    )


def test_the_matrix_for_github_is_one_line_that_it_reads(here, capsys):
    assert main(["matrix", "--list", "--format", "json"]) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert json.loads(said)["include"][2] == {
        "name": "3.13.5 free-threaded, clang-19, pybind11 2.13.6",
        "slug": "3.13.5t-clang-19-pybind11-2.13.6",
        "python": "3.13.5",
        "free-threaded": True,
        "toolchain": "clang-19",
        "binding": "pybind11==2.13.6",
    }
    assert here.calls == []


@pytest.mark.usefixtures("here")
def test_the_list_says_what_is_left_out_and_why(capsys):
    assert main(["matrix", "--list", "--threading", "gil"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "3.11.2, clang-19, pybind11 2.13.6",
        "3.13.5, clang-19, pybind11 2.13.6",
        "not run: free-threaded builds (not requested)",
    ]


@pytest.mark.usefixtures("here")
def test_each_of_several_jobs_takes_its_part_of_the_combinations(capsys, monkeypatch):
    words = ["matrix", "--list", "--threading", "gil", "--shard"]
    assert main([*words, "2/2"]) == 0
    assert capsys.readouterr().out.splitlines()[:1] == ["3.13.5, clang-19, pybind11 2.13.6"]
    monkeypatch.setenv("CI_NODE_INDEX", "1")
    monkeypatch.setenv("CI_NODE_TOTAL", "2")
    assert main([*words, "auto"]) == 0
    assert capsys.readouterr().out.splitlines()[:1] == ["3.11.2, clang-19, pybind11 2.13.6"]
    assert main([*words, "3/3"]) == 2
    assert "there are only 2 combinations" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "words",
    [["--python", "4.1"], ["--python", "3.13,nonsense"], ["--threading", "maybe"], ["--binding", "nanobind,boost"]],
)
def test_an_invalid_axis_is_a_usage_error(words, capsys):
    assert main(["matrix", "--list", *words]) == 2
    assert words[1].split(",")[-1] in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_nothing_to_run_is_one_clear_error(monkeypatch, capsys):
    nothing = Available(
        pythons=(), toolchains=("clang-19",), bindings=(), missing=(LeftOut(what="CPython 3.12", reason="unreachable"),)
    )
    monkeypatch.setattr(matrix, "find_available", lambda *_, **__: nothing)
    assert main(["matrix"]) == 6
    assert "no combination can run here: CPython 3.12: unreachable" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("codes", "left_out", "whole"),
    [
        ((), (), ExitCode.CLEAN),
        ((ExitCode.CLEAN, ExitCode.BUILD, ExitCode.FETCH), (), ExitCode.BUILD),
        ((ExitCode.BUILD, ExitCode.FINDINGS), (), ExitCode.FINDINGS),
        ((ExitCode.CLEAN,), (None, ExitCode.TOOLCHAIN), ExitCode.TOOLCHAIN),
        ((ExitCode.SUBJECT,), (ExitCode.TOOLCHAIN,), ExitCode.SUBJECT),
    ],
)
def test_a_finding_outweighs_what_failed_and_that_is_what_failed_first(codes, left_out, whole):
    plan = Plan(combinations=(), left_out=tuple(LeftOut(what="x", reason="y", code=code) for code in left_out))
    assert exit_code(plan, [SimpleNamespace(code=code) for code in codes]) is whole


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Make sources and bindings available by name only, and return the functions that search them."""

    def obtain(settings, **_):
        if settings.python not in {"3.13", "3.11.2"}:
            raise FetchError(
                f"CPython {settings.python} is unavailable:\n  python.org: cannot be reached\n  git: no tag"
            )
        version = {"3.13": "3.13.5"}.get(settings.python, settings.python)
        return type("Tree", (), {"record": SourceRecord(version=version, origin="x", sha256="y")})

    def find(binding, **_):
        if binding.version.startswith("9"):
            raise BuildError(f"no {binding}")

    monkeypatch.setattr(available, "obtain_source", obtain)
    monkeypatch.setattr(available, "find_binding", find)

    def find_available(**axes):
        settings = Settings(cache=tmp_path)
        return available.find_available(
            settings,
            Axes(toolchains=("nothing-1",), **axes),
            layout=Layout(root=tmp_path),
            console=make_console(quiet=True),
        )

    return find_available


def test_what_is_unavailable_is_left_out_with_every_place_and_its_answer(machine):
    found = machine()
    assert found.pythons == ("3.13.5",)
    assert found.bindings == BINDINGS
    reasons = {each.what: each.reason for each in found.missing}
    assert reasons["CPython 3.12"] == "python.org: cannot be reached; git: no tag"
    assert [each.code for each in found.missing if each.what == "CPython 3.12"] == [None]


def test_what_was_asked_for_by_name_and_is_unavailable_counts(machine):
    found = machine(pythons=("3.11.2", "3.12"), bindings=(parse_binding("nanobind==9.9.9"),))
    codes = {each.what: each.code for each in found.missing}
    assert codes == {
        "nothing-1": ExitCode.TOOLCHAIN,
        "CPython 3.12": ExitCode.FETCH,
        "nanobind 9.9.9": ExitCode.BUILD,
    }
    assert plan_matrix(found, Axes()).combinations == ()


@pytest.mark.compiler
def test_the_compilers_of_this_machine_are_found(tmp_path, monkeypatch):
    def unavailable(settings, **_):
        raise FetchError(f"CPython {settings.python} is unavailable")

    monkeypatch.setattr(available, "obtain_source", unavailable)
    monkeypatch.setattr(available, "find_binding", lambda *_, **__: None)
    layout = Layout(root=tmp_path)
    found = available.find_available(Settings(cache=tmp_path), Axes(), layout=layout, console=make_console(quiet=True))
    assert found.toolchains
    assert len({name.split("-")[0] for name in found.toolchains}) == len(found.toolchains)
    assert all(each.what.startswith("CPython ") for each in found.missing)


def test_a_folder_that_cannot_be_written_is_reported(here, tmp_path):
    (tmp_path / "runs").write_text("in the way")
    assert main(["matrix"]) == 2
    assert here.calls == []
    with pytest.raises(UsageError):
        open_run(Path(tmp_path / "runs"))


STAND_IN = """
import json, os, pathlib, signal, sys, time

words = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
pathlib.Path(f"words-{time.monotonic_ns()}").write_text(json.dumps(sys.argv[1:]))
answers = json.loads(pathlib.Path("answers.json").read_text())
name = words["--python"] + ("t" if words["--threading"] == "free-threaded" else "")
answer = answers[name]
if answer.pop("kills", None) and not os.path.exists("killed"):
    pathlib.Path("killed").touch()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
if "error" in answer:
    sys.exit(f"python-tsan: error: {answer['error']}")
folder = pathlib.Path(words["--output"], "20260101T000000Z-000000")
(folder / "20260101T000001Z-000001").mkdir(parents=True)
(folder / "latest").symlink_to("20260101T000001Z-000001")
(folder / "matrix.json").write_text(answer["matrix"])
(folder / "20260101T000001Z-000001" / "run.json").write_text(answer["run"])
sys.exit(answer["code"])
"""


@pytest.fixture
def workers(scheduler, here, tmp_path):
    """Return a function that has a matrix run on a real cluster, where `python_tsan` is a stand-in that answers."""
    (tmp_path / "python_tsan").mkdir()
    (tmp_path / "python_tsan" / "__init__.py").touch()
    (tmp_path / "python_tsan" / "__main__.py").write_text(STAND_IN)
    answers = {}
    for number, combination in enumerate(plan_matrix(HERE, Axes()).combinations):
        made = run_of(
            verdict("gil/counter_guarded", Seen.RACE if combination.free_threaded else Seen.CLEAN),
            name=f"run-{number}",
            version=combination.python,
            free_threaded=combination.free_threaded,
        )
        outcome = Outcome(combination=combination, code=ExitCode.CLEAN, run=f"run-{number}", seconds=5.0)
        name = f"{combination.python}{'t' if combination.free_threaded else ''}"
        record = FORMAT.encode(Record(outcomes=(outcome,))).decode()
        answers[name] = {"matrix": record, "run": encode_result(made).decode(), "code": 0}

    def run(*words):
        (tmp_path / "answers.json").write_text(json.dumps(answers))
        code = main(["matrix", "--cluster", scheduler, *words])
        assert here.calls == [], "this machine runs nothing"
        return code

    run.answers = answers
    return run


def words_of(tmp_path):
    return sorted(json.loads(file.read_text()) for file in tmp_path.glob("words-*"))


def test_a_cluster_runs_the_combinations_and_they_are_compared(workers, tmp_path, capsys):
    assert workers("-k", "gil", "--repeat", "3", "--jobs", "2", "--instrumented-numpy") == 0
    said = capsys.readouterr().out
    assert "3 combinations for 2 workers" in said
    assert "3.13.5 free-threaded, clang-19, pybind11 2.13.6  clean" in said
    assert "clean -> race in gil/counter_guarded" in said
    folder = folder_of(tmp_path)
    assert sorted(path.parent.name for path in folder.glob("*/run.json")) == ["run-0", "run-1", "run-2"]
    assert len(json.loads((folder / "comparison.json").read_text())["columns"]) == 3
    axes = ["--python=3.11.2", "--threading=gil", "--toolchain=clang-19", "--binding=pybind11==2.13.6"]
    shared = ["-k=gil", "--repeat=3", "--jobs=2", "--instrumented-numpy", "--quiet"]
    assert words_of(tmp_path)[0][:-1] == ["matrix", *axes, *shared]
    assert main(["matrix", "--resume", str(folder)]) == 0
    assert capsys.readouterr().out.count("already done") == 3


def test_a_worker_that_is_killed_half_way_loses_no_combination(workers, tmp_path):
    workers.answers["3.13.5"]["kills"] = True
    assert workers() == 0
    assert (tmp_path / "killed").exists()
    assert len(json.loads((folder_of(tmp_path) / "matrix.json").read_text())["outcomes"]) == 3


def test_a_combination_that_no_worker_can_run_is_one_line_and_the_others_are_kept(workers, tmp_path, capsys):
    workers.answers["3.11.2"] = {"error": "No space left on device: /tmp/x"}
    assert workers() == 6
    said = capsys.readouterr()
    assert "3.11.2, clang-19, pybind11 2.13.6: error: No space left on device: /tmp/x" in said.err
    assert "failed: subject" in said.out
    outcomes = json.loads((folder_of(tmp_path) / "matrix.json").read_text())["outcomes"]
    assert sorted(bool(each["run"]) for each in outcomes) == [False, True, True]
    assert workers("--resume", str(folder_of(tmp_path))) == 6, "it is run again"
    assert len(words_of(tmp_path)) == 4


def test_without_a_scheduler_nothing_is_left_behind(here, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    assert main(["matrix", "--cluster", "dask://127.0.0.1:9"]) == 6
    assert "no dask scheduler could be reached at dask://127.0.0.1:9" in capsys.readouterr().err
    assert main(["matrix", "--cluster", "127.0.0.1:9"]) == 2
    assert not (tmp_path / "runs").exists()
    assert here.calls == []
