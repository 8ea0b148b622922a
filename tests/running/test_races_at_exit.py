"""A race of CPython's own at exit, which only GCC's runtime shows: hidden by the shipped list, and nothing else is."""

import json

import pytest

from python_tsan.cli.main import main
from python_tsan.cpython.known_races import known_races
from python_tsan.cpython.manifest import read_manifest
from python_tsan.errors import ExitCode
from python_tsan.paths import default_root
from python_tsan.tsan.parser import parse_log
from python_tsan.tsan.suppressions import hides

# The thread has ended when only the main thread and the runtime's own are left; nothing orders its last steps.
SCRIPT = """
import _thread, os
_thread.start_new_thread(lambda: None, ())
while len(os.listdir("/proc/self/task")) > 2:
    pass
"""
BLOCK = """\
==================
WARNING: ThreadSanitizer: data race (pid=31609)
  Write of size 8 at 0x7f76d27e01c0 by main thread:
    #0 {top} /cpython/Objects/obmalloc.c:862 (libpython3.13d.so.1.0+0x241395)
    #1 {caller} /cpython/Objects/obmalloc.c:500 (libpython3.13d.so.1.0+0x262cc3)
    #2 _Py_Finalize /cpython/Python/pylifecycle.c:2171 (libpython3.13d.so.1.0+0x4975ed)

  Previous read of size 8 at 0x7f76d27e01c0 by thread T1:
    #0 PyMem_RawFree /cpython/Objects/obmalloc.c:971 (libpython3.13d.so.1.0+0x264079)
    #1 thread_run /cpython/Modules/_threadmodule.c:368 (libpython3.13d.so.1.0+0x58b4a5)

==================
"""
ENTRY = "race:_PyMem_SetDefaultAllocator"


def hidden(version, top, caller):
    (finding,) = parse_log(BLOCK.format(top=top, caller=caller), "tsan.1").findings
    return any(hides(entry, finding) for entry in known_races(version))


@pytest.mark.parametrize("version", ["3.12.11", "3.13.5"])
def test_the_shipped_list_hides_it_and_no_other_race_of_finalization(version):
    assert hidden(version, "set_allocator_unlocked", "_PyMem_SetDefaultAllocator")
    assert not hidden(version, "set_allocator_unlocked", "PyMem_SetAllocator")
    assert not hidden(version, "my_callback", "callback_of_mine")


def test_later_versions_do_not_replace_the_allocator():
    assert ENTRY not in map(str, known_races("3.14.7"))


def built(version):
    folders = sorted((default_root() / "interpreters").glob(f"{version}-gcc-*"))
    found = [manifest for folder in folders if (manifest := read_manifest(folder))]
    return next((each for each in found if not each.free_threaded), None)


@pytest.mark.compiler
@pytest.mark.parametrize("version", ["3.12.11", "3.13.5"])
def test_a_thread_without_a_join_shows_it_and_the_run_is_clean(version, tmp_path, monkeypatch, capsys):
    interpreter = built(version)
    if interpreter is None:
        pytest.skip(f"no CPython {version} is built with GCC")
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    command = ["run", "--python", str(interpreter.prefix), "--output", str(tmp_path / "runs"), "--", "script.py"]
    assert main(command) == ExitCode.CLEAN, capsys.readouterr().out
    result = json.loads((tmp_path / "runs" / "latest" / "run.json").read_text())
    (use,) = [each for each in result["suppressions"] if each["entry"] == ENTRY]
    assert use["matched"] > 0
