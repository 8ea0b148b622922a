"""The watch in a process of its own: silent while imports go well, exact when they do not."""

import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from lazy_python import LAZY, needs_lazy

from python_tsan.errors import SubjectError
from python_tsan.imports.cases.import_cases import wait_graph
from python_tsan.imports.cases.import_cases import watch as inside
from python_tsan.imports.watch import WATCH, watch, watch_environment

SYNC = "import threading\n\nA, B = threading.Event(), threading.Event()\n"
SIDE = "import sync\nfrom importlib import import_module\n\nsync.{0}.set()\nsync.{1}.wait()\nimport_module({2!r})\n"
CROSSED = {"sync.py": SYNC, "a.py": SIDE.format("A", "B", "b"), "b.py": SIDE.format("B", "A", "a")}
RUN_BOTH = """\
import threading
import sync

def run(name):
    try:
        __import__(name)
    except RuntimeError as error:
        print(type(error).__name__, error)

threads = [threading.Thread(target=run, args=(name,), name="imports " + name) for name in "ab"]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
JOINING = """\
import threading

thread = threading.Thread(target=lambda: __import__("stuck"), name="inner", daemon=True)
thread.start()
thread.join(1.5)
"""


def write(folder, files):
    for path, text in files.items():
        (folder / path).write_text(text)


def python(folder, *arguments, stall=10.0, command=(sys.executable,), **more):
    env = watch_environment({**os.environ, **more}, stall=stall, log=folder / "log")
    command = [*command, *arguments]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=60, check=True)


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 hands out the partially initialized module")
def test_a_deadlock_is_shown_with_both_threads_their_modules_and_the_statements(tmp_path):
    write(tmp_path, {**CROSSED, "main.py": RUN_BOTH})
    ended = python(tmp_path, "main.py")
    assert "_DeadlockError deadlock detected by _ModuleLock" in ended.stdout
    head, first, second = ended.stderr.splitlines()[:3]
    assert head.startswith("python-tsan: deadlock between imports, closed by imports ")
    assert ": _DeadlockError (process " in head
    told = sorted([first, second])
    for line, (mine, other) in zip(told, ("ab", "ba"), strict=True):
        assert f"imports {mine} holds {mine} and waits for {other}, which imports {other} holds: " in line
        assert line.endswith(f"{mine}.py:6 in <module>: import_module({other!r})")
    assert ended.stderr.count("innermost last:") == 2
    assert (tmp_path / "log").read_text().endswith(ended.stderr)


def test_a_partially_initialized_module_is_reported_as_such(tmp_path):
    files = {name: text.replace(f"import_module({other!r})", f"import {other}")
             for name, text in CROSSED.items() for other in "ba" if name != f"{other}.py"}  # fmt: skip
    write(tmp_path, {**files, "main.py": RUN_BOTH})
    ended = python(tmp_path, "main.py")
    assert "handed out partially initialized" in ended.stderr
    assert ended.stdout == ""


def test_imports_that_stand_still_are_reported_once_and_with_the_place_of_the_owner(tmp_path):
    write(tmp_path, {"stuck.py": JOINING})
    ended = python(tmp_path, "-c", "import stuck", stall=0.2)
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("python-tsan: imports have stood still for 0.2 s")
    assert sum("stood still" in line for line in lines) == 1
    assert any(line.startswith("  inner waits for stuck, which MainThread holds: ") for line in lines)
    assert any(line.startswith("  MainThread holds stuck: ") for line in lines)
    assert any(line.endswith("stuck.py:5 in <module>: thread.join(1.5)") for line in lines)


def test_a_forked_child_reports_a_lock_whose_owner_it_does_not_have(tmp_path):
    code = (
        "import os, sync, threading, time\n"
        "thread = threading.Thread(target=lambda: __import__('slow'), daemon=True)\n"
        "thread.start()\n"
        "sync.A.wait()\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    threading.Timer(1.5, os._exit, [0]).start()\n"
        "    import slow\n"
        "os.waitpid(child, 0)\n"
        "sync.B.set()\n"
    )
    slow = "import sync\nsync.A.set()\nsync.B.wait()\n"
    write(tmp_path, {"sync.py": SYNC, "slow.py": slow, "main.py": code})
    ended = python(tmp_path, "-W", "ignore", "main.py", stall=0.2)
    assert "MainThread waits for slow, which thread " in ended.stderr
    assert "held when this process was forked from its" in ended.stderr


THREADS = {
    "threading": "import threading\nt = threading.Thread(target=__import__, args=('slow',))\nt.start()\nimport slow\n",
    "_thread": "import _thread\n_thread.start_new_thread(__import__, ('slow',))\nimport slow\n",
}


@pytest.mark.parametrize("threads", list(THREADS))
@pytest.mark.parametrize("computing", ["sorted(range(10**6), key=str)", "for _ in range(10**7): pass"])
def test_a_slow_import_that_another_thread_waits_for_is_not_reported(tmp_path, computing, threads):
    """Each look finds it at the same place."""
    slow = f"import time\n\nend = time.monotonic() + 3\nwhile time.monotonic() < end:\n    {computing}\n"
    write(tmp_path, {"slow.py": slow, "main.py": THREADS[threads]})
    assert python(tmp_path, "main.py", stall=1.5).stderr == ""


@pytest.mark.parametrize(("share", "expected"), [(0.0, inside.POLLS + 1), (2 * inside.COMPUTING, None)])
def test_a_standstill_is_as_many_looks_as_it_takes_no_matter_what_the_clock_says(share, expected, monkeypatch):
    """A machine that stands still itself, or a process that is stopped, gives an import no time to go on."""
    looks, reports = [], []
    lock = SimpleNamespace(name="slow", owner=2)
    monkeypatch.setattr(inside, "waits", lambda: [(1, lock)] if len(looks) < 10 * inside.POLLS else [])
    monkeypatch.setattr(inside, "_fingerprint", lambda _: "here")
    monkeypatch.setattr(inside, "_cpu_seconds", lambda _: len(looks) * share / inside.POLLS)
    monkeypatch.setattr(inside.time, "sleep", looks.append)
    monkeypatch.setattr(inside.time, "monotonic", lambda: 1e6 * len(looks))
    watched = inside.ImportWatch(1.0, "")
    monkeypatch.setattr(watched, "_stalled", lambda: reports.append(len(looks)))
    watched._look()
    assert reports == [expected][: expected is not None]


def test_a_thread_that_has_ended_has_no_processor_time(monkeypatch):
    monkeypatch.setattr(inside, "all_frames", lambda: {1: None, threading.get_ident(): None})
    gone, here = SimpleNamespace(owner=1), SimpleNamespace(owner=threading.get_ident())
    assert inside._cpu_seconds({1: gone}) == 0
    assert inside._cpu_seconds({1: here}) > 0


def test_a_program_whose_imports_do_not_meet_has_no_thread_more_and_no_module_but_the_watchs(tmp_path):
    code = (
        "import sys, _thread, json; print(_thread._count(), sorted(m for m in sys.modules if m.startswith('import_')))"
    )
    ended = python(tmp_path, "-c", code)
    modules = [f"import_cases{each}" for each in ("", ".wait_graph", ".watch", ".watch_report")]
    assert ended.stdout.split("\n")[0] == f"0 {modules}"
    assert ended.stderr == ""


def test_the_sitecustomize_that_was_there_still_runs(tmp_path):
    write(tmp_path, {"sitecustomize.py": "MARK = 'mine'\n"})
    ended = python(tmp_path, "-c", "import sitecustomize; print(sitecustomize.MARK)", PYTHONPATH=str(tmp_path))
    assert ended.stdout == "mine\n"


@pytest.mark.parametrize(("given", "seconds"), [("", 10.0), ("2.5", 2.5), ("-1", 10.0), ("soon", 10.0)])
def test_the_environment_sets_the_seconds_and_nonsense_leaves_the_default(given, seconds, monkeypatch):
    made = []
    monkeypatch.setattr(inside.ImportWatch, "install", lambda self: made.append(self.stall))
    inside.start({inside.STALL_VARIABLE: given})
    assert made == [seconds]


def test_a_cycle_of_three_is_followed_to_its_end(monkeypatch):
    class Lock:
        def __init__(self, name, owner):
            self.name, self.owner = name, owner

    wants = {1: Lock("b", 2), 2: [Lock("x", None), Lock("c", 3)], 3: Lock("a", 1), 4: Lock("a", 1)}
    monkeypatch.setitem(vars(wait_graph.bootstrap), "_blocking_on", wants)
    assert [(thread, lock.name) for thread, lock in wait_graph.cycle_from(1)] == [(1, "b"), (2, "c"), (3, "a")]
    assert wait_graph.cycle_from(4) == []


def test_a_watched_command_is_summed_up(tmp_path):
    write(tmp_path, {"stuck.py": JOINING})
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import stuck; sys.exit(3)"
    ended = watch([sys.executable, "-c", code], stall=0.2, env=os.environ)
    assert (ended.exit_code, ended.interpreters, ended.reports) == (3, 1, 1)
    assert watch([sys.executable, "-I", "-c", ""], stall=1, env=os.environ).interpreters == 0
    with pytest.raises(SubjectError, match="no such file"):
        watch([str(tmp_path / "missing")], stall=1, env=os.environ)


def test_the_folder_of_the_watch_comes_before_the_users_own():
    path = watch_environment({"PYTHONPATH": "/theirs"}, stall=1, log=WATCH)["PYTHONPATH"]
    assert path.split(os.pathsep) == [str(WATCH), "/theirs"]


def test_an_owner_that_waits_for_a_native_lock_is_shown_with_the_line_that_waits(tmp_path):
    # ctypes releases the GIL around the call, as a careful extension does; the mutex is held by nobody's Python.
    native = (
        "import ctypes\n"
        "mutex = ctypes.create_string_buffer(256)\n"
        "library = ctypes.CDLL(None)\n"
        "library.pthread_mutex_lock(mutex)\n"
        "seconds = (ctypes.c_long * 2)(int(__import__('time').time()) + 3, 0)\n"
        "library.pthread_mutex_timedlock(mutex, seconds)\n"
    )
    code = (
        "import threading\n"
        "t = threading.Thread(target=__import__, args=('native',), name='first')\n"
        "t.start()\n"
        "import native\n"
        "t.join()\n"
    )
    write(tmp_path, {"native.py": native, "main.py": code})
    lines = python(tmp_path, "main.py", stall=0.3).stderr.splitlines()
    assert "imports have stood still" in lines[0]
    owner = next(line for line in lines if " holds native: " in line)
    assert owner.endswith("native.py:6 in <module>: library.pthread_mutex_timedlock(mutex, seconds)")
    assert any(" waits for native, which " in line for line in lines)


EMBEDDER = r"""
#include <Python.h>
#include <thread>

static void import_one(const char* name) {
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject* module = PyImport_ImportModule(name);
    if (module == nullptr) PyErr_Clear();
    Py_XDECREF(module);
    PyGILState_Release(state);
}

int main() {
    Py_Initialize();
    PyThreadState* saved = PyEval_SaveThread();
    std::thread first(import_one, "a"), second(import_one, "b");
    first.join();
    second.join();
    PyEval_RestoreThread(saved);
    return Py_FinalizeEx();
}
"""


def embedding_flags():
    """Return what links the running Python's library into a program, None where it has no shared one."""
    library = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LDLIBRARY") or "")
    if not sysconfig.get_config_var("Py_ENABLE_SHARED") or not library.is_file():
        return None
    includes = [f"-I{sysconfig.get_path(kind)}" for kind in ("include", "platinclude")]
    return [*includes, str(library), f"-Wl,-rpath,{library.parent}", "-pthread"]


@pytest.mark.compiler
@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
@pytest.mark.skipif(embedding_flags() is None, reason="this Python has no shared library")
@pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 hands out the partially initialized module")
def test_a_program_of_c_plus_plus_needs_nothing_but_the_variable(tmp_path):
    write(tmp_path, {**CROSSED, "embed.cpp": EMBEDDER})
    command = ["c++", "-std=c++17", "embed.cpp", *embedding_flags(), "-o", "embed"]
    subprocess.run(command, cwd=tmp_path, check=True)
    path = os.pathsep.join([str(WATCH), str(tmp_path)])
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env |= {"PYTHONPATH": path, "PYTHONHOME": sys.base_prefix}
    ended = subprocess.run(["./embed"], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    head, first, second = ended.stderr.splitlines()[:3]
    assert head.startswith("python-tsan: deadlock between imports, closed by thread ")
    told = sorted([first, second], key=lambda line: line.partition(" holds ")[2])
    assert " holds a and waits for b, which thread " in told[0]
    assert " holds b and waits for a, which thread " in told[1]
    assert told[0].endswith("a.py:6 in <module>: import_module('b')")


def test_a_sub_interpreter_is_watched_like_any_other(tmp_path):
    code = (
        "try:\n    import _interpreters as interpreters\n"
        "except ImportError:\n    import _xxsubinterpreters as interpreters\n"
        "interpreters.run_string(interpreters.create(), \"import sys; print('import_cases.watch' in sys.modules)\")\n"
    )
    assert python(tmp_path, "-c", code).stdout == "True\n"


LAZY_MAIN = """\
import sys
import threading
import types

lazy import a
lazy import b
lazy import c


def use_a():
    a


def use_b():
    b


threads = [threading.Thread(target=use, name=use.__name__) for use in (use_a, use_b)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
watch = [module for name, module in sys.modules.items() if name.startswith("import_cases")]
raw = [name for module in watch for name, value in vars(module).items() if type(value) is types.LazyImportType]
print(sys.get_lazy_imports(), len(watch) > 2, raw, type(globals()["c"]).__name__, "c" in sys.modules)
"""


@needs_lazy
@pytest.mark.parametrize("mode", ["normal", "all"])
def test_the_uses_of_lazy_names_are_watched_and_the_watch_makes_none(mode, tmp_path):
    """In mode all, the imports of the watch would be lazy themselves, and its report of a stall would import."""
    side = "X = 1\nimport sync\nsync.{0}.set()\nsync.{1}.wait()\nimport {2}\n{2}.X\n"
    files = {"sync.py": SYNC, "a.py": side.format("A", "B", "b"), "b.py": side.format("B", "A", "a"), "c.py": ""}
    write(tmp_path, {**files, "main.py": LAZY_MAIN})
    ended = python(tmp_path, "-X", f"lazy_imports={mode}", "main.py", command=LAZY.command)
    assert ended.stdout == f"{mode} True [] lazy_import False\n"
    assert "deadlock between imports, closed by use_" in ended.stderr
    assert " in use_a: a\n" in ended.stderr
    assert " in use_b: b\n" in ended.stderr
