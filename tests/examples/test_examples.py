"""The examples, typed as their README prints them: built, failing and clean, with run, CTest and pytest."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from python_tsan.config import load_settings
from python_tsan.console import make_console
from python_tsan.cpython.build.interpreter import find_built
from python_tsan.cpython.manifest import read_manifest
from python_tsan.cpython.stock import find_stock
from python_tsan.paths import Layout, default_root
from python_tsan.result.codec import decode_result
from python_tsan.result.finding import Attribution
from python_tsan.toolchain import choose_toolchain

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "examples" / "README.md"
# A folder with manifest.json, to try another interpreter than the built one.
VARIABLE = "PYTHON_TSAN_TEST_INTERPRETER"
_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
# What needs an index of packages is typed by tests/packaging.
_BY_UV = ("uv ", "uvx ")
_PREPARATION = ("python3 -m venv", "pip install", "python-tsan build")


def commands():
    """Return the README's commands, one a line, in order."""
    text = "".join(_BLOCK.findall(README.read_text())).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_readme_goes_from_a_clone_to_red_and_green():
    lines = commands()
    assert [line for line in lines if line.startswith(_PREPARATION)] == lines[:3]
    assert [line.split()[0] for line in lines if line.startswith(_BY_UV)] == ["uv", "uvx"]
    assert [line.split()[-1] for line in lines if " run " in line] == [
        "build/embedder/tally_racy",
        "build/embedder/tally_fixed",
    ]


def test_the_twins_differ_by_the_mutex_alone():
    racy, fixed = (
        {line.strip() for line in (REPOSITORY / f"examples/embedder/tally_{twin}.cpp").read_text().splitlines()}
        for twin in ("racy", "fixed")
    )
    code = {line for line in fixed - racy if not line.startswith("//")}
    lock = "const std::lock_guard lock(g_total_mutex);"
    assert code == {"#include <mutex>", "std::mutex g_total_mutex;", lock, "g_total += points;"}


def test_the_extension_is_a_project_of_its_own_in_a_clone():
    """A reader who installs what the README says does not have the plugins that this repository's settings need."""
    options = "-p no:timeout -p no:xdist -p no:cacheprovider --collect-only --quiet"
    done = typed(f"python -m pytest {options} examples/extension", REPOSITORY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_count_racy" in done.stdout


@pytest.fixture
def interpreter():
    """The built interpreter, else a stock one, which sees the same race in the example's own code."""
    if chosen := os.environ.get(VARIABLE):
        return read_manifest(Path(chosen))
    layout, console = Layout(root=default_root()), make_console(quiet=True)
    settings = load_settings({}, env=os.environ, cwd=REPOSITORY)
    toolchain = choose_toolchain(settings.toolchain, layout=layout, console=console)
    built = find_built(settings, toolchain=toolchain, layout=layout)
    found = built or find_stock(settings, toolchain=toolchain, console=console)
    return found or pytest.skip("there is neither a built interpreter nor a stock one with a shared library")


def typed(line, cwd):
    """Type one line in bash, with this environment's programs first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = f"export PATH={shlex.quote(path)}\n{line}"
    return subprocess.run(["bash", "-c", script], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def ours(line, interpreter):
    """Return the line for this interpreter: what the reader of the README need not name is named here."""
    manifest = interpreter.prefix / "manifest.json"
    lane = f"-DPYTHON_TSAN_MANIFEST={manifest}" if interpreter.instrumented else "-DPYTHON_TSAN_LANE=fast"
    named = f" --python {interpreter.prefix}" if interpreter.instrumented else ""
    return line.replace("cmake -S", f"cmake {lane} -S").replace(" run ", f" run{named} --format terminal,json ", 1)


@pytest.mark.compiler
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_newcomer_gets_red_and_then_green(interpreter, tmp_path):
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    judging = []
    for line in commands():
        if line.startswith((*_PREPARATION, *_BY_UV)):
            continue
        done = typed(ours(line, interpreter), tmp_path)
        if line.startswith(("python-tsan run", "ctest", "PYTHONPATH=")):
            judging.append(done)
        else:
            assert done.returncode == 0, done.stdout + done.stderr
    said = [done.stdout + done.stderr for done in judging]
    assert [bool(done.returncode) for done in judging] == [True, False, False, True, True, False], said
    red, _, _, red_in_ctest, red_in_pytest, _ = judging
    assert red.returncode == 1
    assert "1 failed, 1 passed" in red_in_pytest.stdout
    assert "histogram.cpp:18" in red_in_pytest.stdout
    for done in (red, red_in_ctest):
        assert "data race on g_total" in done.stdout
        assert "tally_racy.cpp" in done.stdout
    # Names of runs in one second have no order.
    made = [path for path in (tmp_path / "runs").iterdir() if not path.is_symlink()]
    runs = sorted(made, key=lambda path: (path / "run.json").stat().st_mtime_ns)
    report = decode_result((runs[0] / "run.json").read_bytes())
    (finding,) = report.findings
    assert finding.location.name == "g_total"
    assert finding.attribution is Attribution.YOURS
    assert (runs[0] / "1" / "stdout.txt").read_text().startswith("total ")
    libpython = [each for each in report.audit if "libpython" in each.path]
    assert [each.instrumented for each in libpython] == [interpreter.instrumented]
