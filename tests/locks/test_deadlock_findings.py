"""A cycle of locks as a finding: who held what, where, and an identity that holds in the next run."""

from dataclasses import replace

import pytest
from deadlock_samples import ENSURE, FUNCTIONS, LOG, MUTEX, PROGRAM, PYTHON, findings_of, report_on, sink_trace, stack
from lock_samples import Recorded

from python_tsan.locks.findings import deadlock_findings
from python_tsan.locks.model import LockKind, Strength, TracedLock
from python_tsan.locks.naming import Lookup
from python_tsan.result.finding import Attribution, PythonFrame
from python_tsan.tsan.finding import Kind
from python_tsan.tsan.fingerprint import fingerprint, identity


@pytest.fixture
def finding():
    (one,) = findings_of(sink_trace())
    return one


def requests(**changes):
    """Return the sink's requests, the first one (for the GIL) changed."""
    first, second = sink_trace().requests
    return {"requests": (replace(first, **changes), second)}


def functions(stack):
    return [frame.symbol for frame in stack.frames]


def test_a_cycle_is_a_finding_with_its_locks_threads_and_places(finding):
    assert finding.kind is Kind.POSSIBLE_DEADLOCK
    assert [(mutex.kind, mutex.name) for mutex in finding.mutexes] == [("GIL", "GIL"), ("mutex", "log_mutex")]
    takes, asks = finding.acquisitions
    assert (takes.thread, takes.main_thread, takes.holding, takes.mutex) == (0, True, 0, 1)
    assert (asks.thread, asks.main_thread, asks.holding, asks.mutex) == (1, False, 1, 0)
    (thread,) = finding.threads
    assert (thread.id, thread.name, thread.tid, thread.parent_main) == (1, "logger", 4712, True)
    assert functions(thread.stack) == ["start()"]


def test_a_stack_begins_outside_of_the_interpreter_and_names_the_call(finding):
    asks = finding.acquisitions[1]
    assert asks.call == "PyGILState_Ensure"
    assert functions(asks.stack) == ["gil_scoped_acquire", "sink(std::string const&)", "log_native()"]
    assert functions(asks.holding_stack) == ["log_native()"]


def test_python_frames_stand_where_the_interpreter_ran_them(finding):
    takes = finding.acquisitions[0]
    assert functions(takes.stack) == ["py_log(PyObject*)", "log", "main"]
    assert [frame.python for frame in takes.stack.frames] == [False, True, False]
    assert takes.call == "pthread_mutex_lock"


def test_a_thread_that_asks_again_in_python_code_is_there():
    again = stack((PYTHON, 0x10), (PYTHON, 0x30), (PYTHON, 0x40), (PROGRAM, 0x110), python=[LOG])
    (finding,) = findings_of(sink_trace(**requests(stack=again)))
    assert functions(finding.acquisitions[1].stack) == ["log", "log_native()"]
    assert finding.acquisitions[1].call == "PyObject_CallNoArgs"


def test_without_frames_of_the_program_the_python_ones_are_all():
    deep = stack((PYTHON, 0x10), (PYTHON, 0x30), python=[LOG])
    (finding,) = findings_of(sink_trace(**requests(stack=deep)))
    assert functions(finding.acquisitions[1].stack) == ["log"]


def test_an_address_without_a_symbol_keeps_its_place():
    (finding,) = findings_of(sink_trace(**requests(stack=stack((PROGRAM, 0x999)))))
    (frame,) = finding.acquisitions[1].stack.frames
    assert (frame.symbol, frame.module, frame.offset) == ("", PROGRAM, 0x999)


def test_the_identity_has_no_number_address_or_line(finding):
    lines = identity(finding)
    assert lines == (
        "v1",
        "possible deadlock",
        "gil_scoped_acquire gil.hpp",
        "py_log module.cpp",
        "lock GIL GIL",
        "lock mutex log_mutex",
    )


def test_another_run_has_the_same_fingerprint(finding):
    trace = sink_trace()
    locks = tuple(replace(lock, address=lock.address + 0x1000) for lock in trace.locks)
    (other,) = findings_of(replace(trace, pid=99, locks=locks, requests=trace.requests[::-1]), file="elsewhere")
    assert fingerprint(other) == fingerprint(finding)


def test_a_python_function_in_which_the_gil_was_asked_for_again_is_no_identity():
    def in_function(name):
        frame = PythonFrame(function=name, file="/app/nlog.py", line=9)
        again = stack((PYTHON, 0x10), (PYTHON, 0x30), (PROGRAM, 0x110), python=[frame])
        return fingerprint(findings_of(sink_trace(**requests(stack=again)))[0])

    assert in_function("one") == in_function("other")


def test_a_lock_without_a_name_is_identified_by_where_it_was_created(finding):
    def created(offset):
        lock = TracedLock(id=MUTEX, kind=LockKind.MUTEX, created=stack((PROGRAM, offset)))
        return findings_of(sink_trace(locks=(sink_trace().locks[0], lock)))[0]

    assert fingerprint(created(0x110)) not in {fingerprint(created(0x120)), fingerprint(finding)}
    assert "lock mutex log_native sink.cpp" in identity(created(0x110))


def test_the_program_is_yours_and_a_library_is_not():
    (mine,) = report_on(sink_trace()).findings
    assert mine.attribution is Attribution.YOURS
    theirs = stack((PYTHON, 0x10), (PYTHON, 0x20), ("/venv/lib/python3.13/site-packages/x/_x.abi3.so", 0x1))
    (finding,) = report_on(sink_trace(**requests(stack=theirs))).findings
    assert [origin.attribution for origin in finding.origins] == [Attribution.YOURS, Attribution.EXTENSION]


@pytest.mark.parametrize(
    ("file", "whose"),
    [
        ("/usr/lib/python3.13/threading.py", Attribution.LIBPYTHON),
        ("<frozen importlib._bootstrap>", Attribution.LIBPYTHON),
        ("/v/lib/python3.13/site-packages/numpy/core.py", Attribution.NUMPY),
        ("/v/lib/python3.13/site-packages/pandas/core.py", Attribution.EXTENSION),
        ("/app/nlog.py", Attribution.YOURS),
    ],
)
def test_python_code_belongs_to_its_folder(file, whose):
    frame = PythonFrame(function="f", file=file, line=1)
    (finding,) = report_on(sink_trace(**requests(stack=stack((PYTHON, 0x10), python=[frame])))).findings
    assert finding.origins[1].attribution is whose


def test_two_processes_that_show_the_same_are_one_finding():
    (finding,) = report_on(sink_trace(), sink_trace()).findings
    assert finding.occurrences == 2
    assert len(finding.sources) == 2


def test_what_only_may_happen_is_marked():
    (finding,) = findings_of(sink_trace(**requests(strength=Strength.WEAK, stack=ENSURE)))
    assert [edge.weak for edge in finding.acquisitions] == [False, True]


def test_a_trace_without_cycles_has_no_finding_and_asks_for_no_address():
    def refuse(places):
        assert not set(places)
        return {}

    trace = Recorded().ask(0, "gil", "m").trace()
    assert list(deadlock_findings(trace, (), "f", Lookup(functions=refuse, variables=refuse))) == []


@pytest.mark.parametrize(("offset", "name"), [(0x4040, "log_mutex"), (0x4100, "service+0x28"), (0x9999, "")])
def test_a_lock_with_static_storage_is_called_by_its_variable(offset, name):
    lock = TracedLock(id=MUTEX, kind=LockKind.MUTEX, module=PROGRAM, offset=offset)
    (finding,) = findings_of(sink_trace(locks=(sink_trace().locks[0], lock)))
    assert finding.mutexes[1].name == name


def test_a_second_gil_is_a_sub_interpreters():
    first, mutex = sink_trace().locks
    second = replace(first, id=2, address=0x8000)
    asks, takes = sink_trace().requests
    trace = sink_trace(
        locks=(first, mutex, second),
        requests=(replace(asks, lock=2), replace(takes, holding=(replace(takes.holding[0], lock=2),))),
    )
    (finding,) = findings_of(trace)
    assert [mutex.name for mutex in finding.mutexes] == ["GIL of a sub-interpreter", "log_mutex"]


def test_a_thread_with_the_programs_name_has_none_of_its_own():
    def names(command):
        (finding,) = findings_of(sink_trace(command=command))
        return [thread.name for thread in finding.threads]

    assert names("/app/sink") == ["logger"]
    assert names("/app/logger") == [""]


def test_a_frame_of_the_library_that_asks_for_no_lock_is_not_the_call():
    def call(symbol):
        FUNCTIONS[PROGRAM, 0x150] = [(symbol, "/usr/include/c++/12/bits/x.h", 1)]
        asked = stack((PROGRAM, 0x150), (PROGRAM, 0x110))
        return findings_of(sink_trace(**requests(stack=asked)))[0].acquisitions[1].call

    assert call("std::_Function_handler<void ()>::_M_invoke(std::_Any_data const&)") == ""
    assert call("std::lock_guard<std::mutex>::lock_guard(std::mutex&)") == "std::lock_guard::lock_guard"


def test_the_end_of_a_thread_is_identified_by_where_that_was_created():
    gil, _ = sink_trace().locks
    end = TracedLock(id=2, kind=LockKind.THREAD, thread=1, created=stack((PROGRAM, 0x130)))
    asks, takes = sink_trace().requests
    trace = sink_trace(locks=(gil, replace(end, id=1)), requests=(replace(asks, holding=()), takes))
    (finding,) = findings_of(trace)
    assert "lock thread start main.cpp" in identity(finding)
