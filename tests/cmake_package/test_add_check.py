"""`python_tsan_add_check`: what it refuses, and real programs that CTest runs by it, racy, safe and hanging."""

import json
import os
import re
import subprocess

import pytest

from python_tsan.cpython.tools import find_tool
from python_tsan.tsan.finding import RULES

EXECUTABLE = "add_executable(it IMPORTED)\nset_target_properties(it PROPERTIES IMPORTED_LOCATION /bin/true)\n"
CHECK = "find_package(python_tsan CONFIG REQUIRED COMPONENTS check)\nenable_testing()\n" + EXECUTABLE
# An embedder in the C API alone: quick to compile, and the same GIL as anywhere.
PROGRAM = r"""
#include <Python.h>
#include <python_tsan/attach.hpp>
#include <python_tsan/barrier.hpp>
#include <python_tsan/safe_import.hpp>
#include <cstring>
#include <mutex>
#include <thread>

long g_count = 0;
std::mutex g_mutex;
python_tsan::Barrier g_start(2);

void add(bool guarded) {
    g_start.wait();
    std::unique_lock<std::mutex> lock(g_mutex, std::defer_lock);
    if (guarded) {
        lock.lock();
    }
    ++g_count;
}

int main(int count, char** words) {
    const char* what = count > 1 ? words[1] : "guarded";
    Py_Initialize();
    if (std::strcmp(what, "lost") == 0) {
        PyObject* list = PyList_New(0);
        PyThreadState* state = PyEval_SaveThread();
        std::thread([list] { PyList_Size(list); }).join();
        PyEval_RestoreThread(state);
        what = "guarded";
    }
    if (std::strcmp(what, "hang") == 0) {
        PyRun_SimpleString("import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()\n");
    }
    std::thread other(add, std::strcmp(what, "guarded") == 0);
    add(std::strcmp(what, "guarded") == 0);
    other.join();
    Py_Finalize();
}
"""
PROJECT = """
find_package(Threads REQUIRED)
find_package(python_tsan 0.1 CONFIG REQUIRED)
enable_testing()
add_executable(embedder embedder.cpp)
target_link_libraries(embedder PRIVATE python_tsan::instrumented Threads::Threads)
python_tsan_add_check(embedder EXPECT clean REPEAT 2)
python_tsan_add_check(embedder NAME racy EXPECT race REPEAT 2 ARGS unguarded)
python_tsan_add_check(embedder NAME mutated EXPECT clean ARGS unguarded)
python_tsan_add_check(embedder NAME too-safe EXPECT race ARGS guarded)
python_tsan_add_check(embedder NAME hanging EXPECT hang TIMEOUT 2 ARGS hang)
python_tsan_add_check(embedder NAME file EXPECT race.toml ARGS unguarded)
python_tsan_add_check(embedder NAME no-gil EXPECT c-api-without-gil ARGS lost)
python_tsan_add_check(embedder NAME with-gil EXPECT c-api-without-gil ARGS guarded)
"""
RACE = 'outcome = "race"\n[[findings]]\nkind = "data race"\nlocation = "g_count"\n'


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("nothing EXPECT clean", "there is no target nothing"),
        ("it", "EXPECT is clean, race, hang, a rule or a file, not ''"),
        ("it EXPECT maybe", "EXPECT is clean, race, hang, a rule or a file, not 'maybe'"),
        ("it EXPECT clean REPEAT 0", "REPEAT and TIMEOUT are whole numbers from 1, not '0'"),
        ("it EXPECT clean TIMEOUT soon", "REPEAT and TIMEOUT are whole numbers from 1, not 'soon'"),
        ("it EXPECT clean TWICE", "cannot read TWICE"),
        ("it EXPECT clean REPEAT", "cannot read REPEAT"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(configure, program, call, words):
    done = configure(f"{CHECK}python_tsan_add_check({call})\n", program())
    assert done.code == 1
    assert words in done.flat


def test_a_library_is_no_check(configure, program):
    lines = f"{CHECK}add_library(lib INTERFACE)\npython_tsan_add_check(lib EXPECT clean)\n"
    assert "lib is not an executable (INTERFACE_LIBRARY)" in configure(lines, program()).flat


def registered(configured):
    """Return the command of each test, and its properties, by name."""
    ctest = [str(find_tool("ctest")), "--test-dir", str(configured.build), "--show-only=json-v1"]
    done = subprocess.run(ctest, capture_output=True, text=True, check=True)
    return {
        each["name"]: (each["command"], {one["name"]: one["value"] for one in each["properties"]})
        for each in json.loads(done.stdout)["tests"]
    }


def test_the_rules_are_those_of_the_recorder(package_folder):
    text = (package_folder / "python_tsan-check.cmake").read_text()
    assert re.search(r"set\(PYTHON_TSAN_RULES\s([^)]*)\)", text)[1].split() == list(RULES)


def test_what_is_registered(configure, program):
    options = 'REPEAT 3 UNTIL_FOUND TIMEOUT 7 OWN a b OPTIONS --verbose ARGS one "two words"'
    done = configure(f"{CHECK}python_tsan_add_check(it NAME name EXPECT race {options})\n", program())
    command, properties = registered(done)["name"]
    output = str(done.build / "python_tsan" / "name")
    assert command[1:] == [
        *("run", "--expect", "race", "--repeat", "3", "--timeout", "7", "--output", output, "--until-found"),
        *("--own", "a", "--own", "b", "--verbose", "--", "/bin/true", "one", "two words"),
    ]
    assert (properties["LABELS"], properties["TIMEOUT"]) == (["python_tsan"], 231)


def test_an_instrumented_interpreter_is_handed_on(configure, program, manifest):
    lines = CHECK.replace("COMPONENTS check", "") + "python_tsan_add_check(it EXPECT clean)\n"
    done = configure(lines, program(), f"-DPYTHON_TSAN_MANIFEST={manifest()}")
    command, _ = registered(done)["it"]
    assert command[command.index("--python") + 1] == "/nowhere"


@pytest.mark.compiler
@pytest.mark.timeout(300)
def test_ctest_judges_a_program_that_embeds_a_stock_python(configure, tmp_path, package_folder):
    source = tmp_path / "source"
    source.mkdir()
    (source / "embedder.cpp").write_text(PROGRAM)
    (source / "race.toml").write_text(RACE)
    options = ("-DPYTHON_TSAN_LANE=fast", f"-DCMAKE_TOOLCHAIN_FILE={package_folder}/toolchain.cmake")
    done = configure(PROJECT, *options, languages="CXX", package=None)
    if "there is no stock CPython with a shared library" in done.flat:
        pytest.skip("there is no stock CPython with a shared library and headers")
    assert done.code == 0, done.text
    subprocess.run([str(find_tool("cmake")), "--build", str(done.build)], check=True, capture_output=True)
    command = [str(find_tool("ctest")), "--test-dir", str(done.build), "-j2", "--output-on-failure"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    failed = re.findall(r"^\s+\d+ - (\S+) \(Failed\)", ended.stdout, re.MULTILINE)
    assert failed == ["mutated", "too-safe", "with-gil"], ended.stdout
    assert "data race on g_count" in ended.stdout
    assert "expected a data race, which was not seen" in ended.stdout
    assert list((done.build / "python_tsan" / "hanging").glob("*/1/stacks-native.txt"))
