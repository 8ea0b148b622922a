"""A program's own lock functions are no places: a reader is shown who called them, and each caller counts."""

import pytest
from deadlock_samples import FUNCTIONS, PROGRAM, PYTHON, findings_of, sink_trace, stack

from python_tsan.locks.cycles import find_cycles
from python_tsan.locks.findings import deadlock_findings
from python_tsan.locks.lock_functions import lock_functions, makers
from python_tsan.locks.model import GilSight, Holding, LockTrace, Request
from python_tsan.tsan.fingerprint import fingerprint
from tests.locks.test_deadlock_cases import LOOKUP

LIBRARY, WORK, THREAD = (PROGRAM, 1), (PROGRAM, 2), (PROGRAM, 3)


def functions_of(taken, asked):
    request = Request(thread=0, segment=0, holding=(Holding(lock=0, stack=stack(*taken)),), lock=1, stack=stack(*asked))
    return lock_functions(LockTrace(pid=1, gil=GilSight.NO_PYTHON, requests=(request,)))


def test_a_function_that_has_returned_took_the_lock_for_its_caller():
    inner, outer = (PROGRAM, 10), (PROGRAM, 11)
    assert functions_of([inner, outer, WORK, THREAD], [(PROGRAM, 12), (PROGRAM, 20), THREAD]) == {inner, outer}


def test_a_function_that_goes_on_has_the_lock():
    assert functions_of([WORK, THREAD], [(PROGRAM, 12), (PROGRAM, 20), THREAD]) == set()


def test_nested_calls_of_one_lock_function_differ_by_their_callers():
    lock = (PROGRAM, 10)
    assert functions_of([lock, (PROGRAM, 20), THREAD], [lock, (PROGRAM, 21), THREAD]) == {lock}


def test_a_short_stack_is_found_within_a_longer_one():
    lock = (PROGRAM, 10)
    asked = [(PROGRAM, 12), (PROGRAM, 21), THREAD, (PROGRAM, 4), (PROGRAM, 5)]
    assert functions_of([lock, (PROGRAM, 20), THREAD], asked) == {lock}


@pytest.mark.parametrize("taken", [[], [(PROGRAM, 10)], [(PROGRAM, 10), WORK, (PROGRAM, 99)]])
def test_stacks_without_a_common_call_say_nothing(taken):
    assert functions_of(taken, [(PROGRAM, 12), WORK, THREAD]) == set()


def test_a_library_that_makes_locks_for_several_callers_is_no_place():
    make, inner = (PYTHON, 1), (PYTHON, 2)
    assert makers([stack(inner, make, WORK), stack(inner, make, THREAD)]) == {make, inner}
    assert makers([stack(inner, make, WORK), stack(inner, make, WORK)]) == set(), "one caller makes several"
    assert makers([stack(LIBRARY, WORK), stack(LIBRARY, THREAD)]) == set(), "of one object, such as a constructor"


def test_a_reader_is_shown_the_caller_of_a_lock_function(monkeypatch):
    lock = (PROGRAM, 0x300)
    monkeypatch.setitem(FUNCTIONS, lock, [("os_lock", "/app/platform.c", 5)])
    asks, holds = sink_trace().requests
    took = (lock, (PROGRAM, 0x110), (PROGRAM, 0x140))
    here = Request(
        thread=1,
        segment=1,
        holding=(Holding(lock=1, stack=stack(*took)),),
        lock=0,
        stack=stack((PYTHON, 0x20), (PROGRAM, 0x100), (PROGRAM, 0x140)),
    )
    (finding,) = findings_of(sink_trace(requests=(here, holds)))
    places = {edge.mutex: edge.holding_stack.frames[0] for edge in finding.acquisitions if edge.holding_stack}
    assert places[0].symbol == "log_native()"
    assert asks.holding[0].stack != here.holding[0].stack


PROGRAM_TEXT = """
#include <atomic>
#include <pthread.h>
#include <thread>
struct Table { pthread_mutex_t mutex; };
Table one, other;
std::atomic<bool> done{false}; // the threads take turns, or they would block each other
#define OUT_OF_LINE __attribute__((noinline))
OUT_OF_LINE void os_lock(pthread_mutex_t* mutex) { pthread_mutex_lock(mutex); asm volatile(""); }
OUT_OF_LINE void enter(Table& table) { os_lock(&table.mutex); asm volatile(""); }
OUT_OF_LINE void leave(Table& table) { pthread_mutex_unlock(&table.mutex); asm volatile(""); }
OUT_OF_LINE void read_rows() { enter(one); enter(other); leave(other); leave(one); }
OUT_OF_LINE void write_rows() { enter(other); enter(one); leave(one); leave(other); }
OUT_OF_LINE void merge_rows() { enter(other); enter(one); leave(one); leave(other); }
int main() {
    pthread_mutex_init(&one.mutex, nullptr);
    pthread_mutex_init(&other.mutex, nullptr);
    std::thread first([] { read_rows(); done = true; });
    std::thread second([] { while (!done) std::this_thread::yield(); write_rows(); merge_rows(); });
    first.join();
    second.join();
}
"""


@pytest.mark.compiler
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_each_caller_of_a_lock_function_is_a_place(compile_cpp, record, level):
    (trace,) = record(compile_cpp(PROGRAM_TEXT, level))
    found = list(deadlock_findings(trace, find_cycles(trace).cycles, "x", LOOKUP))
    taken = {edge.holding_stack.frames[0].symbol for each in found for edge in each.acquisitions if edge.holding_stack}
    asked = {edge.stack.frames[0].symbol for each in found for edge in each.acquisitions}
    assert taken == asked == {"read_rows()", "write_rows()", "merge_rows()"}
    assert len({fingerprint(each) for each in found}) == 2
