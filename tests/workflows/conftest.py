"""A machine for a workflow to run on: a fresh workspace, stand-ins in front of PATH, one compiler for all."""

import os

import pytest
import stand_ins
from runner import Machine

from python_tsan.console import make_console
from python_tsan.paths import Layout
from python_tsan.toolchain import choose_toolchain

RACY = """\
#include <cstdio>
#include <thread>
int total;
void add() { for (int i = 0; i < 1000; ++i) ++total; }
int main(int argc, char **argv) {
  std::thread one(add), two(add);
  one.join();
  two.join();
  std::printf("%d words, the last: %s\\n", argc, argv[argc - 1]);
}
"""


@pytest.fixture(scope="session")
def toolchain(tmp_path_factory):
    """Return a compiler that works, and the cache in which that is remembered."""
    cache = tmp_path_factory.mktemp("cache")
    return choose_toolchain(None, layout=Layout(root=cache), console=make_console(quiet=True)), cache


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Put the stand-ins in front of PATH; return a function that makes machines, which share caches and artifacts."""
    stand_ins.make(tmp_path / "bin", ("python3", "python", "sudo", "nox"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv(stand_ins.LOG, str(tmp_path / "asked.log"))
    for name in [name for name in os.environ if name.startswith("PYTHON_TSAN_")]:
        monkeypatch.delenv(name)

    def machine(name="machine"):
        return Machine(folder=tmp_path / name, store=tmp_path / "store")

    return machine


@pytest.fixture
def asked(tmp_path):
    """Return a function that gives the command lines that a stand-in was given."""

    def lines(program):
        log = tmp_path / "asked.log"
        words = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
        return [each[1:] for each in words if each[0] == program]

    return lines


@pytest.fixture
def with_compiler(toolchain, monkeypatch):
    """Let programs be built and run for real."""
    chosen, cache = toolchain
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(cache))
    monkeypatch.setenv("STAND_INS_CXX", str(chosen.candidate.cxx))
    return chosen


@pytest.fixture
def racy(with_compiler):  # noqa: ARG001 -- there must be a compiler
    """Return a function that puts a racy program's source into a machine's workspace."""

    def put(machine):
        (machine.workspace / "racy.cpp").write_text(RACY)
        return '"$PYTHON_TSAN_CXX" -std=c++17 -fsanitize=thread -g -O1 -pthread racy.cpp -o racy'

    return put
