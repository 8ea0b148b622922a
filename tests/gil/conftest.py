"""A stock Python whose calls can be seen, and the tracer built for this session."""

import os
import shutil
import subprocess

import pytest

from python_tsan.console import make_console
from python_tsan.cpython.stock import OLDEST, ask, candidates
from python_tsan.gil.engine import BlindError, NothingSeenError
from python_tsan.gil.preload import trace_preloaded
from python_tsan.paths import Layout
from python_tsan.preload_library import GIL_TRACER, build_library
from python_tsan.version import numbers_of


@pytest.fixture(scope="session")
def layout(tmp_path_factory):
    return Layout(root=tmp_path_factory.mktemp("gil-cache"))


@pytest.fixture(scope="session")
def tracer(layout):
    return build_library(GIL_TRACER, layout=layout, console=make_console(quiet=True))


@pytest.fixture(scope="session")
def can_be_traced(tracer):
    """Return a function that reports whether the calls of a Python are seen; those of Debian's are not."""

    def can(stock):
        if not stock.shared or stock.free_threaded or stock.release < OLDEST:
            return False
        try:
            trace_preloaded([str(stock.executable), "-S", "-c", ""], library=tracer, env=os.environ)
        except BlindError:
            return False
        except NothingSeenError:
            return True
        return True

    return can


@pytest.fixture(scope="session")
def stock_python(can_be_traced):
    found = [stock for path in candidates(os.environ) if (stock := ask(path))]
    newest_first = sorted(found, key=lambda stock: numbers_of(stock.version), reverse=True)
    usable = next(filter(can_be_traced, newest_first), None)
    if usable is None:
        pytest.skip("no stock Python whose calls can be seen")
    return str(usable.executable)


@pytest.fixture
def environment():
    """The environment without what would change how a program imports."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@pytest.fixture
def run_traced(tracer, stock_python, environment, tmp_path):
    """Trace a program given as text; it finds its own folder on its module path."""

    def run(text, *, memory=8 << 20, options=("-S",)):
        script = tmp_path / "program.py"
        script.write_text(text)
        command = [stock_python, *options, str(script)]
        return trace_preloaded(command, library=tracer, env=environment, memory=memory)

    return run


@pytest.fixture
def compile_program(tmp_path):
    """Compile a C program, or a library, given as text."""

    def build(text, *flags, name="program"):
        source, program = tmp_path / f"{name}.c", tmp_path / name
        source.write_text(text)
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        subprocess.run([compiler, source, "-o", program, *flags], check=True, capture_output=True, timeout=60)
        return str(program)

    return build
