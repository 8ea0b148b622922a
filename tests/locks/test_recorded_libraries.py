"""A library that a program of C loads with a C++ runtime of its own is recorded, and runs as without the recorder."""

import shutil
import subprocess

import pytest

from python_tsan.locks.model import LockKind

pytestmark = pytest.mark.compiler

LIBRARY = """
#include <mutex>
std::mutex first;
struct One { One() { first.lock(); first.unlock(); } };
void use() { static One one; }  // ends with a jump to __cxa_guard_release
extern "C" void run() { use(); use(); }
"""
PROGRAM = """
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char** argv) {
    void* library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    void (*run)(void) = library ? (void (*)(void))dlsym(library, "run") : 0;
    if (!run) { puts(dlerror()); return 3; }
    run();
    return 0;
}
"""


@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_a_guard_in_a_library_with_a_runtime_of_its_own(level, tmp_path, record):
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    (tmp_path / "library.cpp").write_text(LIBRARY)
    (tmp_path / "program.c").write_text(PROGRAM)
    for command in (
        ["g++", level, "-g", "-shared", "-fPIC", "library.cpp", "-o", "library.so"],
        [compiler, "program.c", "-o", "program", "-ldl"],
    ):
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    (trace,) = record(tmp_path / "program", tmp_path / "library.so")
    held = [(trace.locks[each.holding[0].lock].kind, trace.locks[each.lock].kind) for each in trace.requests]
    assert held == [(LockKind.GUARD, LockKind.MUTEX)]
