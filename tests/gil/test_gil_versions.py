"""Every way of letting go of the GIL, on each stock Python that this machine has."""

import os

import pytest

from python_tsan.cpython.stock import OLDEST, ask, candidates
from python_tsan.errors import ToolchainError
from python_tsan.gil.analysis import explain_process
from python_tsan.gil.debugger import installed_debugger, trace_with_debugger
from python_tsan.gil.phases import Phase
from python_tsan.gil.preload import trace_preloaded
from python_tsan.gil.trace import Way

pytestmark = pytest.mark.compiler

VERSIONS = ["3.11", "3.12", "3.13", "3.14"]
STATES = """
#include <pthread.h>
typedef struct _ts State;
State* PyEval_SaveThread(void); void PyEval_RestoreThread(State*);
State* PyThreadState_Get(void); State* PyThreadState_Swap(State*);
void PyEval_ReleaseThread(State*); void PyEval_AcquireThread(State*);
int PyGILState_Ensure(void); void PyGILState_Release(int);
int PyRun_SimpleString(const char*);
void save(void) { PyEval_RestoreThread(PyEval_SaveThread()); }
void swap(void) { PyThreadState_Swap(PyThreadState_Swap(0)); }
void hand(void) { State* state = PyThreadState_Get(); PyEval_ReleaseThread(state); PyEval_AcquireThread(state); }
static void* visitor(void* unused) {
    int outer = PyGILState_Ensure(), inner = PyGILState_Ensure();
    PyRun_SimpleString("pass");
    PyGILState_Release(inner); /* lets go of nothing */
    PyGILState_Release(outer);
    return unused;
}
void visit(void) {
    pthread_t thread;
    State* state = PyEval_SaveThread();
    pthread_create(&thread, 0, visitor, 0);
    pthread_join(thread, 0);
    PyEval_RestoreThread(state);
}
"""
PROGRAM = """
import ctypes, sys
library = ctypes.PyDLL(sys.argv[1])
for name in ("save", "swap", "hand", "visit"): getattr(library, name)()
"""


@pytest.fixture(params=VERSIONS)
def python(request):
    wanted = tuple(int(part) for part in request.param.split("."))
    found = (stock for path in candidates(os.environ) if request.param in path.name and (stock := ask(path)))
    usable = [one for one in found if one.shared and not one.free_threaded and one.release == wanted >= OLDEST]
    if not usable:
        pytest.skip(f"no stock Python {request.param} with a shared library")
    return usable[0]


@pytest.fixture
def command(python, compile_program, tmp_path):
    library = compile_program(STATES, "-shared", "-fPIC", "-g", name="states.so")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    return [str(python.executable), "-S", str(script), library]


def _calls(trace):
    """By thread: function, way of releasing and of taking again, of what happened in the library."""
    (process,) = trace.processes
    return [
        (event.thread, process.sites[event.site].name, Way(event.release_way), Way(event.acquire_way))
        for event in process.events
        if "states.so" in process.sites[event.site].library
    ]


def test_each_way_of_letting_go_is_seen_by_both_engines(command, python, tracer, environment):
    trace = trace_preloaded(command, library=tracer, env=environment)
    swap = [(0, "swap", Way.SWAP, Way.SWAP)] if python.release >= (3, 12) else []
    assert trace.processes[0].record.python == python.version
    assert _calls(trace) == [
        (0, "save", Way.SAVE_RESTORE, Way.SAVE_RESTORE),
        *swap,
        (0, "hand", Way.ACQUIRE_RELEASE, Way.ACQUIRE_RELEASE),
        (0, "visit", Way.SAVE_RESTORE, Way.SAVE_RESTORE),
        (1, "visitor", Way.GIL_STATE, Way.NONE),
    ]
    others = [event for event in trace.processes[0].events if event.thread == 1 and not event.released]
    assert [event.acquire_way for event in others] == [Way.GIL_STATE]
    try:
        engine = installed_debugger(os.environ)
    except ToolchainError:
        pytest.skip("no debugger is installed to compare with")
    assert _calls(trace_with_debugger(command, env=environment, engine=engine)) == _calls(trace)


def test_forced_switches_are_told_from_calls(python, tracer, environment):
    text = (
        "import threading, time\n"
        "def spin():\n"
        "    end = time.monotonic() + 0.15\n"
        "    while time.monotonic() < end: pass\n"
        "threads = [threading.Thread(target=spin) for _ in range(2)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
    )
    trace = trace_preloaded([str(python.executable), "-S", "-c", text], library=tracer, env=environment)
    (main,) = trace.processes
    forced = [one for one in explain_process(main) if one.phase is Phase.FORCED]
    assert main.record.sees_internal
    assert {one.event.thread for one in forced} == {1, 2}
    assert all(one.taken_by_other for one in forced)
