"""Races of CPython's own that a correct program shows: hidden by the shipped list, with a link, and nothing else is."""

import json
from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.cpython.known_races import SHOWN_BY_TESTS, known_races
from python_tsan.cpython.manifest import read_manifest
from python_tsan.errors import ExitCode
from python_tsan.paths import default_root
from python_tsan.tsan.parser import parse_log
from python_tsan.tsan.suppressions import hides
from tests.running.test_races_at_exit import ENTRY as AT_EXIT
from tools.wheels.survey import build_embedder

FAULTHANDLER = """
import faulthandler, os, tempfile
file = tempfile.TemporaryFile()
faulthandler.dump_traceback_later(0.05, repeat=True, file=file)

def depth(number):
    return number and depth(number - 1)

while os.fstat(file.fileno()).st_size < 5000:
    depth(50)
faulthandler.cancel_dump_traceback_later()
"""
PROGRAM = Path(__file__).parent / "programs" / "is_initialized.cpp"
ENTRIES = {"race_top:Py_IsInitialized", "race:_Py_DumpTracebackThreads"}
BLOCK = """\
==================
WARNING: ThreadSanitizer: data race (pid=31609)
  Write of size 4 at 0x7f76d27e01c0 by main thread:
    #0 {write} /cpython/Python/pylifecycle.c:1208 (libpython3.13d.so.1.0+0x241395)
    #1 Py_InitializeEx /cpython/Python/pylifecycle.c:500 (libpython3.13d.so.1.0+0x262cc3)

  Previous read of size 4 at 0x7f76d27e01c0 by thread T1:
    #0 {read} /cpython/Python/pylifecycle.c:152 (libpython3.13d.so.1.0+0x264079)
    #1 {caller} /home/me/main.cpp:7 (prog+0x58b4a5)

==================
"""


def hidden(version, **frames):
    (finding,) = parse_log(BLOCK.format(**frames), "tsan.1").findings
    return any(hides(entry, finding) for entry in known_races(version))


@pytest.mark.parametrize("version", ["3.12.11", "3.13.5", "3.14.7"])
def test_the_list_hides_what_cpython_does_and_no_race_of_its_callers(version):
    assert hidden(version, write="init_interp_main", read="Py_IsInitialized", caller="mine")
    assert hidden(version, write="_PyEval_Vector", read="dump_frame", caller="_Py_DumpTracebackThreads")
    assert not hidden(version, write="init_interp_main", read="mine", caller="Py_IsInitialized")
    assert not hidden(version, write="mine", read="mine", caller="main")


def test_3_15_reads_the_flag_atomically_and_does_not_instrument_faulthandler():
    assert not ENTRIES & set(map(str, known_races("3.15.0rc1")))


def test_verify_leaves_to_tests_only_what_tests_show():
    assert {*ENTRIES, AT_EXIT} == SHOWN_BY_TESTS


def built(version, family):
    folders = sorted((default_root() / "interpreters").glob(f"{version}-{family}-*"))
    found = [manifest for folder in folders if (manifest := read_manifest(folder))]
    return next((each for each in found if not each.free_threaded), None)


@pytest.fixture(params=[("3.12.11", "gcc"), ("3.13.5", "gcc"), ("3.13.5", "clang"), ("3.14.7", "clang")], ids="-".join)
def interpreter(request):
    found = built(*request.param)
    if found is None:
        pytest.skip(f"no CPython {request.param[0]} is built with {request.param[1]}")
    return found


def uses(interpreter, folder, *command):
    """Return how often each entry of the list matched in a clean run."""
    options = ["--python", str(interpreter.prefix), "--output", str(folder / "runs")]
    assert main(["run", *options, "--", *command]) == ExitCode.CLEAN
    result = json.loads((folder / "runs" / "latest" / "run.json").read_text())
    return {each["entry"]: each["matched"] for each in result["suppressions"]}


@pytest.mark.compiler
@pytest.mark.slow
def test_asking_whether_python_is_initialized_shows_it(interpreter, tmp_path, monkeypatch):
    program = build_embedder(PROGRAM, interpreter, tmp_path / "program")
    monkeypatch.chdir(tmp_path)
    assert uses(interpreter, tmp_path, str(program))["race_top:Py_IsInitialized"] > 0


@pytest.mark.compiler
@pytest.mark.slow
def test_faulthandlers_thread_shows_it(interpreter, tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text(FAULTHANDLER)
    monkeypatch.chdir(tmp_path)
    assert uses(interpreter, tmp_path, "script.py")["race:_Py_DumpTracebackThreads"] > 0
