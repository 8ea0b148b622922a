"""An interpreter, a toolchain and stand-ins for cmake, so that building can be tested without a compiler."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from python_tsan.binding import DEFAULT
from python_tsan.config import CompilerCache, Settings
from python_tsan.console import Console
from python_tsan.cpython.manifest import Interpreter
from python_tsan.cpython.stock import find_stock
from python_tsan.errors import ToolchainError
from python_tsan.harness import cases
from python_tsan.harness.build import PRELOADS, PROGRAM, build_harness
from python_tsan.paths import Layout
from python_tsan.toolchain import choose_toolchain
from python_tsan.toolchain.model import Candidate, Family, Toolchain


@pytest.fixture
def interpreter():
    return Interpreter(
        key="abc",
        instrumented=True,
        version="3.13.5",
        free_threaded=False,
        debug=True,
        prefix=Path("/opt/py"),
        executable=Path("/opt/py/bin/python3.13"),
        library=Path("/opt/py/lib/libpython3.13d.so.1.0"),
        include=Path("/opt/py/include/python3.13d"),
        cc=Path("/usr/bin/clang-19"),
        cxx=Path("/usr/bin/clang++-19"),
        toolchain="clang-19",
        runtime=Path("/usr/lib/rt.a"),
        runtime_id="f00d",
    )


@pytest.fixture
def toolchain():
    return Toolchain(
        candidate=Candidate(
            family=Family.CLANG,
            cc=Path("/usr/bin/clang-19"),
            cxx=Path("/usr/bin/clang++-19"),
            version="19.1.4",
            target="x86_64-linux-gnu",
        ),
        runtime=Path("/usr/lib/rt.a"),
        runtime_id="f00d",
        symbolizer=None,
        linker=None,
    )


def make_entry(name="one", **changes):
    """Return a scenario as the harness lists it, with some fields changed."""
    expect = {"outcome": "clean", "findings": [], "error": "", "losing_thread": "", "values": {}}
    whole = {
        "name": name,
        "group": "gil",
        "summary": "Something happens.",
        "file": "native/scenarios/x.cpp",
        "lanes": ["fast", "full"],
        "needs": [],
        "deadline_seconds": 60,
        "repeats": 1,
        "twin": "",
        "case": "",
        "expect": expect | changes.pop("expect", {}),
    }
    return whole | changes


class Workshop:
    """A native folder, a cache, and a cmake that does what the test specifies."""

    def __init__(self, root):
        self.native = root / "native"
        (self.native / "scenarios").mkdir(parents=True)
        (self.native / "CMakeLists.txt").write_text("project(x)\n")
        (self.native / "scenarios" / "one.cpp").write_text("int one;\n")
        self.layout = Layout(root=root / "cache")
        self.settings = Settings(cache=self.layout.root, compiler_cache=CompilerCache.OFF, jobs=2, output=root)
        self.calls = root / "calls"
        self.listing = root / "listing.json"
        self.listing.write_text(json.dumps([make_entry()]))
        self.cmake = root / "cmake"
        self.program = f"#!/bin/sh\ncat {self.listing}\n"
        self.deadlocks = root / cases.PROGRAM
        write_script(self.deadlocks, "printf 'held\\tnothing\\theld\\tNothing happens.\\n'")
        self.set_cmake("true")
        self.spoken = io.StringIO()
        self.console = Console(out=io.StringIO(), err=self.spoken, env={})

    def set_cmake(self, build):
        """Let the build step run the shell command ``build``; then it makes the program in $2, the build folder."""
        program = self.cmake.with_suffix(".program")
        program.write_text(self.program)
        write_script(
            self.cmake,
            f'echo "$@" >> {self.calls}\n'
            f'[ "$1" = --build ] || exit 0\n{build} || exit 1\n'
            f'cp {program} "$2/{PROGRAM}" && chmod +x "$2/{PROGRAM}" && cp {self.deadlocks} "$2/" && '
            + " && ".join(f'touch "$2/{library}"' for library in PRELOADS.values()),
        )

    def builds(self):
        """Return how often the build step ran."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sum(line.startswith("--build") for line in lines)


def write_script(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def entry():
    """Make a scenario as the harness lists it."""
    return make_entry


@pytest.fixture
def script():
    """Write an executable shell script."""
    return write_script


@pytest.fixture
def fake_native(tmp_path, monkeypatch):
    made = Workshop(tmp_path)
    monkeypatch.setattr("python_tsan.harness.build.native_folder", lambda: made.native)
    monkeypatch.setattr("python_tsan.harness.build.find_tool", lambda name: made.cmake if name == "cmake" else name)
    return made


# What follows is real: it needs a compiler with a ThreadSanitizer runtime, and a shared libpython.


@pytest.fixture(scope="session")
def real_layout(tmp_path_factory):
    return Layout(root=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def real_console():
    return Console(out=io.StringIO(), err=io.StringIO(), env={})


@pytest.fixture(scope="session")
def real_toolchain(real_layout, real_console):
    try:
        return choose_toolchain(None, layout=real_layout, console=real_console)
    except ToolchainError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def build_real(real_toolchain, real_layout, real_console):
    def build(binding=DEFAULT):
        settings = Settings(cache=real_layout.root, binding=binding)
        stock = find_stock(settings, toolchain=real_toolchain, console=real_console)
        if stock is None:
            pytest.skip("no shared libpython on this machine")
        return build_harness(stock, settings, toolchain=real_toolchain, layout=real_layout, console=real_console)

    return build
