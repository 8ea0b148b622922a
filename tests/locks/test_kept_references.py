"""Borrowed references that are kept over a release of the GIL are advice, and no finding."""

import pytest

from python_tsan.cli.main import main
from python_tsan.errors import ExitCode
from python_tsan.locks.misuse import misuse_findings, references_kept
from python_tsan.locks.model import CallStack, GilSight, LockTrace, Misuse, Rule, TracedThread
from python_tsan.locks.naming import Lookup
from python_tsan.result.model import KeptReference
from python_tsan.tsan.finding import Frame
from tests.locks.conftest import latest

NOTHING = Lookup(functions=lambda _: {}, variables=lambda _: {})
PROGRAM = """
#include <Python.h>
#include <cstring>
static PyObject* owner = nullptr;
__attribute__((noinline)) void look(bool safe) {
    PyObject* item = PyList_GetItem(owner, 0);
    const char* text = PyUnicode_AsUTF8(item);
    if (safe) Py_INCREF(item);
    PyThreadState* state = PyEval_SaveThread();
    const auto length = std::strlen(text);
    PyEval_RestoreThread(state);
    if (PyUnicode_GetLength(item) != (Py_ssize_t)length) std::abort();
    if (safe) Py_DECREF(item);
}
int main(int count, char** words) {
    Py_InitializeEx(0);
    owner = PyList_New(1);
    PyList_SetItem(owner, 0, PyUnicode_FromFormat("file %d", 12));
    for (int i = 0; i < 3; ++i) look(count > 1 && std::strcmp(words[1], "safe") == 0);
    return Py_FinalizeEx();
}
"""


def kept():
    return [
        each for verdict in latest()["verdicts"] for one in verdict["observations"] for each in one["kept_references"]
    ]


@pytest.mark.compiler
@pytest.mark.slow
def test_it_is_shown_and_counted_and_the_run_is_clean(program, capsys):
    assert main(["run", "--", program]) == ExitCode.CLEAN
    (one,) = kept()
    assert (one["function"], one["used_by"], one["count"]) == ("PyList_GetItem", "PyUnicode_GetLength", 3)
    printed = " ".join(capsys.readouterr().out.split())
    assert "advice: PyList_GetItem at program.cpp:6 look returned a borrowed reference" in printed
    assert "passed to PyUnicode_GetLength at program.cpp:12 look (3 times); use PyList_GetItemRef" in printed
    assert latest()["findings"] == []


@pytest.mark.compiler
@pytest.mark.slow
def test_a_reference_that_was_counted_inline_is_not_shown(program, capsys):
    assert main(["run", "--", program, "safe"]) == ExitCode.CLEAN
    assert kept() == []
    assert "advice:" not in capsys.readouterr().out


@pytest.mark.compiler
@pytest.mark.slow
def test_it_belongs_to_the_contract_of_the_c_api(program):
    assert main(["run", "--quiet", "--detect", "locks", "--", program]) == ExitCode.CLEAN
    assert kept() == []


def place(*symbols):
    frames = (Frame(index=n, module="/p", symbol=each, file="p.cpp", line=n + 1) for n, each in enumerate(symbols))
    return CallStack(native=tuple(frames))


def trace_of(borrowed, used):
    misuse = Misuse(
        rule=Rule.BORROWED_KEPT,
        function="PyObject_Repr",
        thread=0,
        stack=used,
        last="PyDict_GetItemString",
        last_place=borrowed,
    )
    return LockTrace(pid=5, gil=GilSight.RECOGNISED, threads=(TracedThread(id=0, tid=5),), misuses=(misuse,))


def test_the_function_that_borrowed_may_pass_it_to_another_of_the_program():
    trace = trace_of(place("work"), place("show", "work", "main"))
    assert list(references_kept(trace, NOTHING)) == [
        KeptReference(
            function="PyDict_GetItemString",
            place="p.cpp:1 work",
            used_by="PyObject_Repr",
            used_at="p.cpp:1 show",
            instead="PyDict_GetItemStringRef",
        )
    ]
    assert list(misuse_findings(trace, "recorded", NOTHING)) == []


@pytest.mark.parametrize(
    ("borrowed", "used"),
    [(place("get"), place("work", "main")), (place(""), place("")), (CallStack(), place("work"))],
    ids=["another function", "stripped", "unknown"],
)
def test_where_it_may_be_another_reference_nothing_is_shown(borrowed, used):
    assert list(references_kept(trace_of(borrowed, used), NOTHING)) == []
