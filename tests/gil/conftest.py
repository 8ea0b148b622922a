"""A stock Python whose calls can be seen, and the tracer built for this session."""

import os
import shutil
import subprocess

import pytest

from python_tsan.console import make_console
from python_tsan.cpython.stock import OLDEST, ask, candidates
from python_tsan.gil.library import build_tracer
from python_tsan.gil.preload import trace_preloaded
from python_tsan.paths import Layout


@pytest.fixture(scope="session")
def layout(tmp_path_factory):
    return Layout(root=tmp_path_factory.mktemp("gil-cache"))


@pytest.fixture(scope="session")
def tracer(layout):
    return build_tracer(layout=layout, console=make_console(quiet=True))


@pytest.fixture(scope="session")
def stock_python():
    found = [stock for path in candidates(os.environ) if (stock := ask(path))]
    usable = [stock for stock in found if stock.shared and not stock.free_threaded and stock.release >= OLDEST]
    if not usable:
        pytest.skip("no stock Python with a shared library")
    return str(max(usable, key=lambda stock: stock.order).executable)


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
