"""Unusual programs: what their calls of the C API show, or the one line that says that they cannot be seen."""

import shutil
from pathlib import Path

import pytest

from python_tsan.detect import capi
from python_tsan.detect.locks import LOOKUP
from python_tsan.locks.misuse import misuse_findings
from python_tsan.locks.model import Rule
from tests.locks.conftest import read_traces

pytestmark = [pytest.mark.compiler, pytest.mark.slow]

PROGRAM = """
#include <Python.h>
HEAD
static PyObject* list = nullptr;
__attribute__((noinline)) Py_ssize_t measure() { return PyList_Size(list); }
int main() {
    START
    Py_InitializeEx(0);
    list = PyList_New(0);
    PyThreadState* state = PyEval_SaveThread();
    const auto size = measure();
    PyEval_RestoreThread(state);
    Py_FinalizeEx();
    return size == 0 ? 0 : 9;
}
"""
FILTER = """
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
static void forbid(unsigned call = SYS_madvise) { // it fails from now on
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1),
    };
    sock_fprog program = {4, rules};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(7);
}
"""


@pytest.fixture
def flags(stock_flags):
    return stock_flags


def text(head="", start=""):
    return PROGRAM.replace("HEAD", head).replace("START", start)


def called(traces):
    return [(each.rule, each.function) for trace in traces for each in trace.misuses]


FOUND = [(Rule.NO_THREAD_STATE, "PyList_Size")]


def test_a_stripped_program_has_its_place_in_the_file(compile_cpp, flags, record):
    program = compile_cpp(text(), *flags, "-s")
    (trace,) = record(program)
    ((finding, _),) = misuse_findings(trace, "recorded", LOOKUP)
    frame = finding.stacks[0].frames[0]
    assert (frame.module, frame.symbol) == (str(program), "")
    assert frame.offset


def test_a_program_that_forbids_system_calls(compile_cpp, flags, record):
    assert called(record(compile_cpp(text(FILTER, "forbid();"), *flags))) == FOUND


PLUGIN = """
#include <Python.h>
extern "C" Py_ssize_t use(PyObject* list) { return PyList_Size(list); }
"""
USES = """
#include <Python.h>
#include <cstring>
#include <dlfcn.h>
#include <unistd.h>
HEAD
int main(int, char** words) {
    BEFORE
    Py_InitializeEx(0);
    PyObject* list = PyList_New(0);
    AFTER
    void* plugin = OPEN;
    if (plugin == nullptr) _exit(9);
    auto* use = (Py_ssize_t (*)(PyObject*))dlsym(plugin, "use");
    if (std::strcmp(words[2], "held") == 0) return use(list) == 0 ? 0 : 8;
    PyThreadState* state = PyEval_SaveThread();
    use(list);
    PyEval_RestoreThread(state);
    return 0;
}
"""
LOCAL = "dlopen(words[1], RTLD_NOW)"


def uses(head="", before="", after="", call=LOCAL):
    return USES.replace("HEAD", head).replace("BEFORE", before).replace("AFTER", after).replace("OPEN", call)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_library_that_is_loaded_where_mprotect_is_forbidden(compile_cpp, flags, record, when):
    """The dynamic linker itself refuses a library of which a part is to be read-only, so that it has none."""
    plugin = compile_cpp(PLUGIN, "-shared", "-fPIC", flags[0], "-Wl,-z,norelro")
    program = compile_cpp(uses(FILTER, **{when: "forbid(SYS_mprotect);"}), *flags, "-ldl")
    assert called(record(program, plugin, "released")) == FOUND
    assert called(record(program, plugin, "held")) == []


def gaps_of(traces):
    return [what for trace in traces for what in trace.calls_not_seen]


def test_addresses_that_cannot_be_written_are_a_gap(compile_cpp, flags, record):
    """The library's part is read-only before the recorder sees it: it was linked without what calls the recorder."""
    plugin = compile_cpp(PLUGIN, "-shared", "-fPIC", flags[0], "-nostartfiles", "-Wl,-z,now")
    forbid_later = "[&] { void* at = dlopen(words[1], RTLD_NOW); forbid(SYS_mprotect); return at; }()"
    program = compile_cpp(uses(FILTER, call=forbid_later), *flags, "-ldl")
    traces = record(program, plugin, "held")
    assert called(traces) == []
    assert "calls through addresses that the program keeps read-only" in gaps_of(traces)


LATE = "the first calls of a library that was linked without start files"


@pytest.mark.parametrize(("extra", "gaps"), [("-nostartfiles", [LATE]), ("-nodefaultlibs", [])])
def test_a_library_without_start_files_is_a_gap(compile_cpp, flags, record, extra, gaps):
    plugin = compile_cpp(PLUGIN, "-shared", "-fPIC", flags[0], extra)
    program = compile_cpp(uses(), *flags, "-ldl")
    traces = record(program, plugin, "released")
    assert called(traces) == FOUND
    assert gaps_of(traces) == gaps


def test_a_library_without_start_files_is_a_gap_where_nothing_looks_for_its_functions(compile_cpp, flags, record):
    plugin = compile_cpp(PLUGIN, "-shared", "-fPIC", flags[0], "-nostartfiles")
    program = compile_cpp(text("#include <dlfcn.h>", f'dlopen("{plugin}", RTLD_NOW);'), *flags, "-ldl")
    traces = record(program)
    assert called(traces) == FOUND
    assert gaps_of(traces) == [LATE]


def test_a_python_in_a_namespace_of_its_own_is_a_gap(compile_cpp, flags, record):
    plugin = compile_cpp(PLUGIN, "-shared", "-fPIC", *flags)
    program = compile_cpp(uses(call="dlmopen(LM_ID_NEWLM, words[1], RTLD_NOW)"), *flags, "-ldl")
    traces = record(program, plugin, "held")
    assert called(traces) == []
    assert gaps_of(traces) == ["calls that lead to a second Python in the process"]


def test_under_an_audit_library_it_is_found_or_the_loader_refuses_the_recorder(compile_cpp, flags, start_recorded):
    """An audit library leaves little room for variables of threads; glibc's release decides how much."""
    audit = compile_cpp('extern "C" unsigned la_version(unsigned version) { return version; }', "-shared", "-fPIC")
    started, folder = start_recorded(compile_cpp(text(), *flags), env={"LD_AUDIT": str(audit)})
    _, errors = started.communicate(timeout=60)
    if started.returncode == 0:
        assert called(read_traces(folder)) == FOUND
    else:
        assert (started.returncode, "static TLS block" in errors) == (127, True)


def test_a_second_python_is_called_as_before_and_the_gap_is_stated(compile_cpp, stocks, record):
    if len(stocks) < 2:
        pytest.skip("needs two stock Pythons")
    (first, flags), (second, _) = stocks[0], stocks[-1]
    head = "#include <dlfcn.h>\n#include <cstring>"
    start = (
        f'void* other = dlopen("{second.library}", RTLD_NOW | RTLD_LOCAL);'
        'auto* version = (const char* (*)())dlsym(other, "Py_GetVersion");'
        f'if (std::strncmp(version(), "{second.version}", {len(second.version)}) != 0) return 5;'
        f'if (std::strncmp(Py_GetVersion(), "{first.version}", {len(first.version)}) != 0) return 6;'
    )
    traces = record(compile_cpp(text(head, start), *flags, "-Wl,-z,now"))
    assert called(traces) == FOUND
    assert [list(trace.calls_not_seen) for trace in traces] == [["calls that lead to a second Python in the process"]]


@pytest.fixture
def static_program(compile_cpp):
    """Compile with Debian's static library of Python."""
    for archive in Path("/usr/lib").glob("python3.*/config-*/libpython*-pic.a"):
        headers = Path("/usr/include", archive.parents[1].name)
        if (headers / "Python.h").is_file():
            libraries = (archive, "-lz", "-lexpat", "-lm", "-ldl", "-lutil", "-lpthread")
            return lambda *extra: compile_cpp(text(), f"-I{headers}", *extra, *libraries)
    pytest.skip("no static library of Python with headers")


@pytest.mark.parametrize("extra", [(), ("-s",)], ids=["with symbols", "stripped"])
def test_python_as_a_static_library_is_one_line(static_program, extra, start_recorded, tmp_path):
    program = static_program(*extra)
    started, folder = start_recorded(program)
    started.communicate(timeout=60)
    (tmp_path / "run").mkdir()
    shutil.copytree(folder, tmp_path / "run" / "locks")
    gaps = list(capi.gaps([tmp_path / "run"], alone=False))
    assert gaps == [f"{program.name} contains Python as a static library, so its calls of the C API were not judged."]


def test_a_program_without_python_is_not_taken_for_one(start_recorded, tmp_path):
    started, folder = start_recorded("/bin/sh", "-c", "true & wait")
    started.communicate(timeout=60)
    (tmp_path / "run").mkdir()
    shutil.copytree(folder, tmp_path / "run" / "locks")
    assert list(capi.gaps([tmp_path / "run"], alone=False)) == []


CONSTRUCTS = """
#include <Python.h>
#include <cstdlib>
struct Early { Early() { if (std::getenv("WITH_GIL") == nullptr) PyErr_Clear(); else Py_DecRef(PyList_New(0)); } };
static Early early;
"""
LOADS = """
#include <Python.h>
#include <cstring>
#include <dlfcn.h>
#include <thread>
static void load(const char* file) { if (dlopen(file, RTLD_LAZY) == nullptr) _exit(9); }
int main(int, char** words) {
    if (std::strcmp(words[2], "early") == 0) load(words[1]);
    Py_InitializeEx(0);
    if (std::strcmp(words[2], "held") == 0) load(words[1]);
    PyThreadState* state = PyEval_SaveThread();
    if (std::strcmp(words[2], "thread") == 0) std::thread(load, words[1]).join();
    PyEval_RestoreThread(state);
    return Py_FinalizeEx();
}
"""
LOADED = {
    "thread": [(Rule.NO_THREAD_STATE, "PyErr_Clear")],
    "early": [(Rule.NOT_INITIALIZED, "PyErr_Clear")],
    "held": [],
}


@pytest.fixture(scope="module")
def loader(compile_cpp, stock_flags):
    return compile_cpp(LOADS, *stock_flags, "-ldl")


@pytest.fixture(params=["lazy", "now"])
def constructing(compile_cpp, stock_flags, request):
    return compile_cpp(CONSTRUCTS, "-shared", "-fPIC", *stock_flags, f"-Wl,-z,{request.param}")


@pytest.mark.parametrize("when", LOADED)
def test_a_constructor_of_a_library_that_is_loaded_later(loader, constructing, start_recorded, when):
    started, folder = start_recorded(loader, constructing, when, env={"WITH_GIL": "1"} if when == "held" else {})
    started.communicate(timeout=60)  # without the GIL it crashes in most versions
    traces = read_traces(folder)
    assert called(traces) == LOADED[when]
    assert started.returncode == 0 or LOADED[when]


def test_a_constructor_of_a_library_that_is_linked(constructing, compile_cpp, flags, start_recorded):
    program = compile_cpp(text(), "-Wl,--no-as-needed", str(constructing), *flags)
    started, folder = start_recorded(program)
    started.communicate(timeout=60)
    assert (Rule.NOT_INITIALIZED, "PyErr_Clear") in called(read_traces(folder))


LOOKS = """
#include <dlfcn.h>
extern "C" int answer() { return 1; }
int main() {
    auto* next = (int (*)())dlsym(RTLD_NEXT, "answer");
    auto* first = (int (*)())dlsym(RTLD_DEFAULT, "answer");
    return next != nullptr && next() == 2 && first() == 1 && dlsym(RTLD_DEFAULT, "PyNo_Such") == nullptr ? 0 : 9;
}
"""


def test_dlsym_looks_where_its_caller_is(compile_cpp, record):
    library = compile_cpp('extern "C" int answer() { return 2; }', "-shared", "-fPIC")
    flags = ("-rdynamic", "-Wl,--no-as-needed", str(library), "-ldl")
    record(compile_cpp(LOOKS, *flags))


def test_an_extension_in_an_ordinary_python_is_checked_after_its_end(compile_cpp, stocks, record):
    """Py_RunMain finalizes Python inside of libpython; the destructor of a static object runs afterwards."""
    stock, flags = stocks[0]
    module = """
#include <Python.h>
struct Kept { PyObject* object = nullptr; ~Kept() { if (object) Py_DecRef(object); } };
static Kept kept;
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "late", nullptr, -1, nullptr};
PyMODINIT_FUNC PyInit_late() { kept.object = PyList_New(0); return PyModule_Create(&definition); }
"""
    library = compile_cpp(module, "-shared", "-fPIC", flags[0])
    library = library.rename(library.with_name("late.so"))
    env = {"PYTHONPATH": str(library.parent), "MALLOC_PERTURB_": "0"}
    started = record(stock.executable, "-c", "import late", env=env, exit_code=None)
    ((finding, _),) = misuse_findings(started[0], "recorded", LOOKUP)
    assert finding.title == "Py_DecRef called after Python is finalized"
    assert finding.locations[0].name == "kept"
