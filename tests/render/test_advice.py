"""The advice fits the program."""

from __future__ import annotations

import pytest
from report_samples import GOLDEN, renamed, report_on

from python_tsan.render.advice import Program, advice, program_of
from python_tsan.render.registry import RENDERINGS
from python_tsan.result.model import SharedObject

GO = """\
==================
WARNING: DATA RACE
Write at 0x00c000014098 by goroutine 7:
  main.put()
      /src/m.go:12 +0x44

Previous read at 0x00c000014098 by goroutine 6:
  main.get()
      /src/m.go:20 +0x3a

Goroutine 7 (running) created at:
  main.main()
      /src/m.go:30 +0x84

Goroutine 6 (running) created at:
  main.main()
      /src/m.go:29 +0x6c
==================
"""


def advice_on(report):
    return " ".join(advice(finding, program_of(report)) for finding in report.findings)


def test_a_program_without_python_gets_no_advice_on_the_gil(report_of):
    assert program_of(report_of("race_global")) == frozenset()
    assert "GIL" not in advice_on(report_of("race_global", "deadlock", "use_after_free"))


@pytest.mark.parametrize(
    "symbol",
    ["pybind11::detail::get_internals()", "PyObject_Call", "_PyEval_EvalFrameDefault", "nanobind::handle::x()"],
)
def test_a_program_with_python_does(report_of, symbol):
    report = renamed(report_of("race_global"), symbol)
    assert program_of(report) == {Program.PYTHON}
    assert "while you hold the GIL" in advice_on(report)


def test_what_the_program_loaded_counts(report_of):
    loaded = SharedObject(path="/usr/lib/libpython3.13.so.1.0", instrumented=True)
    assert program_of(report_of("race_global", audit=(loaded,))) == {Program.PYTHON}


@pytest.mark.parametrize("symbol", ["main.omp_outlined", "main._omp_fn.0", "GOMP_parallel", "__kmp_invoke_microtask"])
def test_openmp_has_advice_of_its_own(report_of, symbol):
    report = renamed(report_of("race_global"), symbol)
    assert program_of(report) == {Program.OPENMP}
    assert "omp critical" in advice_on(report)
    assert "GIL" not in advice_on(report)


def test_go_is_advised_in_its_own_words(tmp_path):
    (tmp_path / "go.log").write_text(GO)
    report = report_on(tmp_path / "go.log", GOLDEN / "clang-19" / "race_global.log")
    go, cxx = (advice(finding, frozenset({Program.PYTHON})) for finding in report.findings)
    assert "sync.Mutex" in go
    assert not any(word in go for word in ("GIL", "std::", "pybind11"))
    assert "sync.Mutex" not in cxx


def test_code_of_an_unknown_owner_is_explained(report_of):
    theirs = report_of("race_global", own=("/nowhere",))
    for name in ("terminal", "html", "markdown"):
        text = " ".join(RENDERINGS[name].render(theirs).decode().replace("\\", "").split())
        assert "1 finding in code that is not known to be yours: name your folders and modules with --own" in text, name
    for name in ("terminal", "html", "markdown"):
        assert "--own" not in RENDERINGS[name].render(report_of("race_global")).decode()
