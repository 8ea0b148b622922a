"""The environment of programs that embed the interpreter."""

from __future__ import annotations

from pathlib import Path

from fake_build import RECORD, describe, make_toolchain, settings_for

from python_tsan.cpython.environment import clean_environment, subject_environment
from python_tsan.cpython.planning import make_plan


def interpreter(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3.13").touch()
    toolchain = make_toolchain()
    plan = make_plan(settings_for(tmp_path), RECORD, toolchain, libc="glibc-2.36")
    return describe(plan, RECORD, toolchain, staged=tmp_path, final=Path("/opt/tsan"))


def test_another_python_does_not_shine_through():
    base = {"PATH": "/bin", "PYTHONPATH": "/x", "PYTHONHOME": "/y", "VIRTUAL_ENV": "/z", "DEBUGINFOD_URLS": "https://x"}
    assert clean_environment(base) == {"PATH": "/bin", "DEBUGINFOD_URLS": ""}


def test_embedding_programs_find_library_and_standard_library(tmp_path):
    env = subject_environment(interpreter(tmp_path), {"PATH": "/bin"})
    assert env["PYTHONHOME"] == "/opt/tsan"
    assert env["LD_LIBRARY_PATH"] == "/opt/tsan/lib"
    assert env["OPENBLAS_NUM_THREADS"] == "1"
    assert env["PYTHONNOUSERSITE"] == "1"


def test_our_library_comes_first_and_once(tmp_path):
    base = {"LD_LIBRARY_PATH": "/mine::/opt/tsan/lib", "OPENBLAS_NUM_THREADS": "4"}
    env = subject_environment(interpreter(tmp_path), base)
    assert env["LD_LIBRARY_PATH"] == "/opt/tsan/lib:/mine"
    assert env["OPENBLAS_NUM_THREADS"] == "4"
