"""`run --confirm` on a stock Python: what can hang does, and what a flag keeps apart is refuted."""

import pytest

from python_tsan.cli.main import main
from python_tsan.errors import ExitCode
from tests.locks.conftest import latest

pytestmark = [pytest.mark.compiler, pytest.mark.slow]

PROGRAM = """
#include <Python.h>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <mutex>
#include <sched.h>
#include <semaphore.h>
#include <string>
#include <thread>
#include <sys/stat.h>
#include <unistd.h>
struct Gil { PyGILState_STATE s = PyGILState_Ensure(); ~Gil() { PyGILState_Release(s); } };
std::mutex log_mutex;
std::atomic<bool> written{false};

void write_log() { { const std::lock_guard<std::mutex> lock(log_mutex); const Gil gil; } written = true; }
void configure() { const Gil gil; const std::lock_guard<std::mutex> lock(log_mutex); }
void call_back() { const Gil gil; const std::lock_guard<std::mutex> lock(log_mutex); PyRun_SimpleString("1"); }
struct NoGil { PyThreadState* s = PyEval_SaveThread(); ~NoGil() { PyEval_RestoreThread(s); } };
PyObject* state_lock; // of Python code
sem_t answered;

void call(const char* name) { Py_XDECREF(PyObject_CallMethod(state_lock, name, nullptr)); }
void publish() {
    const Gil gil;
    call("acquire");
    { const NoGil released; const std::lock_guard<std::mutex> lock(log_mutex); }
    call("release");
}
void note() { const std::lock_guard<std::mutex> lock(log_mutex); const Gil gil; call("acquire"); call("release"); }
void answer() { { const Gil gil; } sem_post(&answered); }
void ask() { const Gil gil; sem_wait(&answered); }
void wait_for(const std::atomic<bool>& flag) { while (!flag) usleep(1000); }

/// The second thread begins once the first one has ended. In a directed run it need not: there the first one waits.
void both(const std::function<void()>& one, const std::function<void()>& other) {
    std::atomic<long> number{0};
    std::atomic<bool> ended{false};
    std::thread first([&] { number = gettid(); one(); ended = true; });
    std::thread second([&] {
        while (number == 0) sched_yield();
        const std::string path = "/proc/self/task/" + std::to_string(number.load()) + "/stat";
        for (char state = ' '; !ended && state != 'S';) std::ifstream(path).ignore(999, ')') >> state;
        other();
    });
    first.join();
    second.join();
}

int main(int, char** words) {
    Py_InitializeEx(0);
    sem_init(&answered, 0, 0);
    state_lock = PyObject_CallMethod(PyImport_ImportModule("_thread"), "allocate_lock", nullptr);
    PyThreadState* state = PyEval_SaveThread();
    const char* kind = words[1];
    if (!strcmp(kind, "misses")) both(write_log, configure);
    if (!strcmp(kind, "reversed")) both(configure, write_log);
    if (!strcmp(kind, "weak")) both(call_back, call_back);
    if (!strcmp(kind, "python lock")) both(note, publish);
    if (!strcmp(kind, "signal")) both(answer, ask);
    if (!strcmp(kind, "ordered")) both(write_log, [] { wait_for(written); configure(); });
    if (!strcmp(kind, "once") && mkdir(words[2], 0700) == 0) both(write_log, [] { wait_for(written); configure(); });
    PyEval_RestoreThread(state);
    return Py_FinalizeEx();
}
"""


@pytest.fixture(scope="module")
def program(compile_cpp, stock_flags):
    return str(compile_cpp(PROGRAM, *stock_flags))


@pytest.fixture
def confirm(program, tmp_path, monkeypatch):
    def run(*words):
        monkeypatch.chdir(tmp_path)
        assert main(["run", "--detect", "locks", "--confirm", "--", program, *words]) == ExitCode.FINDINGS
        (finding,) = latest()["findings"]
        return finding["directed"]

    return run


@pytest.mark.parametrize("kind", ["misses", "reversed", "weak"])
def test_a_deadlock_that_never_happens_on_its_own_is_confirmed(confirm, kind, capsys, tmp_path):
    directed = confirm(kind)
    assert directed["outcomes"] == ["hung"] * 3
    assert directed["hang"][0].startswith("deadlock: ")
    assert any("which" in line and "waits for log_mutex" in line for line in directed["hang"])
    assert "confirmed: it hung in 3 of 3 directed runs" in " ".join(capsys.readouterr().out.split())
    # Each run has been ended, with its stacks.
    assert len(list(tmp_path.glob("runs/latest/directed/1-*/stacks-native.txt"))) in {0, 3}


@pytest.mark.parametrize("kind", ["python lock", "signal"])
def test_other_locks_than_mutexes_are_confirmed(confirm, kind):
    # At a lock of Python code a thread waits without the GIL, as in CPython's own wait for it.
    assert confirm(kind)["outcomes"] == ["hung"] * 3


def test_what_a_flag_keeps_apart_is_refuted(confirm, capsys):
    assert confirm("ordered")["outcomes"] == ["apart"] * 3
    assert "refuted: in 3 of 3 directed runs" in " ".join(capsys.readouterr().out.split())


def test_what_does_not_come_again_is_not_reached(confirm, tmp_path, capsys):
    assert confirm("once", str(tmp_path / "seen"))["outcomes"] == ["not reached"] * 3
    assert "not reached: in 3 of 3 directed runs" in " ".join(capsys.readouterr().out.split())


def test_without_possible_deadlocks_there_is_nothing_to_confirm(program, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--detect", "capi", "--confirm", "--", program, "none"]) == ExitCode.USAGE
    assert "--confirm is for possible deadlocks" in capsys.readouterr().err
