"""What tests/conftest.py leaves out, seen by running pytest on a folder of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest

def test_plain():
    pass

@pytest.mark.network
def test_network():
    pass

@pytest.mark.compiler
def test_compiler():
    pass
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  network: x\n  compiler: x\n")

    def run(*arguments, path, exit_code=0, **variables):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        env = {**os.environ, "PATH": str(path), "PYTHONPATH": str(ROOT), **variables}
        env = {name: value for name, value in env.items() if value}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_without_a_compiler_its_tests_are_skipped_with_a_message(run, tmp_path):
    output = run(path=tmp_path, PYTHON_TSAN_REQUIRE_COMPILER="")
    assert "1 test marked network skipped: run them with --network" in output
    assert "1 test marked compiler skipped: " in output
    assert "1 passed, 2 deselected" in output


def test_network_tests_run_when_asked_for(run, tmp_path):
    output = run("--network", path=tmp_path, PYTHON_TSAN_REQUIRE_COMPILER="")
    assert "marked network" not in output
    assert "2 passed, 1 deselected" in output


def test_where_a_compiler_is_required_its_absence_is_an_error(run, tmp_path):
    output = run(path=tmp_path, exit_code=pytest.ExitCode.USAGE_ERROR, PYTHON_TSAN_REQUIRE_COMPILER="1")
    assert "no working compiler" in output
    assert "passed" not in output


@pytest.mark.compiler
def test_with_a_compiler_its_tests_run(run):
    output = run("--network", path=os.environ["PATH"])
    assert "3 passed" in output
