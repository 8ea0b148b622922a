"""`run` on a stock Python explains a real hang by its locks, and says where time was lost with the GIL held."""

import pytest

from python_tsan.cli.main import main
from python_tsan.errors import ExitCode
from tests.locks.test_run_locks import latest

pytestmark = [pytest.mark.compiler, pytest.mark.slow]

PROGRAM = """
#include <Python.h>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <sched.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
std::mutex log_mutex;
std::atomic<int> arrived{0};
std::atomic<long> waiter{0};

void wait_for_both() { for (++arrived; arrived < 2;) sched_yield(); }

void native_log() {
    const std::lock_guard<std::mutex> lock(log_mutex);
    wait_for_both();
    PyGILState_Release(PyGILState_Ensure());
}

void python_log() {
    const auto state = PyGILState_Ensure();
    wait_for_both();
    { const std::lock_guard<std::mutex> lock(log_mutex); }
    PyGILState_Release(state);
}

void slow_owner() { // until the other one sleeps in its wait, and a little longer
    const std::lock_guard<std::mutex> lock(log_mutex);
    wait_for_both();
    for (char state = ' '; state != 'S';) {
        char path[64];
        std::snprintf(path, sizeof path, "/proc/self/task/%ld/stat", waiter.load());
        if (FILE* file = waiter == 0 ? nullptr : std::fopen(path, "r")) {
            if (std::fscanf(file, "%*d %*s %c", &state) != 1) state = ' ';
            std::fclose(file);
        }
    }
    usleep(5000);
}

void waits_with_gil() {
    const auto state = PyGILState_Ensure();
    wait_for_both();
    waiter = syscall(SYS_gettid);
    { const std::lock_guard<std::mutex> lock(log_mutex); }
    PyGILState_Release(state);
}

int main(int, char** words) {
    Py_Initialize();
    PyThreadState* state = PyEval_SaveThread();
    const bool hangs = std::strcmp(words[1], "hang") == 0;
    std::thread one(hangs ? native_log : slow_owner), other(hangs ? python_log : waits_with_gil);
    one.join();
    other.join();
    PyEval_RestoreThread(state);
    return Py_FinalizeEx();
}
"""


@pytest.fixture(scope="module")
def program(compile_cpp, stock_flags):
    return str(compile_cpp(PROGRAM, *stock_flags))


def test_a_hang_names_who_holds_and_who_waits_for_what(program, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--timeout", "5", "--", program, "hang"]) == ExitCode.FINDINGS
    shown = " ".join(capsys.readouterr().out.split())
    assert "deadlock: thread T1 and thread T2 wait for each other" in shown
    (observation,) = latest()["verdicts"][0]["observations"]
    lines = [line for line in observation["hang"] if " waits for " in line]
    assert len(lines) == 3
    # Threads of a cycle come in the order of the recording: either may have been seen first.
    gil, mutex = sorted(lines[:2], key=lambda line: "waits for log_mutex" in line)
    assert gil.startswith("thread T1 holds log_mutex (program.cpp:")
    assert "waits for the GIL" in gil
    assert gil.endswith("which thread T2 holds")
    assert mutex.startswith("thread T2 holds the GIL (program.cpp:")
    assert "main thread waits for the end of thread T1" in lines[2]
    (finding,) = latest()["findings"]
    assert finding["notes"] == ["it hung in this run"]


def test_a_standstill_is_ended_long_before_the_deadline(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--stall", "2", "--timeout", "500", "--format", "html", "--", program, "hang"]) == 1
    assert "nothing moved for 2 s, so it was ended" in latest()["verdicts"][0]["reason"]
    (observation,) = latest()["verdicts"][0]["observations"]
    assert observation["stalled"] == 2
    assert sorted(each["thread"] for each in observation["wait_graph"] if each.get("stuck")) == [
        "thread T1",
        "thread T2",
    ]
    assert "Who holds and who waits for what" in next(tmp_path.glob("runs/latest/report.html")).read_text()


def test_without_the_recorder_the_stacks_name_who_waits_for_whom(program, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("python_tsan.running.preparation._recorder", lambda *_rest, **_more: None)
    assert main(["run", "--stall", "2", "--detect", "locks", "--", program, "hang"]) != ExitCode.CLEAN
    (observation,) = latest()["verdicts"][0]["observations"]
    mutex = [each for each in observation["wait_graph"] if each["waits_for"].startswith("the mutex 0x")]
    assert mutex
    assert mutex[0]["held_by"]


def test_a_wait_with_the_gil_is_time_lost(program, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--", program, "slow"]) == ExitCode.CLEAN
    (wait,) = latest()["verdicts"][0]["observations"][0]["gil_waits"]
    assert wait["callee"] == "pthread_mutex_lock"
    assert "waits_with_gil" in wait["place"]
    assert wait["count"] == 1
    assert wait["total"] == wait["longest"] >= 1_000_000
    assert "with the GIL: pthread_mutex_lock waited" in capsys.readouterr().out
