"""What the preloaded recorder sees in programs without Python, and that it changes nothing in them."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from python_tsan.locks.model import GilSight, LockKind, Mode
from tests.locks.conftest import read_traces

pytestmark = pytest.mark.compiler

HEAD = """
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <fstream>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <semaphore.h>
#include <shared_mutex>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>
std::mutex first, second, third;
using Guard = std::lock_guard<std::mutex>;
"""
ASLEEP = """
/// Returns once a thread sleeps in the kernel, as one does that waits for a signal; no recorder sees this order.
void until_asleep(long thread) {
    const std::string path = "/proc/self/task/" + std::to_string(thread) + "/stat";
    for (char state = ' '; state != 'S';) std::ifstream(path).ignore(999, ')') >> state;
}
"""


@pytest.fixture
def trace(compile_cpp, record):
    """Compile the body of `main`, run it, and return its trace."""

    def run(main, before="", flags=()):
        return record(compile_cpp(HEAD + before + "\nint main() {\n" + main + "\n}\n", *flags))[0]

    return run


def edges(trace):
    """Return what was requested while what was held, as kinds and modes."""
    kinds = [lock.kind for lock in trace.locks]
    return [(tuple(kinds[held.lock] for held in each.holding), kinds[each.lock]) for each in trace.requests]


def requests_of(trace, kind):
    return [each for each in trace.requests if trace.locks[each.lock].kind is kind]


def test_a_nested_lock_is_one_request_with_what_was_held(trace):
    seen = trace("for (int i = 0; i < 1000; ++i) { Guard a(first); Guard b(second); }")
    (request,) = seen.requests
    (held,) = request.holding
    assert request.count == 1000
    assert (seen.locks[held.lock].kind, seen.locks[request.lock].kind) == (LockKind.MUTEX, LockKind.MUTEX)
    assert held.lock != request.lock
    assert seen.gil is GilSight.NO_PYTHON
    assert seen.events == 2000
    assert not seen.truncated
    for lock in seen.locks:
        assert lock.module.endswith("/program"), "a lock with static storage has its place"
        assert lock.offset
    for stack in (request.stack, held.stack):
        assert stack.native[0].module.endswith("/program")
        assert not any("python_tsan" in frame.module for frame in stack.native), "its own frames are no evidence"


def test_locks_that_do_not_meet_leave_nothing(trace):
    seen = trace("{ Guard a(first); } { Guard b(second); }")
    assert seen.requests == ()
    assert seen.locks == ()
    assert seen.events == 2


def test_a_try_is_no_request_and_holds(trace):
    seen = trace("second.lock(); if (!first.try_lock()) return 1; second.unlock(); Guard b(second); first.unlock();")
    (request,) = seen.requests
    assert seen.locks[request.lock].offset != seen.locks[request.holding[0].lock].offset


BUSY = """
std::timed_mutex busy;
void hold(void (*meanwhile)()) {
    std::thread holder([] { busy.lock(); });
    holder.join(); // it stays locked
    meanwhile();
}
"""


def test_tries_in_a_row_are_a_request(trace):
    seen = trace("hold([] { Guard a(first); for (int i = 0; i < 5; ++i) busy.try_lock(); });", BUSY)
    (request,) = [each for each in seen.requests if each.holding]
    assert (request.count, request.timed) == (4, False), "the first may be the only one"


def test_tries_between_which_something_is_given_back_are_no_request(trace):
    once = "{ Guard a(first); busy.try_lock(); }"
    seen = trace(f"hold([] {{ for (int i = 0; i < 5; ++i) {once} }});", BUSY)
    assert [each for each in seen.requests if each.holding] == []


def test_waits_for_a_time_in_a_row_have_no_end(trace):
    wait = "busy.try_lock_for(std::chrono::microseconds(1))"
    once = trace(f"hold([] {{ Guard a(first); {wait}; }});", BUSY)
    again = trace(f"hold([] {{ Guard a(first); for (int i = 0; i < 2; ++i) {wait}; }});", BUSY)
    assert [[each.timed for each in seen.requests if each.holding] for seen in (once, again)] == [[True], [False]]


@pytest.mark.parametrize("kind", ["std::mutex", "std::shared_mutex", "std::recursive_mutex"])
def test_a_lock_that_is_made_again_is_another(trace, kind):
    before = f"alignas(64) char place[64]; {kind}& made() {{ return *new (place) {kind}; }}"
    take = "{ Guard a(first); one.lock(); one.unlock(); } one.lock(); { Guard b(second); } one.unlock();"
    seen = trace(f"{{ auto& one = made(); {take} {take} }} {{ auto& one = made(); {take} }}", before)
    made = [number for number, lock in enumerate(seen.locks) if lock.name == "" and lock.offset not in _static(seen)]
    assert len(made) == 2
    of_each = [sorted({each.lock for each in seen.requests if each.lock in made}), sorted(_held_above(seen))]
    assert of_each == [made, made], "both sides of a request see the same lock"


def _static(seen):
    """Return the places of `first` and `second`, which are locked once each and not in `place`."""
    counts = [lock.offset for lock in seen.locks]
    return [offset for offset in counts if counts.count(offset) == 1]


def _held_above(seen):
    return {
        held.lock
        for each in seen.requests
        for held in each.holding
        if seen.locks[held.lock].offset not in _static(seen)
    }


def test_a_wait_by_a_steady_clock_is_one_for_the_condition(trace):
    before = "std::condition_variable changed; std::mutex own;"
    wait = "changed.wait_for(lock, std::chrono::microseconds(1))"
    seen = trace(f"Guard a(first); std::unique_lock<std::mutex> lock(own); {wait};", before)
    (request,) = requests_of(seen, LockKind.CONDITION)
    assert request.timed


FILES = """
#include <fcntl.h>
#include <sys/file.h>
int file() { return open("/tmp", O_RDONLY); }
"""


def test_a_locked_file_is_a_lock_with_its_path(trace):
    seen = trace("Guard a(first); flock(file(), LOCK_SH); Guard b(second);", FILES)
    (request,) = requests_of(seen, LockKind.FILE)
    assert (seen.locks[request.lock].name, request.mode) == ("/tmp", Mode.READ)
    assert edges(seen)[-1][0] == (LockKind.MUTEX, LockKind.FILE)


@pytest.mark.parametrize("end", ["flock(one, LOCK_UN);", "close(one);"])
def test_a_file_that_is_unlocked_or_closed_is_held_no_longer(trace, end):
    seen = trace(f"int one = file(); flock(one, LOCK_EX); {end} Guard a(first); Guard b(second);", FILES)
    assert [kinds for kinds, _ in edges(seen)] == [(LockKind.MUTEX,)]


def test_a_try_for_a_file_waits_for_nothing(trace):
    seen = trace("Guard a(first); flock(file(), LOCK_EX | LOCK_NB); Guard b(second);", FILES)
    assert requests_of(seen, LockKind.FILE) == []


def test_a_lock_that_is_held_already_is_no_request(trace):
    seen = trace("std::recursive_mutex r; r.lock(); r.lock(); r.unlock(); Guard a(first); r.unlock(); Guard b(second);")
    assert edges(seen) == [((LockKind.MUTEX,), LockKind.MUTEX), ((LockKind.MUTEX,), LockKind.MUTEX)]
    assert seen.locks[seen.requests[0].holding[0].lock].recursive, "it was held until the second unlock"


def test_a_mutex_that_another_thread_unlocked_is_held_no_longer(trace):
    seen = trace("first.lock(); std::thread([] { first.unlock(); }).join(); Guard b(second);")
    assert [each for each in seen.requests if seen.locks[each.lock].kind is LockKind.MUTEX] == []


def test_readers_and_writers(trace):
    seen = trace("std::shared_mutex s; { Guard a(first); s.lock_shared(); s.unlock_shared(); s.lock(); s.unlock(); }")
    assert [(seen.locks[each.lock].kind, each.mode) for each in seen.requests] == [
        (LockKind.RWLOCK, Mode.READ),
        (LockKind.RWLOCK, Mode.WRITE),
    ]


def test_a_held_reader_is_a_reader(trace):
    seen = trace("std::shared_mutex s; s.lock_shared(); { Guard a(first); } s.unlock_shared();")
    assert [held.mode for held in seen.requests[0].holding] == [Mode.READ]


def test_a_spin_lock(trace):
    seen = trace(
        "pthread_spinlock_t s; pthread_spin_init(&s, 0); { Guard a(first); pthread_spin_lock(&s);"
        " pthread_spin_unlock(&s); } pthread_spin_destroy(&s);"
    )
    assert edges(seen) == [((LockKind.MUTEX,), LockKind.SPIN)]


def test_a_routine_that_runs_once_holds_its_flag(trace):
    seen = trace("{ Guard b(second); std::call_once(flag, [] { Guard a(first); }); }", before="std::once_flag flag;")
    assert edges(seen) == [
        ((LockKind.MUTEX,), LockKind.ONCE),
        ((LockKind.MUTEX, LockKind.ONCE), LockKind.MUTEX),
    ]


def test_a_routine_that_throws_holds_its_flag_no_longer(trace):
    seen = trace(
        "try { std::call_once(flag, [] { throw 1; }); } catch (int) {}\n Guard a(first); Guard b(second);",
        before="std::once_flag flag;",
    )
    assert edges(seen) == [((LockKind.MUTEX,), LockKind.MUTEX)]


def test_a_static_variable_is_guarded_while_it_is_initialised(trace):
    before = "struct One { One() { Guard a(first); } };\nvoid use() { static One one; }\n"
    seen = trace("{ Guard b(second); use(); use(); }", before=before)
    assert edges(seen) == [
        ((LockKind.MUTEX,), LockKind.GUARD),
        ((LockKind.MUTEX, LockKind.GUARD), LockKind.MUTEX),
    ]


CONDITION = """
std::condition_variable changed;
bool ready = false;
"""


def test_a_wait_for_a_condition_requests_it_and_its_mutex_again(trace):
    seen = trace(
        "Guard outer(second); std::unique_lock<std::mutex> lock(first);\n"
        "std::thread other([] { Guard a(first); ready = true; changed.notify_one(); });\n"
        "changed.wait(lock, [] { return ready; }); lock.unlock(); other.join();",
        before=CONDITION,
    )
    (condition,) = requests_of(seen, LockKind.CONDITION)
    assert len(condition.holding) == 1, "its mutex is given back meanwhile"
    assert any(wake.lock == condition.lock for wake in seen.wakes)
    (wake,) = [each for each in seen.wakes if each.lock == condition.lock]
    assert [seen.locks[held.lock].kind for held in wake.needed] == [LockKind.MUTEX]
    again = [each for each in seen.requests if each.stack.native[:1] == condition.stack.native[:1]]
    assert {seen.locks[each.lock].kind for each in again} == {LockKind.CONDITION, LockKind.MUTEX}


def test_a_join_requests_the_thread_and_orders_it(trace):
    seen = trace(
        "std::thread t([] { Guard b(second); Guard c(third); }); { Guard a(first); t.join(); }"
        " { Guard a(first); Guard b(second); }"
    )
    (join,) = requests_of(seen, LockKind.THREAD)
    assert seen.locks[join.lock].thread == 1
    assert seen.threads[1].parent == 0
    assert seen.threads[1].stack.native
    inner = next(each for each in seen.requests if each.thread == 1)
    last = max(seen.requests, key=lambda each: each.segment)
    assert (last.thread, last.holding[0].lock) == (0, join.holding[0].lock)
    assert {(order.before, order.after) for order in seen.orders} == {(inner.segment, last.segment)}


def test_what_a_thread_does_comes_after_its_creation(trace):
    seen = trace("{ Guard a(first); Guard b(second); } std::thread([] { Guard b(second); Guard a(first); }).join();")
    before, after = (next(each.segment for each in seen.requests if each.thread == thread) for thread in (0, 1))
    assert any((order.before, order.after) == (before, after) for order in seen.orders)


def test_two_threads_of_one_parent_are_not_ordered(trace):
    work = "[] { Guard a(first); Guard b(second); }"
    seen = trace(f"std::thread s({work}); std::thread t({work}); s.join(); t.join();")
    segments = {each.thread: each.segment for each in seen.requests if each.thread}
    assert len(segments) == 2
    assert not any({order.before, order.after} == set(segments.values()) for order in seen.orders)


def test_a_semaphore_is_waited_for_and_posted(trace):
    seen = trace("sem_t s; sem_init(&s, 0, 1); { Guard a(first); sem_wait(&s); } { Guard b(second); sem_post(&s); }")
    assert edges(seen) == [((LockKind.MUTEX,), LockKind.SEMAPHORE)]
    (wake,) = seen.wakes
    assert len(wake.needed) == 1
    assert wake.lock == seen.requests[0].lock


def test_a_semaphore_of_a_set_is_waited_for_and_posted(trace):
    seen = trace(
        "int set = semget(IPC_PRIVATE, 2, 0600); sembuf give{1, 1, 0}, take{1, -1, 0}, other{0, -1, IPC_NOWAIT};"
        " timespec limit{60, 0}; { Guard b(second); semop(set, &give, 1); }"
        " { Guard a(first); semop(set, &other, 1); semtimedop(set, &take, 1, &limit); } semctl(set, 0, IPC_RMID);",
        "#include <sys/sem.h>\n",
    )
    assert edges(seen) == [((LockKind.MUTEX,), LockKind.SEMAPHORE)]
    (wake,) = seen.wakes
    assert wake.lock == seen.requests[0].lock
    assert len(wake.needed) == 1


def test_a_future_is_waited_for_and_set(trace):
    seen = trace(
        "std::promise<int> promise; auto future = promise.get_future(); const long main_thread = gettid();"
        " std::thread t([&] { Guard b(second); while (!future_is_asked) {} until_asleep(main_thread);"
        " promise.set_value(1); }); { Guard a(first); future_is_asked = true; future.get(); } t.join();",
        before=ASLEEP + "std::atomic<bool> future_is_asked{false};",
    )
    (request,) = requests_of(seen, LockKind.FUTEX)
    assert len(request.holding) == 1
    (wake,) = [each for each in seen.wakes if each.lock == request.lock]
    assert wake.thread == 1
    taken = [seen.locks[held.lock].kind for held in wake.needed]
    assert taken[0] is LockKind.MUTEX, "the one that the other thread took on its way"


def test_a_destroyed_mutex_and_the_next_at_its_address_are_two(trace):
    one = "pthread_mutex_init(m, nullptr); { Guard a(first); pthread_mutex_lock(m); pthread_mutex_unlock(m); }"
    seen = trace(f"auto* m = new pthread_mutex_t; {one} pthread_mutex_destroy(m); {one}")
    locks = [seen.locks[each.lock] for each in seen.requests]
    assert len({lock.id for lock in locks}) == len({id(each) for each in seen.requests}) == 2
    assert len({lock.address for lock in locks}) == 1
    assert all(lock.created.native for lock in locks)


def test_a_freed_object_and_the_next_at_its_address_have_two_mutexes(trace):
    one = "{ auto m = std::make_unique<std::mutex>(); Guard b(second); Guard a(*m); at.push_back(m.get()); }"
    seen = trace(f"std::vector<void*> at; at.reserve(2); {one} {one} return at[0] == at[1] ? 0 : 3;")
    locks = [seen.locks[each.lock] for each in seen.requests]
    assert len(locks) == len({lock.id for lock in locks}) == 2
    assert len({lock.address for lock in locks}) == 1


def test_memory_is_freed(trace):
    trace(
        "Guard a(first); for (int i = 0; i < 4000; ++i) { std::vector<char> block(1 << 20, 1); }\n"
        "struct rusage use; getrusage(RUSAGE_SELF, &use); return use.ru_maxrss < 1 << 20 ? 0 : 3;",
        before="#include <sys/resource.h>",
    )


def test_two_calls_of_one_function_differ_by_their_callers(trace):
    before = "void lock() { first.lock(); }\nvoid one() { lock(); }\nvoid other() { lock(); }\n"
    inner = "{ Guard b(second); } first.unlock();"
    seen = trace(f"one(); {inner} other(); {inner}", before=before)
    taken = {tuple(frame.offset for frame in each.holding[0].stack.native) for each in seen.requests}
    assert len(taken) == len(seen.requests) == 2


def test_a_lock_function_asks_for_each_of_its_callers(trace):
    before = "void lock() { second.lock(); }\nvoid one() { lock(); }\nvoid other() { lock(); }\n"
    seen = trace("Guard a(first); one(); second.unlock(); other(); second.unlock();", before=before)
    asked = {tuple(frame.offset for frame in each.stack.native) for each in seen.requests}
    assert len(asked) == len(seen.requests) == 2


def test_thousands_of_threads(trace):
    seen = trace(
        "for (int round = 0; round < 20; ++round) { std::vector<std::thread> all;"
        " for (int i = 0; i < 100; ++i) all.emplace_back([] { Guard a(first); Guard b(second); });"
        " for (auto& each : all) each.join(); }"
    )
    assert len(seen.threads) == 2001
    assert {each.thread for each in seen.requests} == set(range(1, 2001))
    assert seen.not_seen == {}
    assert [each.thread for each in seen.live] == [0]


def test_a_child_of_fork_has_its_own_recording(compile_cpp, record):
    program = compile_cpp(
        HEAD
        + "int main() { { Guard a(first); Guard b(second); }\n first.lock(); const int child = fork();\n"
        + "if (child == 0) { Guard b(second); return 0; } first.unlock(); int status; waitpid(child, &status, 0);"
        + "return status; }"
    )
    parent, child = record(program)
    assert parent.pid != child.pid
    assert [len(each.requests) for each in (parent, child)] == [1, 1]
    assert len(child.requests[0].holding) == 1, "it holds what its parent held"
    assert "a fork, whose child starts with what the forking thread held" in child.not_seen


def test_a_child_of_fork_that_inherits_no_lock_is_followed(compile_cpp, record):
    program = compile_cpp(
        HEAD
        + "int main() { { Guard a(first); Guard b(second); }\n const int child = fork();"
        + "Guard b(second); Guard a(first); int status = 0;"
        + "if (child != 0) waitpid(child, &status, 0); return status; }"
    )
    recordings = record(program)
    assert len(recordings) == 2
    assert all(each.not_seen == {} for each in recordings)
    assert sorted(len(each.requests) for each in recordings) == [1, 2]


def test_what_was_recorded_before_a_crash_is_read(compile_cpp, record):
    program = compile_cpp(
        HEAD + "int main() { Guard a(first); Guard b(second); raise(SIGKILL); }", "-include", "csignal"
    )
    (seen,) = record(program, exit_code=-signal.SIGKILL)
    assert seen.truncated
    assert len(seen.requests) == 1
    (main,) = seen.live
    assert len(main.holding) == 2


def test_a_hang_is_read_while_it_lasts(compile_cpp, start_recorded):
    program = compile_cpp(
        HEAD
        + "std::promise<void> one, other;\nint main() { std::thread t([] { second.lock(); one.set_value();"
        + " other.get_future().wait(); first.lock(); });\n first.lock(); one.get_future().wait(); other.set_value();"
        + " second.lock(); }"
    )
    started, folder = start_recorded(program)
    try:
        deadline = time.monotonic() + 30
        stuck = []
        # A request is written before its stack.
        while (len(stuck) < 2 or not all(each.stack.native for each in stuck)) and time.monotonic() < deadline:
            traces = read_traces(folder)
            live = traces[0].live if traces else ()
            stuck = [
                each for each in live if each.wants is not None and traces[0].locks[each.wants].kind is LockKind.MUTEX
            ]
    finally:
        started.kill()
        started.communicate()
    held = {each.thread: {holding.lock for holding in each.holding} for each in stuck}
    assert held[0] == {stuck[1].wants}
    assert held[1] == {stuck[0].wants}
    assert all(each.stack.native for each in stuck), "a thread that blocks has its stack"


def test_the_hashes_of_small_numbers_are_all_different(compile_cpp):
    # What a thread remembers is found by such a hash alone, and most of what it is made of are numbers of rows.
    header = Path(__file__).parents[2] / "native" / "preload" / "common" / "table.hpp"
    text = """
    #include <set>
    int main() {
        std::set<std::uint32_t> upper;
        for (std::uint64_t one = 0; one < 300; ++one)
            for (std::uint64_t other = 0; other < 300; ++other)
                upper.insert(static_cast<std::uint32_t>(preload::mix(preload::mix(one, other), 1) >> 32));
        return upper.size() > 89990 ? 0 : 1; // of 90,000, of which by chance one pair may share 32 bits
    }
    """
    subprocess.run([compile_cpp(text, "-include", str(header))], check=True, timeout=60)


def test_each_lock_at_each_place_is_a_request_of_its_own(trace):
    before = """
    #include <utility>
    std::mutex all[24];
    template <int place> __attribute__((noinline)) void take(std::mutex& one) {
        one.lock();
        asm volatile("" : : "i"(place));
        one.unlock();
    }
    template <int... places> void take_each(std::integer_sequence<int, places...>) {
        for (auto& one : all) (take<places>(one), ...);
    }
    """
    seen = trace("Guard a(first); take_each(std::make_integer_sequence<int, 24>());", before=before)
    assert len(seen.requests) == 24 * 24
    assert {each.count for each in seen.requests} == {1}


def test_errno_is_kept(trace):
    trace("errno = 42; { Guard a(first); Guard b(second); } return errno == 42 ? 0 : 1;")


def test_without_the_variable_nothing_is_recorded(compile_cpp, lock_recorder, tmp_path):
    program = compile_cpp(HEAD + "int main() { Guard a(first); Guard b(second); }")
    env = {name: text for name, text in os.environ.items() if name != "PYTHON_TSAN_LOCKS"}
    subprocess.run([program], env={**env, "LD_PRELOAD": str(lock_recorder)}, check=True, cwd=tmp_path, timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_it_calls_nothing_that_a_sanitizer_intercepts(lock_recorder):
    listed = subprocess.run(["nm", "-D", "--undefined-only", lock_recorder], capture_output=True, text=True, check=True)
    names = set(re.findall(r" U (\w+)", listed.stdout))
    assert names <= {
        "_Unwind_Backtrace",
        "_Unwind_GetCFA",
        "_Unwind_GetIP",
        "__environ",
        "__libc_stack_end",
        "__register_atfork",
        "_r_debug",  # a variable
        "dladdr",
        "dladdr1",
        "dlsym",
        "dlvsym",
        "pthread_key_create",
        "pthread_self",
        "pthread_setspecific",
        # In place of a function of <threads.h>.
        "pthread_cond_init",
        "pthread_detach",
        "pthread_mutexattr_destroy",
        "pthread_mutexattr_init",
        "pthread_mutexattr_settype",
    }


def test_what_a_thread_took_on_its_way_to_its_end(trace):
    seen = trace(
        "std::condition_variable signalled; bool go = false;"
        " std::thread direct([] { Guard a(second); Guard b(first); });"
        " direct.join();"
        " std::thread waiting([&] { { Guard a(second); Guard b(first); } std::unique_lock<std::mutex> own(third);"
        " number = gettid(); signalled.wait(own, [&] { return go; }); });"
        " while (number == 0) {} until_asleep(number); { Guard a(third); go = true; } signalled.notify_all();"
        " waiting.join(); Guard a(first); Guard b(second); Guard c(third);",
        before=ASLEEP + "std::atomic<long> number{0};",
    )
    _, direct, waiting = seen.threads
    (inner,) = {each.lock for each in seen.requests if each.thread == direct.id}
    assert inner in direct.last_way
    assert len(direct.last_way) == 2
    assert seen.threads[0].last_way is None, "the main thread does not end before the process"
    assert waiting.last_way is not None
    assert inner not in waiting.last_way, "it was taken before the wait"


def test_the_lock_of_a_stream_is_recorded_and_may_be_taken_again(trace):
    take = "flockfile(stdout); Guard a(first);"
    seen = trace(
        f"flockfile(stdout); {take} funlockfile(stdout); Guard b(second); funlockfile(stdout); Guard c(third);"
    )
    held = [kinds for kinds, _ in edges(seen)]
    both = (LockKind.STREAM, LockKind.MUTEX)
    assert held == [both[:1], both, (LockKind.MUTEX, LockKind.MUTEX)]
    assert seen.locks[seen.requests[0].holding[0].lock].recursive


def test_a_try_for_a_stream_waits_for_nothing_and_holds_it(trace):
    seen = trace("Guard a(first); if (ftrylockfile(stdout) == 0) { Guard b(second); funlockfile(stdout); }")
    assert requests_of(seen, LockKind.STREAM) == []
    assert edges(seen)[-1][0] == (LockKind.MUTEX, LockKind.STREAM)


def test_a_stream_that_is_closed_has_no_lock_any_more(trace):
    use = "{ FILE* file = tmpfile(); Guard a(first); flockfile(file); funlockfile(file); fclose(file); }"
    seen = trace(use + use)
    assert len({each.lock for each in requests_of(seen, LockKind.STREAM)}) == 2
