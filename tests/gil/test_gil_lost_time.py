"""Waits with the GIL held, in a trace of the GIL: from the recorder's record to the table and the pictures."""

import json
import re
import signal

import gil_samples as samples
import pytest
from gil_samples import MS

from python_tsan.console import make_console
from python_tsan.errors import UsageError
from python_tsan.gil.codec import decode, encode
from python_tsan.gil.lost_time import with_waits
from python_tsan.gil.preload import trace_preloaded
from python_tsan.gil.summary import time_lost
from python_tsan.gil.timeline import chrome_trace, html_page
from python_tsan.gil.trace import HeldWait, Thread
from python_tsan.locks.model import (
    CallStack,
    GilSight,
    LiveThread,
    LockKind,
    LockTrace,
    Moment,
    TracedLock,
    TracedThread,
    WaitUnderGil,
)
from python_tsan.locks.naming import Lookup
from python_tsan.preload_library import LOCK_RECORDER, build_library
from python_tsan.result.model import GilWait
from python_tsan.symbols import CFunction, Site
from python_tsan.tsan.finding import Frame

PROGRAM = "/app/service"
LOOKUP = Lookup(
    functions=lambda places: {
        (module, offset): Site(
            library=module, offset=offset, functions=(CFunction("Service::flush", "/app/service.cpp", offset),)
        )
        for module, offset in places
    },
    variables=lambda _: {},
)


def at(line):
    return CallStack(native=(Frame(index=0, module=PROGRAM, offset=line),))


def recorded(**changes):
    parts = {
        "threads": (TracedThread(id=0, tid=10, name="python"), TracedThread(id=1, tid=12, name="flusher")),
        "locks": (TracedLock(id=0, kind=LockKind.GIL), TracedLock(id=1, kind=LockKind.MUTEX)),
        "waits": (
            WaitUnderGil(callee="pthread_mutex_lock", stack=at(41), count=2, total=5 * MS, longest=4 * MS, others=3),
            WaitUnderGil(callee="sem_wait", stack=at(50), count=900, total=MS // 2, longest=MS // 9),
        ),
        "moments": (
            Moment(wait=0, thread=0, begun=3 * MS, length=4 * MS, others=3),
            Moment(wait=1, thread=0, begun=2 * MS, length=MS // 9),
            Moment(wait=0, thread=1, begun=1 * MS, length=1 * MS),
        ),
    }
    return LockTrace(pid=10, gil=GilSight.RECOGNISED, **(parts | changes))


LOCKED = GilWait(
    callee="pthread_mutex_lock",
    place="service.cpp:41 Service::flush",
    count=2,
    total=5 * MS,
    longest=4 * MS,
    others=3,
)


@pytest.fixture
def joined():
    return with_waits(samples.process(), recorded(), 0, LOOKUP)


def test_waits_are_joined_by_thread_and_place(joined):
    assert joined.waits == (LOCKED,)
    assert joined.held_waits == (HeldWait(1 * MS, 1 * MS, 2, 0, 0), HeldWait(3 * MS, 4 * MS, 0, 0, 3))


def test_a_thread_that_never_released_the_gil_gets_a_lane(joined):
    assert joined.record.threads == (*samples.record().threads, Thread(ordinal=2, tid=12, name="flusher"))


def test_without_a_recording_nothing_changes():
    assert with_waits(samples.process(), None, 0, LOOKUP) == samples.process()


def test_a_wait_that_was_not_over_lasts_until_the_end():
    stuck = LiveThread(thread=0, wants=1, stack=at(41), callee="pthread_mutex_lock", since=8 * MS)
    waiting = LiveThread(thread=1, wants=0)
    trace = recorded(waits=(), moments=(), live=(stuck, waiting))
    found = with_waits(samples.process(), trace, 11 * MS, LOOKUP)
    assert [(wait.callee, wait.count, wait.total, wait.others) for wait in found.waits] == [
        ("pthread_mutex_lock", 1, 3 * MS, 1)
    ]
    assert found.held_waits == (HeldWait(8 * MS, 3 * MS, 0, 0, 1),)


def test_a_trace_file_keeps_them(joined):
    trace = samples.trace(processes=(joined, samples.process()))
    assert decode(b"".join(encode(trace))) == trace


def test_a_wait_of_an_unknown_call_is_damage(joined):
    (wait, *_) = joined.held_waits
    broken = samples.process(waits=joined.waits, held_waits=(wait._replace(wait=1),))
    with pytest.raises(UsageError, match="damaged"):
        decode(b"".join(encode(samples.trace(processes=(broken,)))))


def test_the_table_has_total_longest_and_who_waited(joined):
    longer = GilWait(callee="pthread_join", place="", count=1, total=9 * MS, longest=9 * MS)
    table = time_lost([joined, samples.process(waits=(longer,))])
    assert table.rows == (
        ("pthread_join", "", "1", "9.00 ms", "9.00 ms", "0"),
        ("pthread_mutex_lock", "service.cpp:41 Service::flush", "2", "5.00 ms", "4.00 ms", "3"),
    )
    assert len(table.columns) == len(table.rows[0])


def test_the_timelines_have_them(joined):
    trace = samples.trace(processes=(joined,))
    spans = [one for one in json.loads("".join(chrome_trace(trace)))["traceEvents"] if one.get("cname")]
    assert [(one["tid"], one["ts"], one["dur"]) for one in spans] == [(2, 1000, 1000), (0, 3000, 4000)]
    assert spans[0]["name"] == "pthread_mutex_lock with the GIL held"
    page = html_page(trace)
    one = json.loads(re.search(r'id="data">(.*)</script>$', page, re.MULTILINE)[1])["processes"][0]
    assert one["waits"] == ["pthread_mutex_lock at service.cpp:41 Service::flush"]
    assert one["lost"] == [[2, 0, 1000, 0, 0], [0, 2000, 4000, 0, 3]]  # the first event is at 1 ms


@pytest.fixture(scope="module")
def lock_recorder(layout):
    return build_library(LOCK_RECORDER, layout=layout, console=make_console(quiet=True))


@pytest.fixture
def trace_waits(tracer, lock_recorder, stock_python, environment):
    def run(text):
        command = [stock_python, "-S", "-c", text]
        return trace_preloaded(command, library=tracer, recorder=lock_recorder, env=environment, memory=8 << 20)

    return run


# A function of PyDLL keeps the GIL.
WAIT = """
import ctypes, signal, time
libc = ctypes.PyDLL(None)
semaphore = ctypes.create_string_buffer(64)
libc.sem_init(semaphore, 0, 0)
"""
FOR_A_WHILE = """
end = time.clock_gettime_ns(time.CLOCK_REALTIME) + 60_000_000
libc.sem_timedwait(semaphore, (ctypes.c_int64 * 2)(end // 10**9, end % 10**9))
"""
FOR_EVER = """
signal.signal(signal.SIGALRM, signal.SIG_DFL)
signal.setitimer(signal.ITIMER_REAL, 0.3)
libc.sem_wait(semaphore)
"""


@pytest.mark.compiler
def test_a_real_wait_is_found_with_its_thread_and_time(trace_waits):
    (found,) = trace_waits(WAIT + FOR_A_WHILE).processes
    (wait,) = found.waits
    assert (wait.callee, wait.count) == ("sem_timedwait", 1)
    assert 40 * MS < wait.total == wait.longest
    (held,) = found.held_waits
    assert found.thread_name(held.thread) == "main"
    assert held.length == wait.total
    assert any(event.released < held.start for event in found.events if event.released)
    assert found.sites, "the releases are recorded as without it"


@pytest.mark.compiler
def test_a_process_that_is_killed_while_it_waits_has_the_wait(trace_waits):
    trace = trace_waits(WAIT + FOR_EVER)
    assert trace.exit_code == 128 + signal.SIGALRM
    (found,) = trace.processes
    assert [(wait.callee, wait.count) for wait in found.waits] == [("sem_wait", 1)]
    assert found.waits[0].total > 100 * MS
    assert len(found.held_waits) == 1


@pytest.mark.compiler
def test_a_python_that_waits_without_the_gil_loses_nothing(trace_waits):
    (found,) = trace_waits("import time; time.sleep(0.05)").processes
    assert found.waits == ()
