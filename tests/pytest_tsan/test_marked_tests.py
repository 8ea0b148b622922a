"""`@pytest.mark.tsan` as its users meet it: pytest runs on a project with an extension that has a planted race."""

import subprocess
import sys
import sysconfig

import pytest

from python_tsan.console import make_console
from python_tsan.cpython.tools import find_uv
from python_tsan.paths import Layout
from python_tsan.toolchain import choose_toolchain

pytest_plugins = ["pytester"]
PLUGIN = "python_tsan.pytest_tsan.plugin"
EXTENSION = r"""
#include <Python.h>
#include <pthread.h>

static long g_total;
static pthread_mutex_t g_mutex = PTHREAD_MUTEX_INITIALIZER;

static void *racy_work(void *unused) { g_total++; return unused; }
static void *safe_work(void *unused) {
    pthread_mutex_lock(&g_mutex);
    g_total++;
    pthread_mutex_unlock(&g_mutex);
    return unused;
}
static PyObject *twice(void *(*work)(void *)) {
    pthread_t one, two;
    Py_BEGIN_ALLOW_THREADS
    pthread_create(&one, NULL, work, NULL);
    pthread_create(&two, NULL, work, NULL);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}
static PyObject *racy(PyObject *self, PyObject *unused) { return twice(racy_work); }
static PyObject *safe(PyObject *self, PyObject *unused) { return twice(safe_work); }
static void *lost_work(void *list) { return PyList_Size(list) ? NULL : list; }
static PyObject *lost(PyObject *self, PyObject *list) {
    pthread_t thread;
    Py_BEGIN_ALLOW_THREADS
    pthread_create(&thread, NULL, lost_work, list);
    pthread_join(thread, NULL);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}
static PyMethodDef methods[] = {{"racy", racy, METH_NOARGS, NULL}, {"safe", safe, METH_NOARGS, NULL},
                                {"lost", lost, METH_O, NULL}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tally", NULL, -1, methods};
PyMODINIT_FUNC PyInit_tally(void) { return PyModule_Create(&module); }
"""
CASES = """
import os
import pytest

pytestmark = pytest.mark.tsan

@pytest.fixture
def tally():
    with open("set-up", "a") as file:
        file.write(f"{os.getpid()}\\n")
    import tally
    return tally

def test_racy(tally):
    tally.racy()

@pytest.mark.parametrize("times", [1, 3])
def test_safe(tally, times, tmp_path):
    for _ in range(times):
        tally.safe()
    assert os.environ["PYTHON_TSAN_MARKED_TEST"]

@pytest.mark.tsan(expect="race", repeat=2)
def test_must_race(tally):
    tally.racy()

@pytest.mark.tsan(expect="race")
def test_should_race(tally):
    tally.safe()

def test_wrong(tally):
    assert tally.safe() == 1

def test_left_out():
    pytest.skip("for a reason")

@pytest.mark.xfail(strict=True)
def test_known_to_race(tally):
    tally.racy()

@pytest.mark.xfail(strict=True)
def test_known_to_fail(tally):
    assert tally.safe() == 1

def test_crashes(tally):
    os.abort()

class TestOfAClass:
    def test_method(self, tally):
        tally.safe()

@pytest.mark.tsan(colour="red")
def test_marked_wrong():
    pass
"""


@pytest.fixture(scope="module")
def toolchain(tmp_path_factory):
    return choose_toolchain(
        None, layout=Layout(root=tmp_path_factory.mktemp("cache")), console=make_console(quiet=True)
    )


@pytest.fixture(scope="module")
def extensions(toolchain, tmp_path_factory):
    """Return the folder with the extension for this Python; below ``plain``, the same without instrumentation."""
    folder = tmp_path_factory.mktemp("extension")
    (folder / "plain").mkdir()
    (folder / "tally.c").write_text(EXTENSION)
    include = f"-I{sysconfig.get_path('include')}"
    for place, options in ((folder, ("-fsanitize=thread",)), (folder / "plain", ())):
        command = [toolchain.candidate.cc, "-shared", "-fPIC", "-g", "-O1", *options, include, folder / "tally.c"]
        subprocess.run([*command, "-o", place / f"tally{sysconfig.get_config_var('EXT_SUFFIX')}"], check=True)
    return folder


@pytest.fixture
def run(pytester, monkeypatch):
    """Return a function that runs pytest on a project with these tests, with this plugin and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("COLUMNS", "200")  # the summary cuts its lines to fit
    pytester.makeini("[pytest]\nxfail_strict = true\n")

    def run(tests, *options, python_path=""):
        monkeypatch.setenv("PYTHONPATH", str(python_path))
        pytester.makepyfile(test_it=tests)
        return pytester.runpytest_subprocess("-p", PLUGIN, *options)

    return run


ONE = "import pytest\n@pytest.mark.tsan\ndef test_one():\n    import tally\n    tally.{}()\n"
APART = "import os, pytest\n@pytest.mark.tsan\ndef test_apart():\n    assert 'PYTHON_TSAN_MARKED_TEST' {} os.environ\n"


@pytest.mark.compiler
@pytest.mark.timeout(300)
def test_each_kind_of_ending(run, extensions, pytester):
    result = run(CASES, "-rA", python_path=extensions)
    text = result.stdout.str()
    result.assert_outcomes(passed=4, failed=5, skipped=1, xfailed=2)
    result.stdout.re_match_lines_random(
        [
            r"FAILED .*test_racy - ThreadSanitizer: 1 finding",
            r"FAILED .*test_should_race - python-tsan: expected a data race, which",
            r"FAILED .*test_wrong - AssertionError: assert None == 1",
            r"FAILED .*test_crashes - The process of this test was ended by signal 6",
            r"FAILED .*test_marked_wrong - python-tsan: pytest.mark.tsan takes expect, .* and detect, not colour",
            r"PASSED .*test_safe\[1\]",
            r"PASSED .*test_safe\[3\]",
            r"PASSED .*test_must_race",
            r"PASSED .*TestOfAClass::test_method",
            r"SKIPPED \[1\] test_it.py:\d+: for a reason",
        ]
    )
    assert "data race on g_total (global of 8 bytes)" in text
    assert "racy_work" in text
    # One fixture for each run of each test that uses it, each in a process of its own.
    processes = (pytester.path / "set-up").read_text().split()
    assert len(processes) == len(set(processes)) == 11
    # What failed keeps its evidence, what passed leaves nothing.
    kept = {path.name for path in (pytester.path / ".pytest_cache" / "d" / "python-tsan").iterdir()}
    names = ("racy", "should_race", "wrong", "known_to_race", "known_to_fail", "crashes")
    assert kept == {f"test_it.py--test_{name}" for name in names}


@pytest.mark.compiler
def test_an_extension_that_is_not_instrumented_is_not_called_clean(run, extensions):
    result = run(ONE.format("racy"), python_path=extensions / "plain")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no instrumented process was seen, so nothing shows that anything ran*"])


CONTRACT = """
import pytest

@pytest.mark.tsan(detect="capi")
def test_found():
    import tally
    tally.lost([])

@pytest.mark.tsan(detect="capi", expect="c-api-without-gil")
def test_expected():
    import tally
    tally.lost([])

@pytest.mark.tsan(detect="capi,locks", expect="c-api-without-gil")
def test_not_there():
    import tally
    tally.safe()

@pytest.mark.tsan(detect="capi")
def test_clean():
    import tally
    tally.safe()

@pytest.mark.tsan(detect="calls")
def test_unknown():
    pass
"""


@pytest.mark.compiler
@pytest.mark.timeout(300)
def test_calls_of_the_c_api_are_judged_without_instrumentation(run, extensions):
    result = run(CONTRACT, "-rA", python_path=extensions / "plain")
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.re_match_lines_random(
        [
            r"FAILED .*test_found - C API contract: 1 finding",
            r".*PyList_Size called without the GIL",
            r"FAILED .*test_not_there - python-tsan: expected a Python C API called without the GIL, which",
            r"FAILED .*test_unknown - python-tsan: unknown detector 'calls'",
            r"PASSED .*test_expected",
            r"PASSED .*test_clean",
        ]
    )


@pytest.mark.compiler
@pytest.mark.timeout(300)
def test_an_instrumented_extension_is_judged_by_all_detectors(run, extensions):
    tests = ONE.format("lost").replace("lost()", "lost([])")
    found = run(tests, python_path=extensions)
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*PyList_Size called without the GIL*"])
    run(tests.replace("mark.tsan", "mark.tsan(detect='races')"), python_path=extensions).assert_outcomes(passed=1)


@pytest.mark.compiler
def test_an_import_at_the_top_of_the_file_says_where_it_belongs(run, extensions):
    result = run("import tally\n" + ONE.format("safe"), python_path=extensions)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*inside a test marked tsan or its fixtures, never at the top of the file*"])


@pytest.mark.compiler
def test_a_module_of_another_compiler_says_so(run):
    words = "libtsan.so.2: cannot allocate memory in static TLS block"
    result = run(f"import pytest\n@pytest.mark.tsan\ndef test_one():\n    raise ImportError({words!r})\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*set PYTHON_TSAN_TOOLCHAIN."])


@pytest.mark.compiler
@pytest.mark.timeout(200)
def test_workers_of_xdist_run_them_apart_too(run, extensions):
    pytest.importorskip("xdist")
    tests = (
        f"{ONE.format('racy')}\n{ONE.format('safe').replace('test_one', 'test_two')}\n\ndef test_plain():\n    pass\n"
    )
    result = run(tests, "-p", "xdist", "-n", "2", python_path=extensions)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*data race on g_total*", "FAILED *test_one - ThreadSanitizer: 1 finding"])


@pytest.mark.compiler
def test_another_python_can_run_them(run, extensions, tmp_path):
    other = tmp_path / "other"
    subprocess.run([find_uv(), "venv", "--quiet", "--python", sys.executable, other], check=True)
    (site,) = other.glob("lib/python3*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    tests = ONE.format("safe") + f"    import sys\n    assert sys.prefix == {str(other)!r}\n"
    run(tests, "--tsan-python", str(other / "bin" / "python"), python_path=extensions).assert_outcomes(passed=1)


@pytest.mark.compiler
def test_a_python_without_pytest_says_so(run, tmp_path):
    subprocess.run([find_uv(), "venv", "--quiet", "--python", sys.executable, tmp_path / "bare"], check=True)
    result = run(APART.format("in"), "--tsan-python", str(tmp_path / "bare" / "bin" / "python"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*No module named pytest*"])


def test_a_python_that_is_not_there_is_an_error(run):
    result = run(APART.format("in"), "--tsan-python", "nowhere/python")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["python-tsan: the Python for marked tests is not there: */nowhere/python"])


def test_where_nothing_can_run_them_they_are_skipped_or_fail(run, monkeypatch):
    monkeypatch.setenv("PYTHON_TSAN_TOOLCHAIN", "clang-99")
    skipped = run(APART.format("in"), "-rs")
    skipped.assert_outcomes(skipped=1)
    skipped.stdout.fnmatch_lines(["SKIPPED*no ThreadSanitizer for marked tests: *clang-99*"])
    failed = run(APART.format("in"), "--tsan", "require")
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(["FAILED *no ThreadSanitizer for marked tests: *"])


def test_switched_off_they_are_ordinary_tests(run):
    run(APART.format("not in"), "--tsan", "off").assert_outcomes(passed=1)


def test_only_what_is_selected_is_run(run):
    result = run(f"{APART.format('in')}\ndef test_plain():\n    pass\n", "-k", "plain", "--strict-markers")
    result.assert_outcomes(passed=1, deselected=1)


def test_other_peoples_pytest_loads_nothing_of_ours(run, pytester):
    pytester.makeconftest(
        "import sys\ndef pytest_unconfigure():\n    print('LOADED', *sorted(m for m in sys.modules if 'tsan' in m))\n"
    )
    result = run("def test_plain():\n    pass\n", "-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"LOADED python_tsan python_tsan.pytest_tsan {PLUGIN} python_tsan.pytest_tsan.words"])


def test_the_plugin_is_registered_for_everyone():
    done = subprocess.run([sys.executable, "-m", "pytest", "--markers"], capture_output=True, text=True, check=True)
    assert done.stdout.count("@pytest.mark.tsan(") == 1
