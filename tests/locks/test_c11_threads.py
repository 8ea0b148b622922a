"""The locks of programs with C's <threads.h> are recorded; a program's own functions of these names stay its own."""

import subprocess

import pytest

from python_tsan.locks.model import LockKind

pytestmark = pytest.mark.compiler

HEAD = """
#include <threads.h>
#include <time.h>
mtx_t first, second;
cnd_t changed;
once_flag flag = ONCE_FLAG_INIT;
int ready = 0;
int nest(void*) { mtx_lock(&first); mtx_lock(&second); mtx_unlock(&second); mtx_unlock(&first); return 7; }
"""
INIT = "mtx_init(&first, mtx_plain); mtx_init(&second, mtx_plain | mtx_timed); cnd_init(&changed);"


@pytest.fixture
def trace(compile_cpp, record):
    """Compile the body of `main`, run it, and return its trace."""

    def run(main):
        return record(compile_cpp(f"{HEAD}\nint main() {{\n{INIT}\n{main}\n}}\n"))[0]

    return run


def edges(trace):
    """Return what was requested while what was held, as kinds."""
    kinds = [lock.kind for lock in trace.locks]
    return [(tuple(kinds[held.lock] for held in each.holding), kinds[each.lock]) for each in trace.requests]


def test_mutexes_have_the_places_of_the_program(trace):
    (request,) = (seen := trace("nest(nullptr);")).requests
    assert edges(seen) == [((LockKind.MUTEX,), LockKind.MUTEX)]
    for stack in (request.stack, request.holding[0].stack):
        assert stack.native[0].module.endswith("/program")


@pytest.mark.parametrize(
    "take",
    [
        "if (mtx_trylock(&first) != thrd_success) return 1;",
        "timespec end{}; end.tv_sec = time(nullptr) + 60; if (mtx_timedlock(&first, &end) != thrd_success) return 1;",
    ],
)
def test_a_mutex_that_was_tried_is_held(trace, take):
    seen = trace(f"{take} mtx_lock(&second); mtx_unlock(&second); mtx_unlock(&first);")
    assert edges(seen) == [((LockKind.MUTEX,), LockKind.MUTEX)]


def test_results_are_those_of_c(trace):
    seen = trace(
        """
        mtx_lock(&first);
        if (mtx_trylock(&first) != thrd_busy) return 1;
        timespec past = {1, 0};
        if (mtx_timedlock(&first, &past) != thrd_timedout) return 2;
        if (cnd_timedwait(&changed, &first, &past) != thrd_timedout) return 3;
        mtx_unlock(&first);
        mtx_t again;
        if (mtx_init(&again, mtx_plain | mtx_recursive) != thrd_success) return 4;
        if (mtx_lock(&again) != thrd_success || mtx_lock(&again) != thrd_success) return 5;
        mtx_unlock(&again); mtx_unlock(&again); mtx_destroy(&again); cnd_destroy(&changed);
        """
    )
    assert seen.events


def test_a_thread_is_started_and_joined_with_its_result(trace):
    seen = trace(
        """
        thrd_t thread, other; int result = 0;
        if (thrd_create(&thread, nest, nullptr) != thrd_success) return 1;
        if (thrd_join(thread, &result) != thrd_success || result != 7) return 2;
        if (thrd_create(&other, [](void*) { return 0; }, nullptr) != thrd_success) return 3;
        if (thrd_join(other, nullptr) != thrd_success) return 4;
        """
    )
    assert len(seen.threads) == 3
    assert edges(seen) == [((LockKind.MUTEX,), LockKind.MUTEX)]


def test_a_wait_for_a_condition_and_its_signal(trace):
    seen = trace(
        """
        thrd_t thread;
        thrd_create(&thread, [](void*) {
            mtx_lock(&first); while (!ready) cnd_wait(&changed, &first); mtx_unlock(&first); return 0;
        }, nullptr);
        mtx_lock(&first); ready = 1; cnd_signal(&changed); mtx_unlock(&first);
        thrd_join(thread, nullptr);
        """
    )
    assert LockKind.CONDITION in {seen.locks[each.lock].kind for each in seen.wakes}


def test_a_routine_that_runs_once_holds_its_flag(trace):
    seen = trace("call_once(&flag, [] { nest(nullptr); }); call_once(&flag, [] { ready = 1; }); return ready;")
    assert ((LockKind.ONCE,), LockKind.MUTEX) in edges(seen)


OWN = """
struct Owned { long locked; };
extern "C" long mtx_lock(Owned* owned, long more, long, long, long, long last)"""
LIBRARY = OWN + "{ return owned->locked += (more << 40) + last; }"
CALLER = (
    OWN
    + """;
int main() {
    Owned owned{40};
    if (mtx_lock(&owned, 1, 0, 0, 0, 1) != (1L << 40) + 41) return 1; // the first call, too
    return mtx_lock(&owned, 1, 0, 0, 0, 1) == (2L << 40) + 42 ? 0 : 2;
}
"""
)


def test_a_function_of_the_same_name_in_a_library_of_the_program_is_called(compile_cpp, record, tmp_path):
    (tmp_path / "own.cpp").write_text(LIBRARY)
    library = tmp_path / "libown.so"
    subprocess.run(["g++", "-shared", "-fPIC", tmp_path / "own.cpp", "-o", library], check=True, timeout=60)
    assert record(compile_cpp(CALLER, str(library), f"-Wl,-rpath,{tmp_path}")) == [], "it is no lock"
