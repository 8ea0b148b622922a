"""What is looked at before a fresh interpreter is believed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from fake_build import RECORD, make_toolchain, settings_for

from python_tsan.cpython.build import inspection
from python_tsan.cpython.build.inspection import describe_built, is_instrumented
from python_tsan.cpython.planning import make_plan
from python_tsan.errors import BuildError

GOOD = {"version": "3.13.5", "debug": True, "free_threaded": False, "cflags": "-O1 -fsanitize=thread"}


@pytest.fixture
def plan(tmp_path):
    return make_plan(settings_for(tmp_path), RECORD, make_toolchain(), libc="glibc-2.36")


@pytest.fixture
def describe(tmp_path, plan, monkeypatch):
    monkeypatch.setattr(inspection, "is_instrumented", lambda path: path.name != "plain")
    staged = tmp_path / "staged"
    (staged / "bin").mkdir(parents=True)
    (staged / "lib").mkdir()

    def call(answer, *, library="libpython3.13d.so.1.0", exit_code=0):
        executable = staged / "bin" / "python3.13"
        executable.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\nexit {exit_code}\n")
        executable.chmod(0o755)
        (staged / "lib" / library).touch()
        return describe_built(plan, RECORD, make_toolchain(), staged=staged, final=tmp_path / "final")

    return call


def test_paths_are_those_after_the_move(describe, tmp_path, plan):
    built = describe(GOOD)
    final = tmp_path / "final"
    assert built.executable == final / "bin" / "python3.13"
    assert built.library == final / "lib" / "libpython3.13d.so.1.0"
    assert built.include == final / "include" / "python3.13d"
    assert (built.key, built.flags, built.source) == (plan.key, plan.flags, RECORD)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": "3.13.6"}, "version is '3.13.6', not '3.13.5'"),
        ({"debug": False}, "debug is False"),
        ({"free_threaded": True}, "free_threaded is True"),
        ({"cflags": "-O1"}, "CFLAGS lack -fsanitize=thread"),
    ],
)
def test_another_interpreter_than_planned_is_refused(describe, change, text):
    with pytest.raises(BuildError, match=text):
        describe({**GOOD, **change})


def test_one_that_does_not_run_is_refused(describe):
    with pytest.raises(BuildError, match=r"does not run \(exit code 66\)"):
        describe(GOOD, exit_code=66)
    with pytest.raises(BuildError, match="does not run"):
        describe("not an object")


def test_one_without_a_shared_library_is_refused(describe):
    with pytest.raises(BuildError, match=r"without libpython3\.13d"):
        describe(GOOD, library="libpython3.13.so")


def test_one_that_is_not_instrumented_is_refused(describe, monkeypatch):
    monkeypatch.setattr(inspection, "is_instrumented", lambda path: path.suffix != ".0")
    with pytest.raises(BuildError, match=r"libpython3\.13d\.so\.1\.0 is not instrumented"):
        describe(GOOD)


def test_a_script_and_an_ordinary_program_are_not_instrumented(tmp_path):
    (tmp_path / "script").write_text("#!/bin/sh\n")
    assert not is_instrumented(tmp_path / "script")
    assert not is_instrumented(tmp_path / "none")
    assert not is_instrumented(type(tmp_path)(sys.executable).resolve())


@pytest.mark.compiler
def test_a_compiled_library_shows_its_functions(tmp_path):
    compiler = shutil.which("clang-19") or shutil.which("gcc") or shutil.which("cc")
    source = tmp_path / "x.c"
    source.write_text("int shared; int f(void) { return shared++; }\n")
    for name, flags in (("with.so", ["-fsanitize=thread"]), ("without.so", [])):
        subprocess.run([compiler, "-shared", "-fPIC", *flags, "-o", tmp_path / name, source], check=True)
    assert is_instrumented(tmp_path / "with.so")
    assert not is_instrumented(tmp_path / "without.so")
