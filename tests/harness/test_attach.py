"""attach.hpp in an extension module with nothing but the C API: what ends the wait for guards, and who gets no view."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.compiler

INCLUDE = Path(__file__).parents[2] / "native" / "include"
SOURCE = r"""
#include <python_tsan/attach.hpp>

static python_tsan::InterpreterView* view = nullptr;
static python_tsan::InterpreterGuard* guard = nullptr;

static PyObject* look(PyObject*, PyObject*) {
    try {
        view = new python_tsan::InterpreterView();
    } catch (const std::exception& problem) {
        PyErr_SetString(PyExc_RuntimeError, problem.what());
        return nullptr;
    }
    Py_RETURN_NONE;
}
static PyObject* hold(PyObject*, PyObject*) {
    guard = new python_tsan::InterpreterGuard(*view);
    return PyBool_FromLong(static_cast<bool>(*guard));
}
static PyObject* drop(PyObject*, PyObject*) {
    delete guard;
    guard = nullptr;
    Py_RETURN_NONE;
}
static PyObject* attach(PyObject*, PyObject*) {
    const python_tsan::Attachment attached(*view);
    return PyBool_FromLong(static_cast<bool>(attached));
}

static PyMethodDef methods[] = {{"look", look, METH_NOARGS, ""},
                                {"hold", hold, METH_NOARGS, ""},
                                {"drop", drop, METH_NOARGS, ""},
                                {"attach", attach, METH_NOARGS, ""},
                                {nullptr, nullptr, 0, nullptr}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "late", "", -1, methods, nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit_late() {
    return PyModule_Create(&definition);
}
"""


def build(place, *flags):
    source = place / "late.cpp"
    source.write_text(SOURCE)
    compiler = shutil.which("clang++-19") or shutil.which("clang++") or shutil.which("g++") or "c++"
    strict = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC"]
    includes = [f"-I{INCLUDE}", f"-I{sysconfig.get_path('include')}"]
    command = [compiler, *strict, *includes, *flags, str(source), "-o", str(place / "late.so")]
    built = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert built.returncode == 0, built.stderr
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build(tmp_path_factory.mktemp("late"))


@pytest.mark.parametrize("version", ["0x03090000", "0x030F0000"])
def test_it_compiles_for_the_stable_abi(version, tmp_path):
    build(tmp_path, f"-DPy_LIMITED_API={version}")


@pytest.fixture
def start(folder):
    def started(code):
        env = {**os.environ, "PYTHONPATH": str(folder)}
        return subprocess.Popen(
            [sys.executable, "-c", f"import late\n{code}"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


def test_finalization_waits_for_a_guard_until_another_thread_drops_it(start):
    code = (
        "import atexit, threading\n"
        "late.look(); print(late.hold())\n"
        "begun = threading.Event()\n"
        "def work():\n"
        "    begun.wait(); print(late.attach(), flush=True); late.drop()\n"
        # Not a thread of threading's: those are joined before any function of atexit runs.
        "import _thread; _thread.start_new_thread(work, ())\n"
        "atexit.register(begun.set)\n"
    )
    with start(code) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "True\nTrue\n", "")


def test_ctrl_c_ends_the_wait_for_a_guard_that_is_never_dropped(start):
    with start("late.look(); late.hold(); print('holds', flush=True)") as process:
        assert process.stdout.readline() == "holds\n"
        limit = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < limit:
            process.send_signal(signal.SIGINT)  # an early one ends what comes before the wait
            time.sleep(0.1)
        ended = process.poll()
        process.kill()
    assert ended is not None, "it still waits"


def test_a_child_of_fork_does_not_wait_for_threads_that_it_does_not_have(start):
    code = (
        "import os, sys\n"
        "late.look(); late.hold()\n"
        "child = os.fork()\n"
        "if not child: sys.exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "late.drop()\n"
    )
    with start(code) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "7\n", "")


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="from 3.15 on every interpreter has views")
def test_before_views_a_sub_interpreter_is_refused(start):
    code = (
        "import _xxsubinterpreters as interpreters\n"
        "one = interpreters.create()\n"
        "interpreters.run_string(one, '''\n"
        "import late\n"
        "try: late.look()\n"
        "except RuntimeError as error: print(error)\n"
        "''')\n"
    )
    if sys.version_info >= (3, 13):
        pytest.skip("the interpreters module has another name here")
    with start(code) as process:
        out, _ = process.communicate(timeout=20)
    assert out == "python_tsan::InterpreterView: before CPython 3.15 only for the main interpreter\n"


def test_an_attachment_in_a_function_of_atexit_that_runs_later_is_refused(start):
    code = "import atexit\natexit.register(lambda: print(late.attach()))\nlate.look(); print(late.attach())"
    with start(code) as process:
        out, err = process.communicate(timeout=20)
    expected = "True\nTrue\n" if sys.version_info >= (3, 15) else "True\nFalse\n"
    assert (process.returncode, out, err) == (0, expected, "")
