"""The join of a hazard with a trace of the GIL."""

import shutil
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest
from import_samples import CONFIRMED, HAZARD, REFUTED, document

from python_tsan.console import make_console
from python_tsan.errors import SubjectError
from python_tsan.gil.trace import Event, GilCall, Node, Process, ProcessRecord, Trace
from python_tsan.imports import gil_windows
from python_tsan.imports.document import WindowRecord, document_of
from python_tsan.imports.gil_windows import held_chain, with_windows
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.renderings import RENDERINGS
from python_tsan.imports.scan import scan
from python_tsan.imports.wording import window
from python_tsan.paths import Layout, default_root
from python_tsan.preload_library import GIL_TRACER, build_library
from python_tsan.symbols import CFunction, Site


def rendered(document, name):
    return RENDERINGS[name].render(document).decode().rstrip("\n")


HERE = identify([sys.executable])
BOOTSTRAP = "<frozen importlib._bootstrap>"
NODES = (
    Node(0, "", "", 0, "", ""),
    Node(0, BOOTSTRAP, "_find_and_load", 1, "", "a"),
    Node(1, "<frozen importlib._bootstrap_external>", "_path_stat", 1, "", ""),
    Node(0, BOOTSTRAP, "_find_and_load", 1, "", "b"),
)


def trace_of(*events):
    record = ProcessRecord(
        pid=1,
        parent=0,
        executable="x",
        python="3.13.0",
        free_threaded=False,
        sees_internal=True,
        started=0,
        started_unix=0,
    )
    site = Site(library="libpython", offset=1, functions=(CFunction("os_stat", "posixmodule.c", 7),))
    process = Process(
        record=record, sites=(Site(library="", offset=0), site), nodes=NODES, events=tuple(sorted(events))
    )
    return Trace(engine="preload", command=("x",), exit_code=0, started_at="now", processes=(process,), untraced=())


def release(start, end, node, thread=0):
    return Event(start, end, end, 1, node, thread, GilCall.SAVE_RESTORE, GilCall.SAVE_RESTORE)


def traced(monkeypatch, answer, *proofs):
    asked = []

    def run(command, **_):
        asked.append(command)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(gil_windows, "trace_preloaded", run)
    return with_windows(document(*proofs), Probe(python=HERE, path=()), Path("tracer.so")), asked


def test_the_release_is_shown_with_what_the_other_thread_did(monkeypatch):
    seen = trace_of(release(10, 12, 2), release(20, 40, 2), release(15, 25, 0, 1), release(30, 50, 3, 1))
    found, asked = traced(monkeypatch, seen, CONFIRMED)
    assert found.hazards[0].window == WindowRecord(
        releases=2, phase="path stat", module="a", function="os_stat (posixmodule.c:7)", intruder="b"
    )
    words = "the importer of a released the GIL 2 times; at one, path stat of a, in os_stat (posixmodule.c:7), another"
    assert window(found.hazards[0]).startswith(words)
    for form in RENDERINGS:
        assert "released the GIL 2 times" in " ".join(rendered(found, form).split()) or form == "json"
    assert [command[-2:] for command in asked] == [["a", "b"]]


@pytest.mark.parametrize("lazy", ["normal", "all"])
def test_a_call_is_traced_as_the_import_that_it_makes_in_the_mode_of_the_scan(monkeypatch, lazy):
    asked = []

    def run(command, *, env, **_):
        asked.append((command[-2:], env["PYTHON_LAZY_IMPORTS"]))
        return trace_of(release(10, 12, 2))

    monkeypatch.setattr(gil_windows, "trace_preloaded", run)
    call = replace(HAZARD, first="caller:load")
    found = with_windows(document(None, hazards=[call]), Probe(python=HERE, path=(), lazy=lazy), Path("tracer.so"))
    first = found.hazards[0].threads[0].chain[0].module
    assert asked == [([f"caller,{first}", "b"], lazy)]
    assert "its own import of caller and call of load" in rendered(found, "terminal")


def test_where_nobody_came_in_that_is_reported(monkeypatch):
    found, _ = traced(monkeypatch, trace_of(release(10, 12, 2)), None)
    assert window(found.hazards[0]).endswith("in the traced run no other thread imported meanwhile")


def test_why_there_is_no_trace_is_reported_and_tried_once(monkeypatch):
    found, asked = traced(monkeypatch, SubjectError("a static build"), CONFIRMED, None)
    assert [window(hazard) for hazard in found.hazards] == ["no release can be shown: a static build"] * 2
    assert len(asked) == 1
    assert "No release can be shown: a static build." in rendered(found, "html")


def test_a_trace_without_the_lock_says_so(monkeypatch):
    found, _ = traced(monkeypatch, trace_of(release(10, 12, 3)), CONFIRMED)
    assert "never released the GIL with that lock held" in window(found.hazards[0])


def test_what_is_refuted_or_beyond_the_limit_is_not_traced(monkeypatch):
    monkeypatch.setattr(gil_windows, "MOST_TRACES", 1)
    found, asked = traced(monkeypatch, trace_of(release(10, 12, 2)), CONFIRMED, None, REFUTED)
    assert [hazard.window is None for hazard in found.hazards] == [False, True, True]
    assert window(found.hazards[1]) == ""
    assert len(asked) == 1


def test_the_chain_ends_at_the_lock_that_the_other_waits_for():
    hazard = document(None).hazards[0]
    assert held_chain(hazard) == ["a"]
    one, two = hazard.threads
    assert held_chain(replace(hazard, threads=(replace(one, holds="c"), two))) == ["a", "c"]
    assert held_chain(replace(hazard, threads=(replace(one, holds="elsewhere"), two))) == ["elsewhere"]


@pytest.mark.compiler
@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
@pytest.mark.skipif(not sysconfig.get_config_var("Py_ENABLE_SHARED"), reason="this Python cannot be traced")
@pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 has no hazard here")
def test_a_real_run_shows_a_real_release(tmp_path):
    by_name = "from importlib import import_module\n\nOTHER = import_module({!r})\n"
    (tmp_path / "a.py").write_text(by_name.format("b"))
    (tmp_path / "b.py").write_text(by_name.format("a"))
    found = document_of(scan(Probe(python=HERE, path=(tmp_path,)), ["a", "b"]))
    library = build_library(GIL_TRACER, layout=Layout(root=default_root()), console=make_console(quiet=True))
    told = with_windows(found, Probe(python=HERE, path=(tmp_path,)), library).hazards[0].window
    if "cannot be intercepted" in told.problem:
        pytest.skip(told.problem)
    assert told.problem == ""
    assert told.releases > 0
    assert told.phase
    assert told.function
