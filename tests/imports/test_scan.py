"""Scans of small package trees by real processes: what is predicted, and what directed runs say of it."""

import sys

import pytest

from python_tsan.imports import confirm
from python_tsan.imports.confirm import Answer, prove, run_directed, weigh
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.model.requests import Manner, read_trace
from python_tsan.imports.model.steps import Phase, Point
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.scan import scan
from python_tsan.imports.search.schedules import Hazard

HERE = identify([sys.executable])
BY_NAME = "from importlib import import_module\n\nOTHER = import_module({!r})\n"

CYCLE = {"a.py": BY_NAME.format("b"), "b.py": BY_NAME.format("a")}


def write(folder, files):
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return Probe(python=HERE, path=(folder,))


def test_a_hazard_comes_with_both_chains_and_the_lines_of_their_imports(tmp_path):
    found = scan(write(tmp_path, CYCLE), ["a", "b"], runs=1)
    hazard = found.findings[0].hazard
    assert (hazard.first, hazard.second, hazard.awaited, hazard.closing) == ("a", "b", "a", "b")
    assert [link.module for link in hazard.chains[0]] == ["a"]
    assert [link.module for link in hazard.chains[1]] == ["b"]
    proof = found.findings[0].proof
    assert proof.seen == proof.runs == 1
    assert proof.where == f"{tmp_path / 'a.py'}:3"


def test_what_a_file_asks_for_is_seen_with_its_line_even_when_it_is_there_already(tmp_path):
    probe = write(tmp_path, {"first.py": "import os\n\nfrom second import NAME\n", "second.py": "NAME = 1\n"})
    program = read_trace(probe.trace(["first"]))
    asked = [(each.module, each.manner, each.line, each.names) for each in program["first"].requests]
    assert asked == [("os", Manner.STATEMENT, 1, ()), ("second", Manner.STATEMENT, 3, ("NAME",))]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "ModuleNotFoundError"),
        ("raise ValueError('no display')\n", "ValueError: no display"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("import os\nos._exit(7)\n", "exit 7"),
    ],
)
def test_an_entry_that_fails_is_reported_and_the_others_are_scanned(text, problem, tmp_path):
    probe = write(tmp_path, CYCLE if text is None else {**CYCLE, "bad.py": text})
    found = scan(probe, ["bad", "a", "b"])
    assert problem in found.problems["bad"]
    assert list(found.problems) == ["bad"]
    assert len(found.findings) == (2 if HERE.version < (3, 15) else 0)


def test_an_entry_that_opens_a_window_without_a_display_is_reported_and_the_others_are_scanned(tmp_path, monkeypatch):
    pytest.importorskip("tkinter", reason="this Python has no tkinter", exc_type=ImportError)
    monkeypatch.delenv("DISPLAY", raising=False)
    probe = write(tmp_path, {**CYCLE, "window.py": "import tkinter\n\nROOT = tkinter.Tk()\n"})
    found = scan(probe, ["a", "window", "b"])
    assert found.problems == {"window": "TclError: no display name and no $DISPLAY environment variable"}
    assert len(found.findings) == (2 if HERE.version < (3, 15) else 0)


def test_a_module_that_prints_megabytes_does_not_spoil_the_trace(tmp_path):
    probe = write(tmp_path, {"loud.py": "import sys\nprint('x' * 2_000_000)\nsys.stderr.write('y' * 2_000_000)\n"})
    assert scan(probe, ["loud"]).problems == {}


def test_a_module_that_every_process_has_already_is_no_entry(tmp_path):
    assert "before the trace begins" in scan(Probe(python=HERE, path=(tmp_path,)), ["os"]).problems["os"]


def test_a_stop_that_is_never_reached_refutes_nothing(tmp_path):
    probe = write(tmp_path, {"p/__init__.py": "", "p/a.py": "A = 1\n", "p/b.py": "B = 2\n"})
    hazard = Hazard(
        first="p.a",
        second="p.b",
        stop=Point(phase=Phase.EXECUTING, module="elsewhere"),
        awaited="",
        closing="",
        outcome=ImportOutcome.ERROR,
        chains=((), ()),
    )
    assert weigh([run_directed(probe, hazard)], 1).answer is Answer.NOT_REACHED


@pytest.mark.skipif(HERE.version >= (3, 15), reason="3.15 hands out the partially initialized module")
@pytest.mark.parametrize(("statement", "answer"), [("import p.sub", "confirmed"), ("from p.sub import N", "refuted")])
def test_an_import_of_a_dotted_name_really_waits_for_its_package_at_its_end(statement, answer, tmp_path):
    files = {"p/__init__.py": BY_NAME.format("m"), "p/sub.py": "N = 1\n", "m.py": f"{statement}\n"}
    probe = write(tmp_path, files)
    hazard = Hazard(
        first="p",
        second="m",
        stop=Point(phase=Phase.EXECUTING, module="p"),
        awaited="p",
        closing="m",
        outcome=ImportOutcome.ERROR,
        chains=((), ()),
    )
    child_waits = HERE.version >= (3, 13, 16)
    assert weigh([run_directed(probe, hazard)], 1).answer.value == ("confirmed" if child_waits else answer)


def test_the_proof_has_the_graph_and_both_stacks_at_the_moment_when_the_cycle_closed(tmp_path):
    files = {"bp/__init__.py": "NAME = 1\nfrom .sub import Y\n", "bp/sub.py": "from bp import NAME\nY = 2\n"}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    found = scan(Probe(python=HERE, path=(tmp_path,)), ["bp", "bp.sub"], runs=1)
    proof = found.findings[0].proof
    assert {(each.thread, each.module, each.holder) for each in proof.graph} == {
        ("T1", "bp.sub", "T2"),
        ("T2", "bp", "T1"),
    }
    stacks = {stack.thread: [(frame.line, frame.function) for frame in stack.frames] for stack in proof.stacks}
    assert stacks == {"T1": [(2, "<module>")], "T2": []}
    assert proof.error == "_DeadlockError: deadlock detected by _ModuleLock('bp.sub')"


def test_a_slow_import_is_no_hang_and_a_thread_that_waits_for_ever_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(confirm, "HANG_SECONDS", 0.5)
    slow = "import time\n\nend = time.monotonic() + 2\nwhile time.monotonic() < end:\n    pass\n"
    (tmp_path / "bp").mkdir()
    (tmp_path / "bp" / "__init__.py").write_text("from .sub import Y\n")
    (tmp_path / "bp" / "sub.py").write_text(f"{slow}Y = 2\n")
    hazard = scan(Probe(python=HERE, path=(tmp_path,)), ["bp", "bp.sub"]).findings[0].hazard
    assert prove(Probe(python=HERE, path=(tmp_path,)), hazard, 1).outcome in {ImportOutcome.ERROR, None}
    (tmp_path / "bp" / "sub.py").write_text("import threading\n\nthreading.Event().wait()\nY = 2\n")
    assert prove(Probe(python=HERE, path=(tmp_path,)), hazard, 1).outcome is ImportOutcome.HANG
