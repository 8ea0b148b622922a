"""`run` on programs without instrumented code that embed a stock Python: locks are judged, races are not."""

import json
from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.errors import ExitCode
from python_tsan.locks.model import GilSight, LockKind
from tests.locks.conftest import embeddable, latest, python_flags

pytestmark = [pytest.mark.compiler, pytest.mark.slow]

# A log's mutex is held while Python is called, and locked by Python code that holds the GIL; the argument is the twin.
PROGRAM = """
#include <Python.h>
#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>
std::mutex log_mutex;
bool safe = false;
std::atomic<bool> first_done{false};

void sink() {
    PyGILState_STATE state = PyGILState_Ensure();
    PyRun_SimpleString("line = 1");
    PyGILState_Release(state);
}

void log_native() {
    { std::lock_guard<std::mutex> guard(log_mutex); if (!safe) sink(); }
    if (safe) sink();
}

PyObject* py_log(PyObject*, PyObject*) {
    { std::lock_guard<std::mutex> guard(log_mutex); }
    Py_RETURN_NONE;
}
PyMethodDef methods[] = {{"log", py_log, METH_NOARGS, ""}, {nullptr, nullptr, 0, nullptr}};
PyModuleDef definition = {PyModuleDef_HEAD_INIT, "nlog", "", -1, methods, nullptr, nullptr, nullptr, nullptr};
PyObject* make() { return PyModule_Create(&definition); }

int main(int count, char** words) {
    safe = count > 1 && std::strcmp(words[1], "safe") == 0;
    PyImport_AppendInittab("nlog", make);
    Py_Initialize();
    PyThreadState* state = PyEval_SaveThread();
    std::thread one([] { log_native(); first_done = true; });
    std::thread other([] {
        while (!first_done) {}
        PyGILState_STATE held = PyGILState_Ensure();
        PyRun_SimpleString("import nlog\\ndef work():\\n    nlog.log()\\nwork()\\n");
        PyGILState_Release(held);
    });
    one.join();
    other.join();
    PyEval_RestoreThread(state);
    return Py_FinalizeEx();
}
"""


PYTHONS = {f"{each.version}-{each.executable.parent.parent.name}": each for each in embeddable()}


@pytest.fixture(params=list(PYTHONS) or [None])
def sink(request, compile_cpp):
    """The program, for each stock Python of this machine that can be embedded."""
    if request.param is None:
        pytest.skip("no stock Python with a shared library")
    flags = python_flags(str(PYTHONS[request.param].executable))
    if not flags:
        pytest.skip("no headers of this Python")
    return compile_cpp(PROGRAM, *flags)


def test_the_gil_is_a_lock_of_every_python(sink, record):
    (trace,) = record(sink)
    assert trace.gil is GilSight.RECOGNISED
    kinds = {lock.id: lock.kind for lock in trace.locks}
    edges = {(kinds[held.lock], kinds[each.lock]) for each in trace.requests for held in each.holding}
    assert {(LockKind.GIL, LockKind.MUTEX), (LockKind.MUTEX, LockKind.GIL)} <= edges
    wanted = next(each for each in trace.requests if each.stack.python and kinds[each.lock] is LockKind.MUTEX)
    assert [(frame.function, frame.line) for frame in wanted.stack.python] == [("work", 3), ("<module>", 4)]


def test_the_safe_twin_never_requests_the_gil_with_the_mutex(sink, record):
    (trace,) = record(sink, "safe")
    assert trace.gil is GilSight.RECOGNISED
    kinds = {lock.id: lock.kind for lock in trace.locks}
    taken = [each for each in trace.requests if kinds[each.lock] is LockKind.GIL]
    assert [each for each in taken if LockKind.MUTEX in {kinds[held.lock] for held in each.holding}] == []


def verdict():
    return latest()["verdicts"][0]


def test_a_possible_deadlock_is_a_finding_without_a_hang(program):
    assert main(["run", "--quiet", "--", program]) == ExitCode.FINDINGS
    result = latest()
    (finding,) = result["findings"]
    assert "log_mutex" in json.dumps(finding)
    assert any("Races were not judged" in each for each in result["verdicts"][0]["downgrades"])


def test_the_safe_twin_is_clean_and_the_verdict_says_that_races_were_not_judged(program):
    assert main(["run", "--quiet", "--", program, "safe"]) == ExitCode.CLEAN
    assert any("Races were not judged" in each for each in verdict()["downgrades"])


@pytest.mark.parametrize("entry", ["deadlock:^log_native", "deadlock:program.cpp", "possible-deadlock:py_log"])
def test_a_suppressed_deadlock_does_not_fail_and_is_counted(program, entry):
    Path("quiet.txt").write_text(f"# the sink is never called back\n{entry}\ndeadlock:^nobody_is_called_this$\n")
    assert main(["run", "--quiet", "--suppressions", "quiet.txt", "--", program]) == ExitCode.CLEAN
    (finding,) = latest()["findings"]
    assert (finding["status"], finding["reason"]) == ("suppressed", "the sink is never called back")
    assert [use["matched"] for use in latest()["suppressions"]] == [1, 0]


FORKS = """
import os, threading
lock = threading.Lock()
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    with lock:
        import decimal
    work = threading.Thread(target=lock.acquire)
    work.start()
    work.join()
"""


@pytest.mark.parametrize("name", PYTHONS)
def test_a_program_that_forks_is_judged(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("forks.py").write_text(FORKS)
    assert main(["run", "--quiet", "--", str(PYTHONS[name].executable), "forks.py"]) == ExitCode.CLEAN
    assert len(latest()["verdicts"][0]["observations"]) == 1


def test_where_no_lock_was_seen_nothing_is_judged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--quiet", "--", "/bin/true"]) == ExitCode.SUBJECT
    assert "No lock, thread or Python was seen" in verdict()["reason"]


def test_races_alone_cannot_be_requested_of_a_program_without_instrumented_code(capsys):
    assert main(["run", "--quiet", "--detect", "races", "--", "/bin/true"]) == ExitCode.SUBJECT
    assert "has no instrumented code" in capsys.readouterr().err


def test_an_unknown_detector(capsys):
    assert main(["run", "--detect", "races,lock", "--", "/bin/true"]) == ExitCode.USAGE
    assert "unknown detector 'lock'" in capsys.readouterr().err
