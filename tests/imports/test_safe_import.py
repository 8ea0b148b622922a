"""safe_import.hpp, compiled into an extension module with nothing but the C API, and used by threads."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from cycling import CYCLE, SYNC, THREADS, write_files

from python_tsan.binding import BINDINGS, Library
from python_tsan.console import make_console
from python_tsan.harness.bindings import find_binding
from python_tsan.paths import Layout

pytestmark = pytest.mark.compiler

INCLUDE = Path(__file__).parents[2] / "native" / "include"
SOURCE = r"""
#include <python_tsan/safe_import.hpp>

static PyObject* call(PyObject*, PyObject* name) {
    const char* text = PyUnicode_AsUTF8(name);
    return text == nullptr ? nullptr : python_tsan::safe_import_raw(text);
}

static PyObject* use(PyObject*, PyObject* module) {
    if (python_tsan::import_lazy_names(module) != 0) {
        return nullptr;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"safe_import", call, METH_O, ""},
                                {"import_lazy_names", use, METH_O, ""},
                                {nullptr, nullptr, 0, nullptr}};
static PyModuleDef_Slot slots[] = {
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "safely", "", 0, methods, slots, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit_safely() {
    return PyModuleDef_Init(&definition);
}
"""


def compiler():
    return shutil.which("clang++-19") or shutil.which("clang++") or shutil.which("g++") or "c++"


def build(folder, source, *flags):
    file = folder / "source.cpp"
    file.write_text(source)
    includes = [f"-I{INCLUDE}", f"-I{sysconfig.get_path('include')}"]
    strict = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
    command = [compiler(), *strict, *includes, *flags, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("safely")
    built = build(folder, SOURCE, "-shared", "-fPIC", "-o", str(folder / "safely.so"))
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture
def play(library, tmp_path):
    def run(files, code):
        write_files(tmp_path, files)
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [tmp_path, *run.path]))}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=20).stdout.split()

    run.path = [library]
    return run


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 hands out the partially initialized module")
def test_a_cycle_that_breaks_plain_imports_is_imported_whole(play):
    plain = THREADS.format(module="importlib", function="import_module", names=["a", "b"])
    assert "_DeadlockError" in play(CYCLE, plain)  # in both threads, if both close the cycle at once
    safe = THREADS.format(module="safely", function="safe_import", names=["a", "b"])
    assert play(CYCLE, safe) == ["a", "b"]


def test_a_module_is_handed_out_when_its_body_has_ended(play):
    files = {"slow.py": "import time\ntime.sleep(0.3)\nDONE = 1\n", "sync.py": SYNC}
    code = (
        "import safely, threading\n"
        "met = []\n"
        "def run(): met.append(safely.safe_import('slow').DONE)\n"
        "threads = [threading.Thread(target=run) for _ in range(4)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]; print(*met)\n"
    )
    assert play(files, code) == ["1"] * 4


def test_threads_that_waited_for_a_body_that_fails_meet_its_error_and_no_remains(play):
    files = {"sync.py": "", "failing.py": "import time\ntime.sleep(0.2)\nraise LookupError\n"}
    code = THREADS.format(module="safely", function="safe_import", names=["failing"] * 3)
    assert play(files, code) == ["LookupError"] * 3


def test_a_forbidden_import_stays_forbidden(play):
    code = (
        "import safely, sys\n"
        "sys.modules['csv'] = None\n"
        "try:\n"
        "    safely.safe_import('csv')\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__)\n"
    )
    assert play({}, code) == ["ModuleNotFoundError"]


def test_a_thread_inside_an_import_waits_for_nobodys_turn(play):
    files = {
        "sync.py": SYNC,
        "outer.py": "import safely, sync\nsync.A.set()\nsync.B.wait()\nsafely.safe_import('inner')\n",
        "inner.py": "",
        "other.py": "import sync\nsync.A.wait()\nsync.B.set()\nimport outer\n",
    }
    code = (
        "import safely, threading\n"
        "one = threading.Thread(target=__import__, args=('outer',))\n"
        "two = threading.Thread(target=safely.safe_import, args=('other',))\n"
        "one.start(); two.start(); one.join(); two.join(); print('through')\n"
    )
    assert play(files, code) == ["through"]


def test_parents_come_first_and_the_leaf_is_returned(play):
    files = {"p/__init__.py": "print('p')\n", "p/q/__init__.py": "print('q')\n", "p/q/r.py": "print('r')\n"}
    assert play(files, "import safely; print(safely.safe_import('p.q.r').__name__)") == ["p", "q", "r", "p.q.r"]


def test_errors_are_pythons_own_and_leave_the_turn_free(play):
    code = (
        "import safely\n"
        "for name in ('', '.x', 'missing', 'missing.x', 'bad', 'os.nothing', '\\udc80'):\n"
        "    try:\n"
        "        safely.safe_import(name)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
        "print(safely.safe_import('csv').__name__)\n"
    )
    told = play({"bad.py": "1 / 0\n"}, code)
    missing = "ModuleNotFoundError"
    assert told == ["ValueError", missing, missing, missing, "ZeroDivisionError", missing, "UnicodeEncodeError", "csv"]


# What 3.15 has of its own, for every version: a type, and a module whose attribute uses and replaces an object of it.
LAZY = """\
import safely, types
class Lazy: pass
types.LazyImportType = getattr(types, "LazyImportType", Lazy)
class Module(types.ModuleType):
    def __getattribute__(self, name):
        if name == "fails": raise LookupError
        if name[0] == "q": vars(self)[name] = print(name)
        return super().__getattribute__(name)
m = Module("m")
"""


REGISTERED = """\
import sys
sys.lazy_modules = {"p.b.qc", "p.gone", "pp.qy", "q.x"}
p = Module("p")
p.b = Module("p.b")
class Owner(Module): p = property(lambda _: p)
owner = Owner("owner")
vars(owner)["p"] = Lazy()
safely.import_lazy_names(owner)
"""


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 has lazy names of its own")
@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("m.q1, m.q2, m.x = Lazy(), Lazy(), 1; safely.import_lazy_names(m); safely.import_lazy_names(m)", ["q1", "q2"]),
        ("m.x = 1; safely.import_lazy_names(m)", []),
        (REGISTERED, ["qc"]),
        ("del types.LazyImportType; m.q1 = Lazy(); safely.import_lazy_names(m)", []),
        (
            "m.fails = Lazy()\ntry: safely.import_lazy_names(m)\nexcept LookupError: print('raised')",
            ["raised"],
        ),
        ("try: safely.import_lazy_names(1)\nexcept SystemError: print('no module')", ["no", "module"]),
    ],
)
def test_lazy_names_are_used_in_their_order_and_nothing_else(code, printed, play):
    assert play({}, LAZY + code) == printed


def test_each_interpreter_has_modules_of_its_own(play):
    """From 3.12 on each has a GIL of its own too, so that both may be inside the function at once."""
    code = (
        "import safely, threading\n"
        "try:\n"
        "    import _interpreters as interpreters\n"
        "except ImportError:\n"
        "    import _xxsubinterpreters as interpreters\n"
        "own = safely.safe_import('mark')\n"
        "own.NAME = b'changed '\n"
        "code = 'import os, safely; os.write(1, safely.safe_import(\"mark\").NAME)'\n"
        "others = [interpreters.create() for _ in range(2)]\n"
        "threads = [threading.Thread(target=interpreters.run_string, args=(o, code)) for o in others]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "[interpreters.destroy(o) for o in others]\n"
        "print(safely.safe_import('mark') is own)\n"
    )
    assert play({"mark.py": "NAME = b'fresh '\n"}, code) == ["fresh", "fresh", "True"]


PYBIND11 = r"""
#include <pybind11/pybind11.h>

#include <python_tsan/safe_import.hpp>

PYBIND11_MODULE(bound, m) {
    m.def("safe_import", [](const char* name) -> pybind11::module_ { return python_tsan::safe_import(name); });
}
"""


NANOBIND = r"""
#include <nanobind/nanobind.h>

#include <python_tsan/safe_import.hpp>

NB_MODULE(bound, m) {
    m.def("safe_import", [](const char* name) -> nanobind::module_ { return python_tsan::safe_import(name); });
}
"""


# Two of them are installed with the tests; the other has to be fetched.
OTHER = pytest.param(BINDINGS[1], marks=pytest.mark.network)


@pytest.fixture(scope="module", params=[BINDINGS[0], OTHER, BINDINGS[2]], ids=str)
def bound(request, tmp_path_factory):
    """Build an extension module with one line of a binding's releases."""
    folder = tmp_path_factory.mktemp("bound")
    package = find_binding(request.param, layout=Layout(root=folder / "cache"), console=make_console(quiet=True))
    flags = ["-shared", "-fPIC", "-fvisibility=hidden", "-isystem", package / "include"]
    if request.param.library is Library.NANOBIND:
        flags += ["-isystem", package / "ext/robin_map/include", package / "src/nb_combined.cpp"]
    source = NANOBIND if request.param.library is Library.NANOBIND else PYBIND11
    built = build(folder, source, *map(str, flags), "-o", str(folder / "bound.so"))
    assert built.returncode == 0, built.stderr
    return folder


def test_a_binding_gets_modules_and_pythons_own_errors(bound, play):
    play.path.append(bound)
    threads = THREADS.format(module="bound", function="safe_import", names=["a", "b"])
    assert play(CYCLE, threads) == ["a", "b"]
    missing = THREADS.format(module="bound", function="safe_import", names=["missing", "missing.x"])
    assert play({}, missing) == ["ModuleNotFoundError"] * 2
