"""The survey of wheels: its list, and a page that never calls what did not run clean."""

import ast
import datetime as dt
import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
from stand_in_tool import write_stand_in

from python_tsan.cli import cluster
from tools.wheels import __main__ as command
from tools.wheels.__main__ import main
from tools.wheels.page import EXPLAINED, page
from tools.wheels.survey import PROGRAMS, Row, version_of, wheels

TODAY = dt.date(2026, 11, 30)
CLEAN = Row(
    wheel="numpy",
    version="2.5.5",
    toolchain="gcc-12",
    kind="C++",
    findings=0,
    aside=0,
    kept=0,
    verdict="no new finding",
)


def line_of(wheel, *rows):
    (line,) = [line for line in page(rows, today=TODAY).splitlines() if line.startswith(f"| {wheel} | ")][:1]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_thirty_wheels_have_a_program_with_a_sentence_and_a_function_to_call():
    assert len(wheels()) == 30
    for wheel in wheels():
        tree = ast.parse((PROGRAMS / f"{wheel}.py").read_text())
        assert ast.get_docstring(tree).endswith(".")
        assert [each.name for each in tree.body if isinstance(each, ast.FunctionDef)][-1] == "work"


def test_a_cell_has_what_was_kept_and_what_was_set_aside():
    assert line_of("numpy", CLEAN) == ["numpy", "2.5.5", "0"]
    aside = replace(CLEAN, findings=5, aside=5, verdict="no new finding; 5 findings set aside: 5 in x")
    assert line_of("numpy", aside)[-1] == "0 (5 of 5)"
    assert line_of("numpy", replace(aside, kept=1, findings=6, verdict="1 finding"))[-1] == "1 (5 of 6)"


def test_what_did_not_run_or_failed_is_never_a_number():
    assert line_of("pandas", CLEAN) == ["pandas", "", "not run"]
    died = replace(CLEAN, verdict="ended by signal 11 (a | b < c)")
    assert line_of("numpy", died)[-1] == "failed"
    assert "| numpy | gcc-12, C++ | ended by signal 11 (a \\| b &lt; c) |" in page([died], today=TODAY)
    assert "Not clean" not in page([CLEAN], today=TODAY)


def test_what_is_kept_of_a_wheel_is_explained():
    assert set(EXPLAINED) <= set(wheels())
    kept = replace(CLEAN, wheel="aiohttp", kept=1, verdict="1 finding")
    assert page([kept], today=TODAY).splitlines()[-1].endswith(f"| 1 finding | {EXPLAINED['aiohttp']} |")


def test_the_version_is_that_of_the_installed_wheel(tmp_path):
    (tmp_path / "scikit_learn-1.9.0.dist-info").mkdir()
    (tmp_path / "greenlet_x-1.dist-info").mkdir()
    assert version_of("scikit-learn", tmp_path) == "1.9.0"
    assert version_of("greenlet", tmp_path) == ""


# What a program's run does in the place of the survey's own.
STAND_IN = """
import json, pathlib, sys

words = dict(word.split("=", 1) for word in sys.argv[1:])
name = f"{words['--only']}-{words['--kind']}.json"
if not pathlib.Path(name).exists():
    sys.exit("error: No space left on device: /tmp")
pathlib.Path(words["--work"], "rows.json").write_text(pathlib.Path(name).read_text())
pathlib.Path(words["--output"]).write_text("a page of one row")
"""


@pytest.fixture
def workers(scheduler, tmp_path, monkeypatch):
    """Return a function that has programs run by a real cluster, on whose workers the survey is the stand-in."""
    write_stand_in(tmp_path, "wheels", STAND_IN)
    monkeypatch.setattr(command, "REPOSITORY", tmp_path)
    monkeypatch.setattr(command, "_interpreter", lambda folder: SimpleNamespace(prefix=folder))
    words = ("--python", "3.13.5-clang-19-key", "--work", str(tmp_path / "work"), "--output", str(tmp_path / "page.md"))
    return lambda *more: main([*words, "--cluster", scheduler, *more])


def row_of(folder, wheel, kind):
    row = replace(CLEAN, wheel=wheel, kind=kind)
    (folder / f"{wheel}-{kind}.json").write_text(json.dumps([asdict(row)]))
    return row


def test_a_cluster_runs_the_programs_and_what_none_could_run_is_one_line(workers, tmp_path, capsys):
    rows = [row_of(tmp_path, "numpy", "C++"), row_of(tmp_path, "numpy", "Python"), row_of(tmp_path, "lxml", "C++")]
    assert workers("--only", "numpy", "--kind", "C++") == 0
    assert workers("--only", "numpy", "--only", "lxml") == 6
    line = "lxml from Python in 3.13.5-clang-19-key: error: No space left on device: /tmp"
    assert line in capsys.readouterr().err
    kept = command.read_rows((tmp_path / "work" / "rows.json").read_bytes())
    assert sorted(map(repr, kept)) == sorted(map(repr, rows))
    assert (tmp_path / "page.md").read_text() == page(kept, today=dt.datetime.now(tz=dt.UTC).date())


def test_a_task_is_a_command_of_the_survey(tmp_path):
    task = command.task_of("numpy", "C++", tmp_path / "key", tmp_path / "site")
    parsed = command.parser().parse_args(task.words[1:])
    assert (task.words[0], parsed.only, parsed.kind) == ("tools.wheels", ["numpy"], ["C++"])
    assert (parsed.python, parsed.site) == ([tmp_path / "key"], tmp_path / "site")
    assert (str(parsed.work), str(parsed.output)) == (cluster.FOLDER, f"{cluster.FOLDER}/page.md")


def test_each_of_several_jobs_takes_its_part_of_the_wheels(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(command, "_interpreter", lambda folder: folder)
    monkeypatch.setattr(command, "survey", lambda *_, only, **__: asked.append(only) or [])
    options = ("--python", "x", "--work", str(tmp_path / "work"), "--output", str(tmp_path / "page.md"))
    for part in ("1/2", "2/2"):
        assert main([*options, "--shard", part]) == 0
    assert sorted(asked[0] + asked[1]) == [*wheels()]
    assert len(asked[0]) == len(asked[1]) == 15


def test_a_folder_without_an_interpreter_is_a_usage_error(tmp_path, capsys):
    assert main(["--python", str(tmp_path), "--work", str(tmp_path / "w"), "--output", str(tmp_path / "x")]) == 2
    assert "has no manifest.json" in capsys.readouterr().err
