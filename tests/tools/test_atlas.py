"""The atlas: its list, a survey of a made-up package, a run that goes on where it was killed, and its page."""

import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from stand_in_tool import write_stand_in

from python_tsan.cli import cluster
from python_tsan.errors import SubjectError
from python_tsan.imports.confirm import Answer
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.outcomes import ImportOutcome
from tools.import_atlas import __main__ as command
from tools.import_atlas import install, run, survey
from tools.import_atlas.__main__ import main
from tools.import_atlas.analysis import analyse
from tools.import_atlas.cell import UNFINISHED, Cell, CycleSeen, cell_file, load_cell, save_cell
from tools.import_atlas.install import Installed
from tools.import_atlas.listed import Group, Listed, listed
from tools.import_atlas.page import render_atlas
from tools.import_atlas.run import Atlas
from tools.import_atlas.survey import Bounds

HERE = identify([sys.executable])
BOUNDS = Bounds(modules=5, runs=1, seconds=60)
BARREL = {"bp/__init__.py": "NAME = 1\nfrom .sub import Y\n", "bp/sub.py": "from bp import NAME\nY = 2\n"}
CYCLE = CycleSeen(
    first="bp",
    second="bp.sub",
    predicted=ImportOutcome.ERROR,
    answer=Answer.CONFIRMED,
    seen=3,
    runs=3,
    outcome=ImportOutcome.ERROR,
    error="_DeadlockError: deadlock detected",
    where="bp/__init__.py:2",
)
CELL = Cell(
    package="bp",
    python="3.14.10",
    date="2026-11-25",
    version="1.0",
    entries=("bp", "bp.sub"),
    modules=7,
    cycles=(CYCLE,),
    preimport=("bp",),
    verified=True,
)
CLEAN = replace(CELL, package="fine", cycles=(), preimport=(), verified=None, entries=("fine",))
BROKEN = Cell(package="gone", python="3.14.10", date="2026-11-26", problem="cannot be installed: no | wheel")
LISTED = Listed(chosen="2026-11-25", source="a list", groups=(Group(title="g", rule="r", packages=("bp", "fine")),))


def test_sixty_packages_are_listed_each_once_with_the_rule_of_their_choice():
    assert len(listed().packages) == len(set(listed().packages)) == 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", listed().chosen)
    assert all(group.rule for group in listed().groups)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", package) for package in listed().packages)


def test_the_published_page_has_every_package_of_the_list():
    page = (Path(__file__).parents[2] / "docs" / "import-atlas.md").read_text()
    assert page.startswith("# Which packages of PyPI can deadlock")
    assert [name for name in listed().packages if not re.search(rf"(?:<code>|[ ]){name}\b", page)] == []


def put(folder, name, files):
    """Write what an installer leaves behind."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))


@pytest.fixture
def barrel(monkeypatch):
    def put_barrel(package, folder, *, minor):
        assert (package, minor) == ("bp", ".".join(map(str, sys.version_info[:2])))
        put(folder, "bp", BARREL)
        put(folder, "needed", {"needed/__init__.py": "", "tests/__init__.py": "", "_hidden/__init__.py": ""})
        return Installed(version="1.0", others=("needed",))

    monkeypatch.setattr(survey, "install", put_barrel)


@pytest.mark.usefixtures("barrel")
def test_a_survey_predicts_drives_and_verifies(tmp_path):
    cell = survey.survey("bp", Probe(python=HERE), tmp_path / "packages", BOUNDS)
    assert (cell.version, cell.problem, cell.entries, cell.others) == ("1.0", "", ("bp", "bp.sub"), ("needed",))
    assert len(cell.cycles) == cell.tried == 1
    assert cell.cycles[0].confirmed
    assert cell.cycles[0].where == "bp/__init__.py:2"
    assert cell.preimport in {("bp",), ("bp.sub",)}
    assert cell.verified
    assert cell.scanned


@pytest.mark.usefixtures("barrel")
def test_without_time_nothing_is_driven_and_that_is_reported(tmp_path):
    cell = survey.survey("bp", Probe(python=HERE), tmp_path / "packages", replace(BOUNDS, seconds=0.0))
    assert cell.cycles[0].answer is None
    assert (cell.tried, cell.confirmed, cell.verified) == (0, (), None)


@pytest.mark.usefixtures("barrel")
def test_a_list_that_does_not_hold_is_not_called_verified(tmp_path, monkeypatch):
    monkeypatch.setattr(survey, "choose", lambda *_, **__: ())
    cell = survey.survey("bp", Probe(python=HERE), tmp_path / "packages", BOUNDS)
    assert cell.confirmed
    assert cell.verified is False
    page = render_atlas([cell], LISTED, BOUNDS, machine="m")
    assert "not known" in page
    row = render_atlas([replace(cell, preimport=("bp",))], LISTED, BOUNDS, machine="m")
    assert "<code>bp</code> (does not hold)" in row
    assert "tried in 1 of them and held in 0." in row


def test_what_cannot_be_installed_is_a_problem_and_no_crash(monkeypatch, tmp_path):
    monkeypatch.setattr(
        survey, "install", lambda *_, **__: (_ for _ in ()).throw(SubjectError("cannot be installed: x"))
    )
    assert survey.survey("bp", Probe(python=HERE), tmp_path, BOUNDS).problem == "cannot be installed: x"


def test_uvs_reason_is_shown_without_its_drawing(monkeypatch, tmp_path):
    text = (
        "  × No solution found when resolving dependencies:\n  ╰─▶ Because x has no wheels,\n      x cannot be used.\n"  # noqa: RUF001
    )
    ended = run.run([sys.executable, "-c", f"import sys; sys.stderr.write({text!r}); sys.exit(1)"])
    monkeypatch.setattr(install, "run", lambda *_, **__: ended)
    with pytest.raises(SubjectError, match=r"^cannot be installed: No solution found .*: Because x has no wheels, x "):
        install.install("x", tmp_path, minor="3.14")


def test_a_package_without_a_public_module_is_a_problem(monkeypatch, tmp_path):
    def put_empty(_, folder, **__):
        put(folder, "bp", {"_hidden.py": ""})
        return Installed(version="1.0", others=())

    monkeypatch.setattr(survey, "install", put_empty)
    assert "no public module" in survey.survey("bp", Probe(python=HERE), tmp_path, BOUNDS).problem


def test_a_cell_comes_back_as_it_was_and_a_truncated_one_does_not(tmp_path):
    save_cell(tmp_path, CELL)
    assert load_cell(tmp_path, "bp", "3.14.10") == CELL
    assert load_cell(tmp_path, "bp", "3.15.2") is None
    cell_file(tmp_path, "bp", "3.14.10").write_text('{"package": "bp"')
    assert load_cell(tmp_path, "bp", "3.14.10") is None


def cells_of(atlas, packages):
    said = []
    cells = atlas.cells(packages, [HERE], on_cell=lambda cell, kept: said.append((cell.package, kept)))
    return cells, said


def test_a_run_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    save_cell(tmp_path, replace(CELL, python=HERE.text))
    started = []

    def work(command, **_):
        started.append(command[-1].removeprefix("--survey="))
        save_cell(tmp_path, replace(CLEAN, python=HERE.text))
        return run_ok

    run_ok = run.run([sys.executable, "-c", ""])
    monkeypatch.setattr(run, "run", work)
    cells, said = cells_of(Atlas(folder=tmp_path, bounds=BOUNDS, jobs=1), ["bp", "fine"])
    assert started == ["fine"]
    assert said == [("bp", True), ("fine", False)]
    assert [cell.package for cell in cells] == ["bp", "fine"]
    cells_of(Atlas(folder=tmp_path, bounds=BOUNDS, jobs=1, again=True), ["bp"])
    assert started == ["fine", "bp"]


def test_what_a_survey_knew_when_it_was_ended_is_kept_and_a_killed_one_is_made_again(tmp_path, monkeypatch):
    half = replace(CELL, package="half", python=HERE.text, problem=UNFINISHED)
    started = []

    def end_early(command, **_):
        started.append(command[-1].removeprefix("--survey="))
        save_cell(tmp_path, half)
        return replace(run_ok, timed_out=True, exit_code=-15, seconds=9.0)

    run_ok = run.run([sys.executable, "-c", ""])
    monkeypatch.setattr(run, "run", end_early)
    atlas = Atlas(folder=tmp_path, bounds=BOUNDS, jobs=1)
    (cell,), _ = cells_of(atlas, ["half"])
    assert (cell.problem, cell.confirmed) == ("did not end within 9 s", (CYCLE,))
    assert cells_of(atlas, ["half"])[1] == [("half", True)]
    save_cell(tmp_path, half)
    assert cells_of(atlas, ["half"])[1] == [("half", False)]
    monkeypatch.setattr(run, "run", lambda *_, **__: replace(run_ok, exit_code=3))
    (cell,), _ = cells_of(replace(atlas, again=True), ["half"])
    assert cell.cycles == ()


def test_a_survey_that_was_interrupted_with_its_run_leaves_no_result(tmp_path, monkeypatch):
    ended = run.run([sys.executable, "-c", "raise SystemExit(130)"])
    monkeypatch.setattr(run, "run", lambda *_, **__: ended)
    (cell,), _ = cells_of(Atlas(folder=tmp_path, bounds=BOUNDS, jobs=1), ["half"])
    assert cell.problem == UNFINISHED
    assert list(tmp_path.iterdir()) == []


def test_a_survey_reports_what_it_knows_step_by_step(barrel, tmp_path):  # noqa: ARG001 -- a fixture that installs
    told = []
    survey.survey("bp", Probe(python=HERE), tmp_path / "packages", BOUNDS, keep=told.append)
    known = [(len(cell.cycles) > 0, cell.tried > 0, bool(cell.preimport)) for cell in told]
    assert known == [(True, False, False), (True, True, False), (True, True, True)]
    assert {cell.problem for cell in told} == {UNFINISHED}


@pytest.mark.parametrize(
    ("script", "words"),
    [("import time; time.sleep(60)", "did not end within"), ("raise SystemExit('boom')", "exit code 1: boom")],
)
def test_a_survey_that_hangs_or_crashes_is_a_line_and_the_others_are_done(script, words, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "GRACE_SECONDS", 0.5)
    real = run.run
    monkeypatch.setattr(run, "run", lambda _, **more: real([sys.executable, "-c", script], **more))
    cells, _ = cells_of(Atlas(folder=tmp_path, bounds=replace(BOUNDS, seconds=0.5), jobs=2), ["a", "b"])
    assert [words in cell.problem for cell in cells] == [True, True]
    assert load_cell(tmp_path, "a", HERE.text) == cells[0]


def test_who_is_interrupted_ends_the_surveys_that_are_under_way(tmp_path, monkeypatch):
    real = run.run
    script = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    def work(command, **more):
        quick = command[-1] == "--survey=quick"
        return real([sys.executable, "-c", "" if quick else script], **more)

    def interrupt(*_):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run", work)
    atlas = Atlas(folder=tmp_path, bounds=BOUNDS, jobs=2)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        atlas.cells(["quick", "slow"], [HERE], on_cell=interrupt)
    assert time.monotonic() - started < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.usefixtures("barrel")
def test_one_package_is_surveyed_by_itself_and_kept_where_it_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", dict(os.environ))  # a survey's process is its own, this one is not
    words = ["--survey", "bp", "--python", sys.executable, "--repeat", "1", "--modules", "5"]
    assert main(words) == 1
    assert re.search(r"^bp 1.0 on \S+: (\d) hazards? predicted, \1 of \1 confirmed, in ", capsys.readouterr().out)
    assert main([*words, "--keep", str(tmp_path)]) == 0
    assert load_cell(tmp_path, "bp", HERE.text).confirmed


def test_a_package_that_cannot_be_surveyed_is_a_line_and_an_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(
        survey, "install", lambda *_, **__: (_ for _ in ()).throw(SubjectError("cannot be installed: x"))
    )
    assert main(["--survey", "bp", "--python", sys.executable]) == 6
    assert "bp on" in capsys.readouterr().out


def test_the_atlas_can_parse_the_command_of_a_survey(tmp_path):
    atlas = Atlas(folder=tmp_path, bounds=BOUNDS, jobs=1)
    parsed = command.parser().parse_args(atlas._options(str(tmp_path), "-odd", HERE))
    assert (parsed.survey, parsed.keep, parsed.interpreters) == ("-odd", tmp_path, [sys.executable])
    assert (parsed.modules, parsed.repeat, parsed.timeout) == (5, 1, 60.0)
    task = atlas._task("-odd", HERE)
    parsed = command.parser().parse_args(task.words[1:])
    assert (parsed.survey, str(parsed.keep), task.words[0]) == ("-odd", cluster.FOLDER, "tools.import_atlas")


# What a survey does in the place of the atlas' own: it writes the cell that a test has prepared.
STAND_IN = """
import os, pathlib, shutil, signal, sys, time

words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
package, folder = words["--survey"], pathlib.Path(words["--keep"])
pathlib.Path(f"started-{package}-{time.monotonic_ns()}").touch()
if package == "kills" and not os.path.exists("killed"):
    pathlib.Path("killed").touch()
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
for file in pathlib.Path("made").glob(f"{package}-*.json"):
    shutil.copy(file, folder)
if package == "full":
    sys.exit("error: No space left on device: /tmp")
if package == "slow":
    time.sleep(600)
"""


@pytest.fixture
def workers(scheduler, tmp_path, monkeypatch):
    """Return a function that has packages surveyed by a real cluster, on whose workers a survey is the stand-in."""
    write_stand_in(tmp_path, "import_atlas", STAND_IN)
    monkeypatch.setattr(run, "REPOSITORY", tmp_path)
    monkeypatch.setattr(run, "GRACE_SECONDS", 5.0)
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(tmp_path / "cache"))
    for name in ("bp", "fine", "kills"):
        save_cell(tmp_path / "made", replace(CELL, package=name, python=HERE.text))
    save_cell(tmp_path / "made", replace(CELL, package="slow", python=HERE.text, problem=UNFINISHED))
    return lambda *words: main([*words, "--cluster", scheduler, "--python", sys.executable, "--timeout", "5"])


def started(folder, package):
    return len([*folder.glob(f"started-{package}-*")])


def test_a_cluster_makes_the_surveys_that_are_missing(workers, tmp_path, capsys):
    assert workers("bp", "fine") == 0
    assert "2 surveys: 2 with a confirmed hazard, 0 that failed" in capsys.readouterr().out
    kept = tmp_path / "cache" / "atlas"
    assert load_cell(kept, "bp", HERE.text) == load_cell(tmp_path / "made", "bp", HERE.text)
    assert workers("bp", "fine", "kills") == 0
    assert (started(tmp_path, "bp"), started(tmp_path, "fine")) == (1, 1)
    assert started(tmp_path, "kills") == 2, "the worker of the first attempt was killed"
    assert capsys.readouterr().err.count("(kept)") == 2


def test_what_no_worker_could_survey_is_one_line_and_is_not_kept(workers, tmp_path, capsys):
    assert workers("full", "bp") == 6
    said = capsys.readouterr()
    assert f"full on {HERE.text}: error: No space left on device: /tmp" in said.err
    assert "1 survey: 1 with a confirmed hazard" in said.out
    assert [file.name for file in (tmp_path / "cache" / "atlas").iterdir()] == [f"bp-{HERE.text}.json"]


def test_a_survey_that_a_worker_had_to_end_keeps_what_it_knew(workers, tmp_path):
    assert workers("slow") == 0
    cell = load_cell(tmp_path / "cache" / "atlas", "slow", HERE.text)
    assert cell.problem.startswith("did not end within ")
    assert cell.confirmed == (CYCLE,)


def test_without_a_scheduler_the_atlas_is_one_line(monkeypatch, capsys):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    assert main(["bp", "--python", sys.executable, "--cluster", "dask://127.0.0.1:9"]) == 6
    assert "no dask scheduler could be reached" in capsys.readouterr().err
    assert main(["bp", "--cluster", "127.0.0.1:9"]) == 2


def test_the_page_has_every_survey_in_one_of_its_parts():
    page = render_atlas([CELL, CLEAN, BROKEN], LISTED, BOUNDS, machine="Linux x86_64")
    html = MarkdownIt("commonmark").enable("table").render(page)
    assert html.count("<table>") == 2
    assert (
        "| <code>bp</code> 1.0 | 3.14.10 | 7 | 1 | 1 of 1 | <code>bp</code> and <code>bp.sub</code> | "
        "<code>&#95;DeadlockError</code> in 3 of 3 runs at <code>bp/&#95;&#95;init&#95;&#95;.py:2</code> | "
        "<code>bp</code> |" in page
    )
    assert "- 3.14.10: fine 1.0" in page
    assert "no \\| wheel" in page
    assert "Measured 2026-11-25 to 2026-11-26 on Linux x86_64" in page
    assert "nox -s import_atlas" in page


def test_what_was_predicted_and_not_confirmed_is_distinguished():
    refuted = replace(CYCLE, answer=Answer.REFUTED, seen=0, outcome=None)
    cells = [replace(CELL, cycles=(refuted,)), replace(CELL, package="slow", cycles=(replace(refuted, answer=None),))]
    page = render_atlas(cells, LISTED, BOUNDS, machine="m")
    assert "| <code>bp</code> and <code>bp.sub</code> | refuted |" in page
    assert "| not driven: out of time |" in page
    assert "0 were confirmed, 1 refuted and 0 not reached" in page


def test_what_a_run_has_not_come_to_is_named():
    other = replace(CLEAN, python="3.15.2")
    page = render_atlas([CELL, CLEAN, other], LISTED, BOUNDS, machine="m")
    assert "Not surveyed yet on 3.15.2: bp.\n" in page
    assert "yet on 3.14.10" not in page


def test_the_sentences_are_made_from_the_figures():
    stranger = replace(CYCLE, first="bp", second="other", outcome=ImportOutcome.PARTIAL)
    siblings = replace(CYCLE, first="bp.a", second="bp.sub")
    text = " ".join(analyse([replace(CELL, cycles=(CYCLE, stranger, siblings)), CLEAN, BROKEN]))
    assert "On Python 3.14.10, 1 of 2 packages (1 could not be surveyed) have at least one" in text
    assert "Of 3 hazards that were driven into, 3 were confirmed, 0 refuted and 0 not reached." in text
    assert (
        "In 1 of the 3 confirmed hazards a package is imported against a module of its own, in 1 two modules of" in text
    )
    assert "in 1 two modules of two packages; 2 end in error, 1 end in partial." in text
    assert "enough in 1 of these 1 surveys; the list was tried in 1 of them and held in 1." in text
    assert list(analyse([])) == []


def test_a_hang_is_worse_than_an_error():
    hang = replace(CYCLE, outcome=ImportOutcome.HANG, first="z")
    assert [cycle.first for cycle in replace(CELL, cycles=(CYCLE, hang)).confirmed] == ["z", "bp"]


def test_the_verb_writes_the_page_and_says_what_it_did(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(tmp_path))
    save_cell(tmp_path / "atlas", replace(CELL, python=HERE.text))
    page = tmp_path / "atlas.md"
    assert main(["bp", "--python", sys.executable, "--output", str(page)]) == 0
    told = capsys.readouterr()
    assert f"bp 1.0 on {HERE.text}: 1 hazard predicted, 1 of 1 confirmed, in 0.0 s (kept)" in told.err
    assert "1 survey: 1 with a confirmed hazard, 0 that failed" in told.out
    assert "# Which packages" in page.read_text()
    assert main(["bp", "--python", sys.executable, "--output", str(tmp_path / "no" / "x.md")]) == 2
    assert main(["bp", "rich", "--kept", "--python", sys.executable]) == 0
    assert "1 survey: 1 with" in capsys.readouterr().out
    assert command.line(BROKEN) == "gone on 3.14.10: cannot be installed: no | wheel"


@pytest.mark.parametrize("option", ["modules", "repeat", "timeout", "surveys"])
def test_bounds_that_make_no_sense_are_usage_errors(option):
    with pytest.raises(SystemExit, match="2"):
        main(["bp", f"--{option}", "0"])
