"""Every way of releasing the GIL, on a Python of each version: a stock one, or one that was built here."""

import os
import shutil
import subprocess

import pytest

from python_tsan.cpython.stock import ask, candidates
from python_tsan.errors import ToolchainError
from python_tsan.gil.analysis import explain_process
from python_tsan.gil.phases import Phase
from python_tsan.gil.preload import trace_preloaded
from python_tsan.gil.registry import ANY_DEBUGGER, find_engine
from python_tsan.gil.trace import GilCall
from python_tsan.paths import default_root

pytestmark = pytest.mark.compiler

VERSIONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]
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
    PyGILState_Release(inner); /* keeps the GIL */
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
def python(request, can_be_traced):
    wanted = tuple(int(part) for part in request.param.split("."))
    builds = sorted(default_root().glob(f"interpreters/{request.param}.*/bin/python{request.param}"))
    stocks = [path for path in candidates(os.environ) if request.param in path.name]
    found = (stock for path in (*stocks, *builds) if (stock := ask(path)))
    usable = next((one for one in found if one.release == wanted and can_be_traced(one)), None)
    if usable is None:
        pytest.skip(f"no Python {request.param} whose calls can be seen")
    return usable


@pytest.fixture
def command(python, compile_program, tmp_path):
    library = compile_program(STATES, "-shared", "-fPIC", "-g", name="states.so")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    return [str(python.executable), "-S", str(script), library]


SAME_NAMES = """
import os, threading
def stat(): os.stat('/')
def functions():
    for number in range(1500):
        code = stat.__code__.replace(co_filename=f"/nowhere/file_{number}.py", co_qualname=f"name_{number}")
        yield type(stat)(code, globals())
def work(own):
    for function in own: function()
threads = [threading.Thread(target=work, args=(list(functions()),)) for _ in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]
"""


@pytest.fixture
def all_free_threaded():
    """Pythons without a GIL, with their libraries' folders: builds of ours are all that there may be."""
    builds = default_root().glob("interpreters/3.*t-*/bin/python3")
    found = [path for path in builds if (stock := _ask_build(path)) and stock.free_threaded and stock.shared]
    if not found:
        pytest.skip("no free-threaded Python has been built here")
    return found


@pytest.fixture
def free_threaded(all_free_threaded):
    return all_free_threaded[0]


def _ask_build(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_LIBRARY_PATH", str(path.parents[1] / "lib"))
        return ask(path)


def test_without_a_gil_threads_detach_and_attach(free_threaded, tracer, environment):
    text = (
        "import os, sys, threading\n"
        "def work():\n"
        "    for _ in range(50): os.stat('/')\n"
        "    import decimal\n"
        "threads = [threading.Thread(target=work) for _ in range(3)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "sys.exit(5 + sys._is_gil_enabled())\n"
    )
    env = {**environment, "LD_LIBRARY_PATH": str(free_threaded.parents[1] / "lib"), "TSAN_OPTIONS": "exitcode=0"}
    trace = trace_preloaded([str(free_threaded), "-S", "-X", "gil=0", "-c", text], library=tracer, env=env)
    assert trace.exit_code == 5
    (main,) = trace.processes
    assert main.record.free_threaded
    assert main.record.lost_stacks == 0
    releases = list(explain_process(main))
    for thread in (1, 2, 3):
        own = [one for one in releases if one.event.thread == thread and one.function == "posix_do_stat"]
        stacks = [[frame.function for frame in one.process.stack(one.event.node)] for one in own]
        assert sum(stack[0] == "work" for stack in stacks if stack) == 50
    assert any(one.meaning.module == "decimal" and one.phase is Phase.READ for one in releases)


def test_what_the_tracer_does_is_not_reported_as_a_race(all_free_threaded, tracer, environment, tmp_path):
    """Threads keep the same names at once. gcc's runtime reported them in 5 of 5 runs, clang's in a few."""
    python = next((path for path in all_free_threaded if "-gcc-" in str(path)), all_free_threaded[0])
    env = {
        **environment,
        "LD_LIBRARY_PATH": str(python.parents[1] / "lib"),
        "TSAN_OPTIONS": f"exitcode=0:log_path={tmp_path / 'tsan'}",
    }
    trace = trace_preloaded([str(python), "-S", "-X", "gil=0", "-c", SAME_NAMES], library=tracer, env=env)
    assert trace.exit_code == 0
    assert trace.processes[0].record.lost_stacks == 0
    assert "gil_tracer::" not in "".join(path.read_text() for path in tmp_path.glob("tsan.*"))


def test_a_library_without_symbols_is_traced_by_what_it_exports(python, tracer, environment, tmp_path):
    library = shutil.copy(python.library, tmp_path / python.library.name)
    subprocess.run(["strip", "--strip-all", library], check=True, timeout=60)
    env = {**environment, "LD_LIBRARY_PATH": str(tmp_path)}
    trace = trace_preloaded([str(python.executable), "-S", "-c", "import colorsys"], library=tracer, env=env)
    releases = [one for one in explain_process(trace.processes[0]) if one.meaning.module == "colorsys"]
    used = {one.process.sites[one.event.site].library for one in releases}
    if str(library) not in used:
        pytest.skip("this Python takes its library from a folder of its own")
    assert {Phase.PATH_STAT, Phase.READ} <= {one.phase for one in releases}
    assert any("+0x" in one.function for one in releases), "a nameless place is not given a neighbour's name"


def _calls(trace):
    """By thread: function, way of releasing and of taking again, of what happened in the library."""
    (process,) = trace.processes
    return [
        (event.thread, process.sites[event.site].name, GilCall(event.release_call), GilCall(event.acquire_call))
        for event in process.events
        if "states.so" in process.sites[event.site].library
    ]


def test_each_way_of_letting_go_is_seen_by_both_engines(command, python, tracer, environment):
    trace = trace_preloaded(command, library=tracer, env=environment)
    swap = [(0, "swap", GilCall.SWAP, GilCall.SWAP)] if python.release >= (3, 12) else []
    assert trace.processes[0].record.python == python.version
    assert _calls(trace) == [
        (0, "save", GilCall.SAVE_RESTORE, GilCall.SAVE_RESTORE),
        *swap,
        (0, "hand", GilCall.ACQUIRE_RELEASE, GilCall.ACQUIRE_RELEASE),
        (0, "visit", GilCall.SAVE_RESTORE, GilCall.SAVE_RESTORE),
        (1, "visitor", GilCall.GIL_STATE, GilCall.NONE),
    ]
    others = [event for event in trace.processes[0].events if event.thread == 1 and not event.released]
    assert [event.acquire_call for event in others] == [GilCall.GIL_STATE]
    try:
        engine = find_engine(ANY_DEBUGGER, os.environ)
    except ToolchainError:
        pytest.skip("no debugger is installed to compare with")
    assert _calls(engine.trace(command, env=environment)) == _calls(trace)


def test_forced_switches_are_distinguished_from_calls(python, tracer, environment):
    text = (
        "import threading, time\n"
        "both = threading.Barrier(2)\n"
        "def spin():\n"
        "    both.wait()\n"
        "    end = time.monotonic() + 0.15\n"
        "    while time.monotonic() < end: pass\n"
        "threads = [threading.Thread(target=spin) for _ in range(2)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
    )
    trace = trace_preloaded([str(python.executable), "-S", "-c", text], library=tracer, env=environment)
    (main,) = trace.processes
    forced = [one for one in explain_process(main) if one.phase is Phase.FORCED]
    assert main.record.sees_internal
    # The first thread may be forced, too, before it waits for the others.
    assert {one.event.thread for one in forced} >= {1, 2}
    assert all(one.taken_by_other for one in forced)
