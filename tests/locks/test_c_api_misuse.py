"""Calls of Python's C API that break its contract are found on each stock Python, and their correct twins are quiet."""

import shutil

import pytest

from python_tsan.detect.locks import LOOKUP
from python_tsan.locks.misuse import misuse_findings
from python_tsan.locks.model import CallStack, GilSight, LockTrace, Misuse, Rule, TracedThread
from python_tsan.locks.naming import Lookup
from python_tsan.tsan.finding import Frame, Kind
from python_tsan.tsan.fingerprint import fingerprint
from tests.locks.conftest import embeddable, python_flags

HEAD = """
#define PY_SSIZE_T_CLEAN // up to 3.12 it makes other functions of some
#include <Python.h>
#include <string>
#include <thread>
template <typename Work> __attribute__((noinline)) void in_thread(Work work) { std::thread(work).join(); }
static PyObject* list = nullptr;
static PyInterpreterState* home = nullptr;
__attribute__((noinline)) void count_it() { if (PyGILState_Check() == 2) PyList_Append(list, list); }
__attribute__((noinline)) Py_ssize_t measure() { return PyList_Size(list); }
"""
MAIN = """
int main(int, char** words) {
    const std::string name = words[1] == nullptr ? "" : words[1];
    Py_Initialize();
    list = PyList_New(3);
    %s
    return Py_FinalizeEx();
}
"""
RELEASED = "PyThreadState* state = PyEval_SaveThread(); %s PyEval_RestoreThread(state);"
# Bodies of main that end well on every version although they break the contract, with the kind and what is called.
WRONG = {
    "after the release of the GIL": (
        RELEASED % "if (measure() != 3) return 9;",
        Kind.API_NOT_ATTACHED,
        "PyList_Size called without the GIL",
    ),
    "by a thread that never asked": (
        RELEASED % "in_thread([] { if (measure() != 3) std::abort(); });",
        Kind.API_NOT_ATTACHED,
        "PyList_Size called without the GIL",
    ),
    "by a thread while the main thread has the GIL": (
        "in_thread([] { if (measure() != 3) std::abort(); });",
        Kind.API_NOT_ATTACHED,
        "PyList_Size called without the GIL",
    ),
    "after its own release": (
        RELEASED % "in_thread([] { PyGILState_Release(PyGILState_Ensure()); if (measure() != 3) std::abort(); });",
        Kind.API_NOT_ATTACHED,
        "PyList_Size called without the GIL",
    ),
    "with an exception set": (
        (
            'PyErr_SetString(PyExc_ValueError, "x"); PyObject* made = PyObject_CallMethod(list, "__len__", nullptr);'
            " PyErr_Clear(); Py_XDECREF(made);"
        ),
        Kind.EXCEPTION_SET,
        "PyObject_CallMethod called with an exception set",
    ),
    "at the end with an exception set": (
        'PyErr_SetString(PyExc_ValueError, "unseen");',
        Kind.EXCEPTION_LOST,
        "exception lost with its thread state",
    ),
    "an ensure that has no release": (
        RELEASED % "in_thread([] { PyGILState_Ensure(); PyEval_SaveThread(); });",
        Kind.NEVER_RELEASED,
        "PyGILState_Ensure without PyGILState_Release",
    ),
    "thread states that nobody deletes": (
        "home = PyInterpreterState_Get(); "
        + RELEASED % "for (int i = 0; i < 3; ++i) in_thread([] { PyThreadState_New(home); });",
        Kind.NEVER_DELETED,
        "PyThreadState_New without PyThreadState_Delete",
    ),
}
RIGHT = {
    "with the GIL": "if (measure() != 3) return 9;",
    "under an ensure": RELEASED
    % "in_thread([] { auto s = PyGILState_Ensure(); if (measure() != 3) std::abort(); PyGILState_Release(s); });",
    "under a nested ensure": RELEASED
    % (
        "in_thread([] { auto s = PyGILState_Ensure(); auto t = PyGILState_Ensure(); PyGILState_Release(t);"
        " if (measure() != 3) std::abort(); PyGILState_Release(s); });"
    ),
    "with a state of its own": (
        "home = PyInterpreterState_Get(); "
        + RELEASED
        % (
            "in_thread([] { auto* mine = PyThreadState_New(home); PyEval_RestoreThread(mine);"
            " if (measure() != 3) std::abort(); PyThreadState_Clear(mine); PyThreadState_DeleteCurrent(); });"
        )
    ),
    "a thread state that is in use until the end": (
        "home = PyInterpreterState_Get(); auto* mine = PyThreadState_New(home); (void)mine;"
    ),
    "in a sub-interpreter": (
        "auto* mine = PyThreadState_Get(); auto* other = Py_NewInterpreter(); PyList_Size(PyList_New(1));"
        " Py_EndInterpreter(other); PyThreadState_Swap(mine); if (measure() != 3) return 9;"
    ),
    "in a sub-interpreter that a thread state of another's making ends": RELEASED
    % (
        "in_thread([] { auto s = PyGILState_Ensure(); auto* mine = PyThreadState_Get();"
        " auto* first = Py_NewInterpreter(); auto* second = PyThreadState_New(PyThreadState_GetInterpreter(first));"
        " PyThreadState_Swap(second);"
        " PyThreadState_Clear(first); PyThreadState_Delete(first); Py_EndInterpreter(second); PyThreadState_Swap(mine);"
        " PyGILState_Release(s); });"
    ),
    "in a sub-interpreter with a GIL of its own": """
#if PY_VERSION_HEX >= 0x030C0000
        PyInterpreterConfig config = {}; config.check_multi_interp_extensions = 1;
        config.gil = PyInterpreterConfig_OWN_GIL; config.allow_threads = 1;
        auto* mine = PyThreadState_Get(); PyThreadState* other = nullptr;
        Py_NewInterpreterFromConfig(&other, &config); PyList_Size(PyList_New(1));
        PyEval_SaveThread(); PyEval_RestoreThread(mine); if (measure() != 3) return 9;
        PyEval_SaveThread(); PyEval_RestoreThread(other); PyList_Size(PyList_New(1));
        Py_EndInterpreter(other); PyThreadState_Swap(mine); if (measure() != 3) return 9;
#endif
""",
    "after an exchange of thread states": (
        "auto* mine = PyThreadState_Swap(nullptr); PyThreadState_Swap(mine); if (measure() != 3) return 9;"
    ),
    "in a second life of Python": (
        "if (Py_FinalizeEx() != 0) return 8; Py_Initialize(); list = PyList_New(3); if (measure() != 3) return 9;"
    ),
    "what needs no GIL": RELEASED
    % "in_thread([] { PyMem_RawFree(PyMem_RawMalloc(3)); if (!Py_IsInitialized()) std::abort(); count_it(); });",
    "a null reference": RELEASED % "in_thread([] { Py_DecRef(nullptr); });",
    "modules with native code": (
        'if (PyRun_SimpleString("import threading, json, decimal, ctypes, sqlite3, hashlib, zlib\\n'
        "ts = [threading.Thread(target=json.dumps, args=({},)) for _ in range(4)]\\n"
        '[t.start() for t in ts]; [t.join() for t in ts]") != 0) return 9;'
    ),
}
PYTHONS = embeddable() if shutil.which("g++") else []

pytestmark = pytest.mark.compiler


@pytest.fixture(scope="module", params=[str(stock.executable) for stock in PYTHONS] or [None])
def flags(request):
    found = python_flags(request.param) if request.param else ()
    if not found:
        pytest.skip("no stock Python with a shared library and headers")
    return found


@pytest.fixture(scope="module")
def program(compile_cpp, flags):
    """One program for all mistakes and their twins; its argument chooses."""
    bodies = {name: body for name, (body, *_) in WRONG.items()} | RIGHT
    chain = "\n".join(f'if (name == "{name}") {{\n{body}\n}}' for name, body in bodies.items())
    return compile_cpp(HEAD + MAIN % chain, "-O1", *flags)


@pytest.fixture
def run(program, record):
    """Run a body of main under the recorder; returns its trace."""
    return lambda name: record(program, name)[0]


def findings_of(trace):
    found = misuse_findings(trace, "recorded", LOOKUP)
    return [finding for finding, count in found for _ in range(count)]


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_found_with_its_caller(name, run):
    _, kind, title = WRONG[name]
    finding, *others = findings_of(run(name))
    assert len(others) == (2 if kind is Kind.NEVER_DELETED else 0), "one for each thread state"
    assert (finding.kind, finding.title) == (kind, title)
    symbols = [frame.symbol for frame in finding.stacks[0].frames]
    assert symbols, "the caller is known"
    if kind is Kind.API_NOT_ATTACHED:
        assert symbols[0].startswith("measure")
        assert finding.stacks[0].frames[0].file.endswith("program.cpp")


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_allowed_is_quiet(name, run):
    trace = run(name)
    assert trace.checks_calls, "a recording that looks at no call would be quiet as well"
    assert trace.misuses == ()


@pytest.mark.parametrize("extra", [("-fno-plt",), ("-Wl,-z,now", "-Wl,-z,relro"), ("-no-pie", "-fno-pie")], ids=str)
def test_every_way_to_link_is_seen(extra, compile_cpp, record, flags):
    program = compile_cpp(HEAD + MAIN % WRONG["after the release of the GIL"][0], "-O1", *flags, *extra)
    (finding,) = findings_of(record(program)[0])
    assert finding.kind is Kind.API_NOT_ATTACHED


def test_the_variables_of_a_module_without_a_linkage_table_are_left_alone(flags, record, compile_cpp):
    """Its table of addresses has those of None and of the types next to those of functions."""
    plugin = (
        '#include <Python.h>\nextern "C" Py_ssize_t measure(PyObject* of, PyObject* none) '
        "{ return none == Py_None && Py_TYPE(of) == &PyList_Type ? PyList_Size(of) : -1; }\n"
    )
    library = compile_cpp(plugin, "-shared", "-fPIC", "-fno-plt", *flags)
    body = (
        f'auto* measure = (Py_ssize_t(*)(PyObject*, PyObject*))dlsym(dlopen("{library}", RTLD_NOW), "measure");'
        " if (measure == nullptr || measure(list, Py_None) != 3) return 8;"
    )
    program = compile_cpp("#include <dlfcn.h>\n" + HEAD.replace("measure()", "other()") + MAIN % body, *flags)
    assert record(program)[0].misuses == ()


def test_the_note_says_what_the_thread_did_before(run):
    (finding,) = findings_of(run("after its own release"))
    assert finding.notes[0].startswith("before, the thread called PyGILState_Release in ")
    (finding,) = findings_of(run("by a thread that never asked"))
    assert finding.notes == ("the thread had not attached a thread state before",)


def test_a_module_that_is_loaded_later_is_seen(flags, record, compile_cpp):
    plugin = '#include <Python.h>\nextern "C" Py_ssize_t measure(PyObject* of) { return PyList_Size(of); }\n'
    library = compile_cpp(plugin, "-shared", "-fPIC", *flags)
    body = (
        f'auto* measure = (Py_ssize_t(*)(PyObject*))dlsym(dlopen("{library}", RTLD_NOW), "measure");'
        " if (measure == nullptr) return 8; "
    ) + RELEASED % "if (measure(list) != 3) return 9;"
    program = compile_cpp("#include <dlfcn.h>\n" + HEAD.replace("measure()", "other()") + MAIN % body, *flags)
    (finding,) = findings_of(record(program)[0])
    assert finding.stacks[0].frames[0].symbol == "measure"


def test_a_child_of_fork_has_a_recording_of_its_own(flags, record, compile_cpp):
    body = (
        "PyOS_BeforeFork(); const pid_t child = fork();"
        " if (child == 0) { PyOS_AfterFork_Child(); auto* s = PyEval_SaveThread();"
        " const bool bad = measure() != 3; PyEval_RestoreThread(s); exit(bad); }"
        " PyOS_AfterFork_Parent(); int status = 1; waitpid(child, &status, 0); if (status != 0) return 7;"
    )
    program = compile_cpp("#include <sys/wait.h>\n#include <unistd.h>\n" + HEAD + MAIN % body, *flags)
    parent, child = record(program)
    assert parent.misuses == ()
    assert [each.function for each in child.misuses] == ["PyList_Size"]


def trace_of(*misuses, tid=7, gil=GilSight.RECOGNISED):
    threads = (TracedThread(id=0, tid=5), TracedThread(id=1, tid=tid, parent=0))
    return LockTrace(pid=5, gil=gil, threads=threads, misuses=misuses)


def stack(*symbols):
    return CallStack(native=tuple(Frame(index=n, symbol=s, file=f"{s}.cpp", line=n + 1) for n, s in enumerate(symbols)))


def pure(*misuses):
    nothing = Lookup(functions=lambda _: {}, variables=lambda _: {})
    return [finding for finding, _ in misuse_findings(trace_of(*misuses), "recorded", nothing)]


def test_two_functions_called_by_one_of_yours_are_one_finding():
    """The GIL is missing in the caller, however many functions it calls."""
    one, other = pure(
        Misuse(rule=Rule.NO_THREAD_STATE, function="PyList_Size", thread=1, stack=stack("measure", "work")),
        Misuse(rule=Rule.NO_THREAD_STATE, function="PyErr_Clear", thread=1, stack=stack("measure", "main")),
    )
    assert one.title != other.title
    assert fingerprint(one) == fingerprint(other)


def test_versions_with_one_state_for_all_threads_give_the_same_finding():
    old, new = pure(
        Misuse(rule=Rule.GIL_NOT_HELD, function="PyList_Size", thread=1, stack=stack("measure")),
        Misuse(rule=Rule.NO_THREAD_STATE, function="PyList_Size", thread=1, stack=stack("measure")),
    )
    assert fingerprint(old) == fingerprint(new)


@pytest.mark.parametrize(
    ("rule", "title"),
    [
        (Rule.NOT_INITIALIZED, "PyList_New called before Python is initialized"),
        (Rule.AFTER_FINALIZATION, "PyList_New called after Python is finalized"),
        (Rule.NO_THREAD_STATE, "PyList_New called without the GIL"),
        (Rule.GIL_NOT_HELD, "PyList_New called without the GIL"),
        (Rule.ENDED_ATTACHED, "thread ended with the GIL"),
        (Rule.NEVER_RELEASED, "PyGILState_Ensure without PyGILState_Release"),
        (Rule.NEVER_DELETED, "PyThreadState_New without PyThreadState_Delete"),
        (Rule.ATTACHED_TWICE, "PyList_New called with a thread state attached"),
        (Rule.UNMATCHED_RELEASE, "PyGILState_Release without PyGILState_Ensure"),
        (Rule.INTERPRETER_NEVER_ENDED, "Py_NewInterpreter without Py_EndInterpreter"),
        (Rule.INSIDE_AT_FINALIZATION, "thread inside Python at its finalization"),
        (Rule.OTHER_INTERPRETER, "PyList_New called with an object of another interpreter"),
        (Rule.ERROR_SET, "PyList_New called with an exception set"),
        (Rule.ERROR_LOST, "exception lost with its thread state"),
    ],
)
def test_each_rule_has_its_title(rule, title):
    (finding,) = pure(Misuse(rule=rule, function="PyList_New", thread=1, stack=stack("measure")))
    assert finding.title == title
    assert finding.raw.splitlines()[0] == title


def test_without_a_gil_the_title_speaks_of_the_thread_state_and_the_finding_is_the_same():
    misuse = Misuse(rule=Rule.NO_THREAD_STATE, function="PyList_New", thread=1, stack=stack("measure"))
    ((found, _),) = misuse_findings(trace_of(misuse, gil=GilSight.FREE_THREADED), "recorded", LOOKUP)
    assert found.title == "PyList_New called without an attached thread state"
    assert fingerprint(found) == fingerprint(pure(misuse)[0])


def test_repeated_calls_are_counted():
    many = trace_of(Misuse(rule=Rule.NO_THREAD_STATE, function="PyList_New", thread=1, count=10**9))
    ((_, count),) = misuse_findings(many, "recorded", LOOKUP)
    assert count == 10**9


def test_the_main_thread_has_no_creation_to_show():
    (main,) = pure(Misuse(rule=Rule.NO_THREAD_STATE, function="PyList_New", thread=0))
    (other,) = pure(Misuse(rule=Rule.NO_THREAD_STATE, function="PyList_New", thread=1))
    assert (main.threads, main.stacks[0].caption) == ((), "the call by the main thread")
    assert ([each.id for each in other.threads], other.stacks[0].caption) == ([1], "the call by thread T1")
