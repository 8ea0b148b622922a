"""The environment of the user's command: which variables it keeps, and whose packages an embedded CPython finds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from python_tsan.cpython.manifest import Interpreter, read_manifest
from python_tsan.paths import default_root
from python_tsan.render.circumstances import circumstances
from python_tsan.result.model import Provenance, Result, ResultKind, Status, Subject, Verdict
from python_tsan.running.elf import ElfFacts, Runtime, read_elf
from python_tsan.running.environment import environment_for
from python_tsan.running.preflight import Prepared

EMBEDDER = """
#include <Python.h>
int main(void) {
    Py_Initialize();
    return PyRun_SimpleString("import sys; print(sys.prefix); print(sys.path, flush=True)");
}
"""


@pytest.fixture
def interpreter(tmp_path):
    prefix = tmp_path / "built"
    (prefix / "bin").mkdir(parents=True)
    return Interpreter(
        key="k", instrumented=True, version="3.13.5", free_threaded=False, debug=True, prefix=prefix,
        executable=prefix / "bin/python3.13", library=prefix / "lib/libpython3.13d.so.1.0", include=prefix,
        cc=Path("/bin/false"), cxx=Path("/bin/false"), toolchain="gcc-12", runtime=None, runtime_id="abc",
    )  # fmt: skip


def composed(interpreter, program, **caller):
    facts = ElfFacts(path=program, instrumented=True, runtime=Runtime.GCC, needed=(interpreter.library.name,))
    prepared = Prepared(command=(str(program),), program=facts, interpreter=interpreter)
    env = {"PATH": "/usr/bin", **caller}
    return environment_for(prepared, caller=env, toolchain=None, suppressions=None, companion=None)


def virtual_environment(folder, home):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python3").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text(f"home = {home}\nversion_info = 3.11\n")
    return {"PATH": f"{folder / 'bin'}{os.pathsep}/usr/bin", "VIRTUAL_ENV": str(folder)}


def test_pythonpath_is_kept_and_the_own_folder_comes_first_for_an_embedder(interpreter):
    made = composed(interpreter, Path("/x/program"), PYTHONPATH="/mine", PYTHONSTARTUP="/start", PYTHONHOME="/other")
    assert composed(interpreter, Path("/x/program"), PYTHON_TSAN_SHIMS="0").variables["PYTHON_TSAN_SHIMS"] == "0"
    assert made.variables["PYTHONPATH"] == "/mine"
    assert made.variables["PYTHONSTARTUP"] == "/start"
    assert made.variables["PYTHONHOME"] == str(interpreter.prefix)
    assert made.variables["PATH"] == f"{interpreter.prefix}/bin{os.pathsep}/usr/bin"
    assert made.notes == ()


def test_the_interpreter_itself_needs_no_other_path(interpreter):
    assert composed(interpreter, interpreter.executable).variables["PATH"] == "/usr/bin"


def test_the_virtual_environment_of_another_python_is_not_taken_for_the_prefix(interpreter, tmp_path):
    active = virtual_environment(tmp_path / "venv", "/usr/bin")
    made = composed(interpreter, Path("/x/program"), **active)
    assert made.variables["PATH"] == f"{interpreter.prefix}/bin{os.pathsep}{active['PATH']}"
    assert "VIRTUAL_ENV" not in made.variables
    (note,) = made.notes
    assert note.endswith("is of another Python, so the interpreter's own packages are used")


def test_one_of_the_interpreter_itself_is_used(interpreter, tmp_path):
    active = virtual_environment(tmp_path / "venv", interpreter.executable.parent)
    made = composed(interpreter, Path("/x/program"), **active)
    assert made.variables["PATH"] == active["PATH"]
    (note,) = made.notes
    assert note.endswith("is of this interpreter, so its packages are used")


@pytest.mark.compiler
@pytest.mark.parametrize("family", ["clang", "gcc"])
def test_an_embedder_finds_the_interpreters_packages_in_an_activated_environment(family, tmp_path):
    manifests = [read_manifest(folder) for folder in default_root().glob(f"interpreters/3.13*-{family}*")]
    if not (interpreter := next(filter(None, manifests), None)):
        pytest.skip(f"no interpreter was built with {family}")
    source, program = tmp_path / "embedder.c", tmp_path / "embedder"
    source.write_text(EMBEDDER)
    library = interpreter.library.parent
    link = [f"-L{library}", "-lpython3.13d" if interpreter.debug else "-lpython3.13", f"-Wl,-rpath,{library}"]
    command = [interpreter.cc, "-fsanitize=thread", f"-I{interpreter.include}", source, "-o", program, *link]
    subprocess.run(command, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    caller = os.environ | {
        "PATH": f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "PYTHONPATH": "/of/the/user",
    }
    prepared = Prepared(command=(str(program),), program=read_elf(program), interpreter=interpreter)
    made = environment_for(prepared, caller=caller, toolchain=None, suppressions=None, companion=None)
    shown = subprocess.run(["setarch", "-R", program], env=made.variables, capture_output=True, text=True, check=True)
    prefix, path = shown.stdout.splitlines()
    assert prefix == str(interpreter.prefix)
    assert f"{interpreter.prefix}/lib/python3.13/site-packages" in path
    assert "/of/the/user" in path


def test_a_report_names_what_was_changed_in_one_line():
    provenance = Provenance(environment={"LD_PRELOAD": "x.so", "TSAN_OPTIONS": "o"}, removed=("VIRTUAL_ENV",))
    result = Result(
        kind=ResultKind.PROGRAM,
        subjects=(Subject(command=("./p",), exit_codes=(0,)),),
        verdicts=(Verdict(status=Status.PASSED),),
        provenance=provenance,
    )
    assert dict(circumstances(result))["environment"] == "LD_PRELOAD, TSAN_OPTIONS set; VIRTUAL_ENV removed"
    unchanged = replace(result, provenance=Provenance())
    assert "environment" not in dict(circumstances(unchanged))
