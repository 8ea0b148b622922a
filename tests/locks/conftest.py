"""The lock recorder built for this session, and programs that run under it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from python_tsan.console import make_console
from python_tsan.cpython.stock import OLDEST, ask, candidates
from python_tsan.locks.trace import read_trace
from python_tsan.paths import Layout
from python_tsan.preload_library import LOCK_RECORDER, build_library
from python_tsan.process import preloading
from python_tsan.version import numbers_of


@pytest.fixture(scope="session")
def lock_recorder(tmp_path_factory):
    if not shutil.which("g++"):
        pytest.skip("no compiler")
    layout = Layout(root=tmp_path_factory.mktemp("locks-cache"))
    return build_library(LOCK_RECORDER, layout=layout, console=make_console(quiet=True))


def embeddable():
    """Return the stock Pythons with a shared library and headers, newest first."""
    found = [stock for path in candidates(os.environ) if (stock := ask(path))]
    usable = [stock for stock in found if stock.shared and not stock.free_threaded and stock.release >= OLDEST]
    return sorted(usable, key=lambda stock: numbers_of(stock.version), reverse=True)


QUERY = """
import sysconfig
get = sysconfig.get_config_var
print(sysconfig.get_path("include"), get("LIBDIR"), get("LDVERSION"), sep="\\n")
"""


def python_flags(executable):
    """Return the flags with which a program embeds this Python; empty without its headers."""
    asked = subprocess.run([executable, "-c", QUERY], capture_output=True, text=True, check=True)
    include, folder, version = asked.stdout.splitlines()
    if not Path(include, "Python.h").exists():
        return ()
    return (f"-I{include}", f"-L{folder}", f"-Wl,-rpath,{folder}", f"-lpython{version}")


def pythons_to_embed():
    """Return these Pythons with the flags to embed them, newest first."""
    return [(each, flags) for each in embeddable() if (flags := python_flags(each.executable))]


@pytest.fixture(scope="session")
def stocks():
    found = pythons_to_embed()
    if not found:
        pytest.skip("no stock Python with a shared library and headers")
    return found


@pytest.fixture(scope="session")
def stock(stocks):
    """The newest of them, with its flags."""
    return stocks[0]


@pytest.fixture(scope="session")
def stock_flags(stock):
    return stock[1]


@pytest.fixture(scope="session")
def compile_cpp(tmp_path_factory):
    """Compile a C++ program given as text."""

    def build(text, *flags, compiler="g++"):
        folder = tmp_path_factory.mktemp("program")
        (folder / "program.cpp").write_text(text)
        command = [compiler, "-std=c++17", "-g", "-pthread", "program.cpp", "-o", "program", *flags]
        subprocess.run(command, cwd=folder, check=True, timeout=120)
        return folder / "program"

    return build


@pytest.fixture
def program(request, compile_cpp, stock_flags, tmp_path, monkeypatch):
    """``PROGRAM`` of the test's module with the newest stock Python; commands run in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    return str(compile_cpp(request.module.PROGRAM, *stock_flags))


def latest():
    """Return the result of the newest run in this folder."""
    return json.loads(Path("runs/latest/run.json").read_bytes())


@pytest.fixture
def start_recorded(lock_recorder, tmp_path):
    """Start a command under the recorder, for this test; returns its process and the folder of its recordings."""
    processes = []

    def start(*command, env=None):
        folder = tmp_path / f"recorded{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        given = {**os.environ, **(env or {})}
        variables = {**given, **preloading([lock_recorder], given), "PYTHON_TSAN_LOCKS": str(folder)}
        started = subprocess.Popen(
            [str(each) for each in command], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(started)
        return started, folder

    yield start
    for each in processes:
        with each:
            each.kill()


def read_traces(folder):
    """Return what the processes of a folder recorded, the first that started first."""
    files = sorted(folder.glob("*.locks"), key=lambda path: int(path.stem.split("-")[1]))
    return [trace for path in files if (trace := read_trace(path.read_bytes()))]


@pytest.fixture
def record(start_recorded):
    """Run a command to its end; returns the traces of its processes. None as exit code: it may crash."""

    def run(*command, exit_code=0, env=None):
        started, folder = start_recorded(*command, env=env)
        output, errors = started.communicate(timeout=60)
        assert exit_code is None or started.returncode == exit_code, output + errors
        return read_traces(folder)

    return run
