"""A logging sink whose mutex is locked under the GIL in one thread, and held in another that asks for the GIL."""

from lock_samples import Recorded

from python_tsan.detect.reading import Reading
from python_tsan.locks.cycles import find_cycles
from python_tsan.locks.findings import deadlock_findings
from python_tsan.locks.model import CallStack, GilSight, Holding, LockKind, LockTrace, Request, TracedLock, TracedThread
from python_tsan.locks.naming import Lookup
from python_tsan.result.build import Facts, build_result
from python_tsan.result.finding import PythonFrame
from python_tsan.symbols import CFunction, Site
from python_tsan.tsan.finding import Frame

FILE = "runs/1/locks/locks.4711"
PROGRAM, PYTHON, LIBC = "/app/sink", "/usr/lib/libpython3.13.so.1.0", "/lib/libc.so.6"
FUNCTIONS = {
    (PYTHON, 0x10): [("take_gil", "", 0)],
    (PYTHON, 0x20): [("PyGILState_Ensure", "", 0)],
    (PYTHON, 0x30): [("_PyEval_EvalFrameDefault", "", 0)],
    (PYTHON, 0x40): [("PyObject_CallNoArgs", "", 0)],
    (LIBC, 0x10): [("pthread_mutex_lock", "", 0)],
    (PROGRAM, 0x100): [("gil_scoped_acquire", "/app/gil.hpp", 3), ("sink(std::string const&)", "/app/sink.cpp", 8)],
    (PROGRAM, 0x110): [("log_native()", "/app/sink.cpp", 12)],
    (PROGRAM, 0x120): [("main", "/app/main.cpp", 40)],
    (PROGRAM, 0x130): [("py_log(PyObject*)", "/app/module.cpp", 21)],
    (PROGRAM, 0x140): [("start()", "/app/main.cpp", 30)],
}
LOG = PythonFrame(function="log", file="/app/nlog.py", line=5)


def stack(*places, python=()):
    native = tuple(Frame(index=0, module=module, offset=offset) for module, offset in places)
    return CallStack(native=native, python=tuple(python))


def symbolise(places):
    return {
        place: Site(
            library=place[0], offset=place[1], functions=tuple(CFunction(*each) for each in FUNCTIONS.get(place, ()))
        )
        for place in places
    }


VARIABLES = {(PROGRAM, 0x4040): "(anonymous namespace)::log_mutex", (PROGRAM, 0x4100): "service+0x28"}
LOOKUP = Lookup(
    functions=symbolise, variables=lambda places: {each: VARIABLES[each] for each in places if each in VARIABLES}
)
ENSURE = stack((PYTHON, 0x10), (PYTHON, 0x20), (PROGRAM, 0x100), (PROGRAM, 0x110))
GIL, MUTEX = 0, 1


def sink_trace(**changes) -> LockTrace:
    """Return the trace of the sink; parts of it by name."""
    parts = {
        "locks": (
            TracedLock(id=GIL, kind=LockKind.GIL, address=0x7000),
            TracedLock(id=MUTEX, kind=LockKind.MUTEX, name="log_mutex", address=0x5000),
        ),
        "requests": (
            Request(
                thread=1,
                segment=1,
                holding=(Holding(lock=MUTEX, stack=stack((PROGRAM, 0x110))),),
                lock=GIL,
                stack=ENSURE,
            ),
            Request(
                thread=0,
                segment=0,
                holding=(Holding(lock=GIL, stack=stack((PYTHON, 0x20), (PROGRAM, 0x120))),),
                lock=MUTEX,
                stack=stack((LIBC, 0x10), (PROGRAM, 0x130), (PYTHON, 0x30), (PROGRAM, 0x120), python=[LOG]),
            ),
        ),
    }
    return LockTrace(
        pid=4711,
        gil=GilSight.RECOGNISED,
        threads=(
            TracedThread(id=0, tid=4711),
            TracedThread(id=1, tid=4712, parent=0, name="logger", stack=stack((PROGRAM, 0x140))),
        ),
        segments=(0, 1),
        **(parts | changes),
    )


def findings_of(trace, file=FILE):
    return list(deadlock_findings(trace, find_cycles(trace).cycles, file, LOOKUP))


def report_on(*traces, **facts):
    """Return the result of some traces."""
    reading = Reading()
    for number, trace in enumerate(traces):
        for finding in findings_of(trace, f"{FILE}.{number}"):
            reading.digest.add_finding(finding)
    return build_result(reading.digest, Facts(**facts))


def report_on_recorded(recorded: Recorded):
    """Return the result of what threads did with locks."""
    return report_on(recorded.trace())
