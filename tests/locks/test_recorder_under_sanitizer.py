"""The recorder in programs under ThreadSanitizer, whose runtime is between them and the recorder."""

import os
import shutil
import subprocess

import pytest

from python_tsan.locks.model import LockKind
from tests.locks.conftest import read_traces

pytestmark = [pytest.mark.compiler, pytest.mark.slow]

PROGRAM = """
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <semaphore.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
std::mutex first, second, outer, inner;
std::once_flag flag;
std::condition_variable changed;
bool ready = false;
int value = 0;
sem_t posted;
using Guard = std::lock_guard<std::mutex>;
void racy() { ++value; }
struct One { One() { Guard a(inner); } };
void nested() { Guard a(first); Guard b(second); }
void once() { Guard b(outer); std::call_once(flag, [] { Guard a(inner); racy(); }); }
void guarded() { Guard b(outer); static One one; }
void waits() { std::unique_lock<std::mutex> lock(first); changed.wait(lock, [] { return ready; }); }
void post(int) { sem_post(&posted); } // which a handler may do, and nothing did it before
int main(int count, char** words) {
    if (count > 1 && fork() == 0) execl("/proc/self/exe", words[0], nullptr);
    if (count > 1) { int status; wait(&status); return status; }
    std::signal(SIGUSR1, post);
    std::raise(SIGUSR1);
    nested(); guarded();
    std::thread other(racy);
    once();
    other.join();
    std::thread waiting(waits);
    { Guard a(first); ready = true; }
    changed.notify_one();
    waiting.join();
    const char* list = std::getenv("LD_PRELOAD");
    return list != nullptr && std::strstr(list, "libtsan") != nullptr;
}
"""


# A JIT compiler registers its frames with the unwinder; then libgcc up to GCC 12 takes a mutex to find any frame.
WITH_A_JIT_COMPILER = """
#include <cstdio>
#include <cstring>
#include <link.h>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>
extern "C" void __register_frame(void*);
int find_frames(dl_phdr_info* object, size_t, void*) {
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        if (object->dlpi_phdr[i].p_type != PT_GNU_EH_FRAME) continue;
        auto* header = reinterpret_cast<char*>(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
        int distance; // header[1] says how it is written: as 4 bytes with a sign, from their own place
        if (header[1] != 0x1b) return -1;
        std::memcpy(&distance, header + 4, sizeof distance);
        __register_frame(header + 4 + distance); // the program's own
    }
    return 1;
}
std::mutex outer, inner;
using Guard = std::lock_guard<std::mutex>;
void fail(int depth) {
    if (depth > 0) { fail(depth - 1); throw std::logic_error("not reached"); }
    Guard a(outer);
    Guard b(inner);
    throw std::runtime_error("");
}
void work(int depth) {
    for (int i = 0; i < 50; ++i) {
        try { fail(i % depth); } catch (const std::runtime_error&) {}
    }
}
int main() {
    if (dl_iterate_phdr(find_frames, nullptr) != 1) return 1;
    std::vector<std::thread> threads;
    for (int depth = 3; depth < 7; ++depth) threads.emplace_back(work, depth);
    for (auto& each : threads) each.join();
}
"""


@pytest.fixture(params=["g++", "clang++"])
def run_sanitized(request, compile_cpp, lock_recorder, tmp_path):
    """Returns a function that runs a program with its sanitizer, and returns what it printed and its trace."""
    names = [request.param, *(f"{request.param}-{major}" for major in range(25, 14, -1))]
    compiler = next((name for name in names if shutil.which(name)), None)
    if compiler is None:
        pytest.skip(f"no {request.param}")

    def run(*words, source=PROGRAM):
        try:
            program = compile_cpp(source, "-fsanitize=thread", "-O1", compiler=compiler)
        except subprocess.CalledProcessError:
            pytest.skip(f"{compiler} has no runtime")
        preload = f"libtsan.so.2:{lock_recorder}" if request.param == "g++" else str(lock_recorder)
        variables = {**os.environ, "PYTHON_TSAN_LOCKS": str(tmp_path), "TSAN_OPTIONS": "exitcode=0"}
        variables["PYTHON_TSAN_LOCKS_PRELOAD"] = preload
        command = ["setarch", "-R", "env", f"LD_PRELOAD={preload}", str(program)]
        ended = subprocess.run(
            [*command, *words], check=False, env=variables, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr
        # A symbolizer that the runtime starts is recorded, too, and so is a process that only starts another.
        own = [trace for trace in read_traces(tmp_path) if trace.command == str(program)]
        return ended.stderr, max(own, key=lambda trace: len(trace.requests))

    return run


def test_a_program_whose_jit_compiler_has_registered_frames(run_sanitized):
    said, trace = run_sanitized(source=WITH_A_JIT_COMPILER)
    assert said == ""
    assert {len(each.holding) for each in trace.requests} >= {1}
    assert len(trace.locks) == 2, "the unwinder's own lock is left out"


@pytest.mark.parametrize("words", [(), ("by a child",)])
def test_locks_are_seen_with_the_places_of_the_program(run_sanitized, words):
    _, trace = run_sanitized(*words)
    kinds = {lock.id: lock.kind for lock in trace.locks}
    edges = {(tuple(kinds[held.lock] for held in each.holding), kinds[each.lock]) for each in trace.requests}
    mutex, once, guard = LockKind.MUTEX, LockKind.ONCE, LockKind.GUARD
    assert {
        ((mutex,), mutex),
        ((mutex,), once),
        ((mutex, once), mutex),
        ((mutex,), guard),
        ((mutex, guard), mutex),
    } <= edges
    assert LockKind.CONDITION in {kinds[each.lock] for each in trace.wakes}
    nested = next(each for each in trace.requests if [kinds[held.lock] for held in each.holding] == [mutex])
    for stack in (nested.stack, nested.holding[0].stack):
        assert stack.native[0].module.endswith("/program"), "the runtime's own frames are left out"
    assert trace.not_seen == {}


@pytest.mark.parametrize("words", [(), ("by a child",)])
def test_the_sanitizer_reports_the_frames_of_the_program_as_without_it(run_sanitized, words):
    text, _ = run_sanitized(*words)
    assert "racy" in text
    assert "python_tsan" not in text
    assert text.count("WARNING: ThreadSanitizer") == 1, "the recorder itself brings no finding"
