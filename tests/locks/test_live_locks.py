"""A hang is explained by who held and who waited for what; time lost under the GIL is summed up by call."""

from dataclasses import replace

import pytest
from deadlock_samples import ENSURE, GIL, LOOKUP, MUTEX, PROGRAM, findings_of, report_on, sink_trace, stack
from lock_samples import Recorded
from msgspec import structs

from python_tsan.locks.live import MAX_THREADS, explain_hang
from python_tsan.locks.model import Holding, LiveThread, LockKind, TracedLock, WaitUnderGil
from python_tsan.locks.waits import gil_waits
from python_tsan.render import wording
from python_tsan.render.circumstances import circumstances
from python_tsan.result.judge.program import Evidence, judge_program
from python_tsan.result.model import CLEAN, GilWait, Observation, Subject

MAIN = LiveThread(
    thread=0,
    holding=(Holding(lock=GIL, stack=stack((PROGRAM, 0x120))),),
    wants=MUTEX,
    stack=stack((PROGRAM, 0x130)),
)
LOGGER = LiveThread(thread=1, holding=(Holding(lock=MUTEX, stack=stack((PROGRAM, 0x110))),), wants=GIL, stack=ENSURE)


def lines(*live, **more):
    return explain_hang(sink_trace(live=live, **more), LOOKUP).lines


def test_a_cycle_comes_first_and_each_thread_has_a_line():
    assert lines(LOGGER, MAIN) == (
        "deadlock: thread T1 'logger' and main thread wait for each other",
        (
            "thread T1 'logger' holds log_mutex (sink.cpp:12 log_native) and waits for the GIL "
            "(gil.hpp:3 gil_scoped_acquire, PyGILState_Ensure), which main thread holds"
        ),
        (
            "main thread holds the GIL (main.cpp:40 main) and waits for log_mutex (module.cpp:21 py_log), "
            "which thread T1 'logger' holds"
        ),
    )


def test_a_wait_without_a_cycle_names_the_holder():
    busy = replace(MAIN, wants=None)
    assert lines(LOGGER, busy) == (
        (
            "thread T1 'logger' holds log_mutex (sink.cpp:12 log_native) and waits for the GIL "
            "(gil.hpp:3 gil_scoped_acquire, PyGILState_Ensure), which main thread holds"
        ),
        "main thread holds the GIL (main.cpp:40 main)",
    )


@pytest.mark.parametrize("live", [(), (replace(LOGGER, wants=None),), (LOGGER, replace(MAIN, holding=(), wants=None))])
def test_what_nobody_holds_explains_nothing(live):
    assert lines(*live) == ()


def test_where_all_threads_wait_each_has_a_line():
    assert lines(replace(MAIN, holding=())) == ("main thread waits for log_mutex (module.cpp:21 py_log)",)


def test_a_thread_that_waits_for_its_own_lock_waits_for_itself():
    assert lines(replace(LOGGER, wants=MUTEX, stack=stack((PROGRAM, 0x130))), replace(MAIN, wants=None)) == (
        "deadlock: thread T1 'logger' waits for itself",
        (
            "thread T1 'logger' waits for log_mutex (module.cpp:21 py_log), which it holds itself "
            "(sink.cpp:12 log_native)"
        ),
        "main thread holds the GIL (main.cpp:40 main)",
    )


def test_a_join_waits_for_the_end_of_a_thread():
    locks = (*sink_trace().locks, TracedLock(id=2, kind=LockKind.THREAD, thread=1))
    said = lines(LOGGER, replace(MAIN, wants=2), locks=locks)
    assert said[0] == "deadlock: thread T1 'logger' and main thread wait for each other"
    assert said[2].endswith("waits for the end of thread T1 'logger' (module.cpp:21 py_log)")


def test_a_lock_without_a_name_or_place_has_its_address():
    locks = (sink_trace().locks[0], TracedLock(id=MUTEX, kind=LockKind.MUTEX, address=0x5000))
    assert "waits for the mutex at 0x5000" in lines(LOGGER, MAIN, locks=locks)[2]


def test_of_many_threads_those_in_the_cycle_are_shown():
    waiting = [LiveThread(thread=number, wants=GIL) for number in range(2, 60)]
    said = lines(*waiting, MAIN, LOGGER)
    assert len(said) == MAX_THREADS + 1
    assert sum(" holds " in line.partition(" waits ")[0] for line in said) == 2


def test_a_cycle_of_three_is_found():
    recorded = Recorded()
    a, b, c = (recorded.lock(name) for name in "abc")
    live = [
        LiveThread(thread=number, holding=(Holding(lock=held),), wants=asked)
        for number, (held, asked) in enumerate([(a, b), (b, c), (c, a)])
    ]
    for number in range(3):
        recorded.segment(number)
    said = explain_hang(recorded.trace(live=tuple(live)), LOOKUP).lines
    assert said[0].count("thread") == 3
    assert said[0].endswith("wait for each other")


def test_a_cycle_in_which_the_threads_still_wait_has_happened():
    (finding,) = report_on(sink_trace(live=(LOGGER, MAIN))).findings
    assert wording.evidence(finding) == "it hung in this run"
    (other,) = report_on(sink_trace(live=(LOGGER, replace(MAIN, wants=None)))).findings
    assert wording.evidence(other).startswith("seen in this run, without a hang")


def test_one_run_of_several_that_hung_is_enough():
    (finding,) = report_on(sink_trace(), sink_trace(live=(LOGGER, MAIN))).findings
    assert finding.occurrences == 2
    assert finding.notes == findings_of(sink_trace(live=(LOGGER, MAIN)))[0].notes


def waits(*some):
    return gil_waits(sink_trace(waits=some), LOOKUP)


def test_waits_are_summed_up_by_call_and_place():
    one = WaitUnderGil(
        callee="pthread_mutex_lock", stack=stack((PROGRAM, 0x130)), count=2, total=5_000_000, longest=4_000_000
    )
    other = WaitUnderGil(
        callee="pthread_join", stack=stack((PROGRAM, 0x140)), count=1, total=9_000_000, longest=9_000_000
    )
    again = replace(one, count=1, total=1_000_000, longest=1_000_000, others=3)
    assert waits(one, other, again) == (
        GilWait(callee="pthread_join", place="main.cpp:30 start", count=1, total=9_000_000, longest=9_000_000),
        GilWait(
            callee="pthread_mutex_lock",
            place="module.cpp:21 py_log",
            count=3,
            total=6_000_000,
            longest=4_000_000,
            others=3,
        ),
    )


def test_what_is_shorter_than_a_millisecond_is_left_out():
    assert waits(WaitUnderGil(callee="pthread_mutex_lock", total=999_999, longest=999_999)) == ()


def test_the_result_says_where_time_was_lost_over_all_runs():
    wait = GilWait(
        callee="pthread_mutex_lock", place="service.cpp:41 put", count=1, total=130_000_000, longest=90_000_000
    )
    seen = [
        Observation(exit_code=0, timed_out=False, seconds=1, gil_waits=(structs.replace(wait, others=others),))
        for others in (0, 3)
    ]
    verdict = judge_program(Evidence(observations=tuple(seen), expectation=CLEAN))
    result = structs.replace(
        report_on(sink_trace()), verdicts=(verdict,), kind=type(report_on().kind).PROGRAM, subjects=(SUBJECT,)
    )
    words = [text for label, text in circumstances(result) if label == "with the GIL"]
    assert words == [
        (
            "pthread_mutex_lock waited 260.00 ms in 2 calls at service.cpp:41 put, longest 90.00 ms; "
            "3 threads asked for the GIL meanwhile"
        )
    ]


SUBJECT = Subject(command=("./service",), exit_codes=(0, 0))
