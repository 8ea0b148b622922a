"""checked_refs.hpp: references that are counted inline on a release build are seen, alone and with either binding."""

import subprocess
from pathlib import Path

import pytest

from python_tsan.locks.model import Rule
from tests.locks.conftest import pythons_to_embed

pytestmark = [pytest.mark.compiler, pytest.mark.slow]

INCLUDE = Path(__file__).parents[2] / "native" / "include"
HEADER = "python_tsan/checked_refs.hpp"
PROGRAM = """
#include <Python.h>
#include <cstring>
#include <thread>
static PyObject* list = nullptr;
static PyObject* slot = nullptr;
__attribute__((noinline)) void keep() { COUNT; }
int main(int count, char** words) {
    Py_InitializeEx(0);
    list = PyList_New(0);
    PyThreadState* state = PyEval_SaveThread();
    std::thread([=] {
        if (count > 1) { auto ensured = PyGILState_Ensure(); keep(); PyGILState_Release(ensured); } else { keep(); }
    }).join();
    PyEval_RestoreThread(state);
    if (Py_REFCNT(list) != EXPECTED) return 8;
    return Py_FinalizeEx();
}
"""
# What counts, and the references to the list afterwards. Py_CLEAR, Py_SETREF and the like are made of these.
WAYS = {
    "Py_INCREF(list)": 2,
    "Py_XINCREF(list)": 2,
    "slot = Py_NewRef(list)": 2,
    "slot = Py_XNewRef(list)": 2,
    "Py_INCREF(reinterpret_cast<PyListObject*>(list)); Py_DECREF(list)": 1,
    "slot = Py_NewRef(list); Py_CLEAR(slot)": 1,
    "Py_XDECREF(static_cast<PyObject*>(nullptr)); Py_INCREF(static_cast<const PyObject*>(list))": 2,
}
PYTHONS = pythons_to_embed()


@pytest.fixture(scope="module", params=PYTHONS, ids=lambda pair: pair[0].version)
def flags(request):
    return request.param[1]


def build(compile_cpp, way, flags, *extra):
    text = PROGRAM.replace("COUNT", way).replace("EXPECTED", str(WAYS[way]))
    return compile_cpp(text, "-O2", f"-I{INCLUDE}", *extra, *flags)


@pytest.mark.parametrize("way", ["Py_INCREF(list)", "slot = Py_NewRef(list); Py_CLEAR(slot)"])
def test_a_reference_counted_without_the_gil_is_seen_with_the_header(way, compile_cpp, flags, record):
    checked = build(compile_cpp, way, flags, "-include", HEADER)
    (trace,) = record(checked)
    assert {(each.rule in {Rule.NO_THREAD_STATE, Rule.GIL_NOT_HELD}) for each in trace.misuses} == {True}
    assert {each.function for each in trace.misuses} <= {"Py_IncRef", "Py_DecRef"}
    (trace,) = record(checked, "with the GIL")
    assert trace.misuses == ()


def test_without_the_header_it_is_not_seen(compile_cpp, record, stock_flags):
    (trace,) = record(build(compile_cpp, "Py_INCREF(list)", stock_flags))
    assert trace.misuses == ()


@pytest.mark.parametrize("way", WAYS)
def test_the_count_is_that_of_cpythons_own_macros(way, compile_cpp, stock_flags):
    for extra in ((), ("-include", HEADER)):
        subprocess.run([build(compile_cpp, way, stock_flags, *extra), "with the GIL"], check=True, timeout=30)


BOUND = """
#include <thread>
struct Gil {
    PyGILState_STATE state = PyGILState_Ensure();
    ~Gil() { PyGILState_Release(state); }
};
int main(int count, char**) {
    Py_InitializeEx(0);
    {
        OBJECT kept = STEAL(PyList_New(0));
        PyThreadState* state = PyEval_SaveThread();
        std::thread([&] {
            if (count > 1) { Gil gil; OBJECT copy = kept; } else { OBJECT copy = kept; }
        }).join();
        PyEval_RestoreThread(state);
    }
    return Py_FinalizeEx();
}
"""


def pybind11_program():
    include = Path(pytest.importorskip("pybind11").get_include())
    names = {"OBJECT": "pybind11::object", "STEAL": "pybind11::reinterpret_steal<pybind11::object>"}
    return "#include <pybind11/pybind11.h>", names, [f"-I{include}"]


def nanobind_program():
    root = Path(pytest.importorskip("nanobind").include_dir()).parent
    names = {"OBJECT": "nanobind::object", "STEAL": "nanobind::steal<nanobind::object>"}
    flags = [f"-I{root}/include", f"-I{root}/ext/robin_map/include", f"{root}/src/nb_combined.cpp"]
    return "#include <nanobind/nanobind.h>", names, flags


@pytest.mark.parametrize("binding", [pybind11_program, nanobind_program])
def test_the_objects_of_a_binding_are_seen(binding, compile_cpp, record, stock_flags):
    head, names, extra = binding()
    text = head + BOUND
    for name, value in names.items():
        text = text.replace(name, value)
    program = compile_cpp(text, "-DNDEBUG", f"-I{INCLUDE}", "-include", HEADER, *extra, *stock_flags)
    (trace,) = record(program)
    assert {each.function for each in trace.misuses} == {"Py_IncRef", "Py_DecRef"}
    (trace,) = record(program, "with the GIL")
    assert trace.misuses == ()


def test_after_a_binding_it_is_refused(compile_cpp, stock_flags):
    pytest.importorskip("pybind11")
    head, _, extra = pybind11_program()
    ours, flags = f"#include <{HEADER}>", ("-fsyntax-only", f"-I{INCLUDE}", *extra, *stock_flags)
    compile_cpp(f"{ours}\n{head}\nint main() {{}}\n", *flags)
    with pytest.raises(subprocess.CalledProcessError):
        compile_cpp(f"{head}\n{ours}\nint main() {{}}\n", *flags)
