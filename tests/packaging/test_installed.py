"""An installed copy, far from any checkout. Its dependencies are those of this environment, so no network is needed."""

import os
import subprocess
import sys
import sysconfig

import pytest
from packaged import ROOT

from python_tsan.cpython.tools import find_uv

LOG = ROOT / "tests" / "tsan" / "golden" / "clang-19" / "race_global.log"
# Everything but what runs inside other programs: gdb, interpreters under test.
IMPORT_ALL = """
import importlib, pkgutil, python_tsan
for module in pkgutil.walk_packages(python_tsan.__path__, "python_tsan."):
    if not {"inside", "native", "checks", "__main__"} & set(module.name.split(".")):
        importlib.import_module(module.name)
print(python_tsan.__file__)
"""
PLACES = "from python_tsan.paths import *; print(native_folder(), checks_folder(), errors_page(), sep='\\n')"


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return a function that runs a program of a fresh environment in an empty folder."""
    folder, empty = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("empty")
    options = ("--quiet", "--no-deps", "--no-index", "--python", folder)
    subprocess.run([find_uv(), "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=60)
    subprocess.run([find_uv(), "pip", "install", *options, wheel], check=True, timeout=60)

    def run(program, *arguments):
        # Nothing of this environment's .pth files is read from there, so its editable copy stays out.
        env = {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib"), "PYTHON_TSAN_CACHE": str(empty / "cache")}
        path = [str(folder / "bin" / program), *arguments]
        return subprocess.run(path, cwd=empty, env=env, capture_output=True, text=True, timeout=100, check=False)

    run.folder = folder
    return run


def test_every_module_can_be_imported(installed):
    done = installed("python", "-W", "error", "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed.folder))


def test_what_travels_is_found_inside_the_package(installed):
    done = installed("python", "-c", PLACES)
    places = done.stdout.splitlines()
    assert len(places) == 3, done.stderr
    assert all(place.startswith(str(installed.folder)) for place in places)


def test_report_works_alone(installed):
    done = installed("python-tsan", "report", str(LOG))
    assert done.returncode == 1, done.stderr
    assert "data race on " in done.stdout


@pytest.mark.parametrize("rendering", ["html", "sarif", "junit", "markdown", "github", "json"])
def test_every_rendering_has_its_resources(installed, rendering):
    done = installed("python-tsan", "report", "--format", rendering, str(LOG))
    assert (done.returncode, done.stderr) == (1, "")
    assert "race" in done.stdout


def test_the_manual_page_is_where_man_looks_for_it(installed):
    page = installed.folder / "share" / "man" / "man1" / "python-tsan.1"
    assert page.read_text().startswith(".TH PYTHON-TSAN 1")


def test_explain_knows_kinds_and_errors(installed):
    for word in ("data race", "installation"):
        done = installed("python-tsan", "explain", word)
        assert (done.returncode, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) > 2
