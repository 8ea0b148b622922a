"""The wheel as users install it: by uvx, pip, pipx and uv, with dependencies from the index. `nox -s wheel` runs it."""

import os
import re
import subprocess
import sys

import pytest
from packaged import ROOT

LOG = ROOT / "tests" / "tsan" / "golden" / "gcc-12" / "race_heap.log"
pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def typed(tmp_path):
    """Run a command in an empty folder, with tools' own folders below it; return it if it ended as it should."""
    empty = tmp_path / "empty"
    empty.mkdir()
    own = {"UV_TOOL_DIR": "tools", "UV_TOOL_BIN_DIR": "bin", "PIPX_HOME": "pipx", "PIPX_BIN_DIR": "bin"}
    env = {**os.environ, **{name: str(tmp_path / folder) for name, folder in own.items()}}
    env.pop("PYTHONPATH", None)

    def run(*command, exit_code=0):
        done = subprocess.run(
            [str(word) for word in command], cwd=empty, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def reports(output):
    return "heap-use-after-free" in output or "data race" in output


def test_uvx_reports_alone(typed, wheel):
    assert reports(typed("uvx", "--from", wheel, "python-tsan", "report", LOG, exit_code=1))


def test_the_examples_lines_for_a_log_alone(tmp_path):
    lines = re.findall(r"^uvx? .*$", (ROOT / "examples" / "README.md").read_text(), re.MULTILINE)
    build, report = (line.replace("build/wheel", str(tmp_path)) for line in lines)
    subprocess.run(["bash", "-c", build], cwd=ROOT, check=True)
    done = subprocess.run(["bash", "-c", report], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "data race on" in done.stdout


def test_uv_tool(typed, wheel, tmp_path):
    typed("uv", "tool", "install", "--quiet", wheel)
    assert reports(typed(tmp_path / "bin" / "python-tsan", "report", LOG, exit_code=1))


def test_pipx(typed, wheel, tmp_path):
    typed("uvx", "pipx", "install", "--python", sys.executable, wheel)
    assert reports(typed(tmp_path / "bin" / "python-tsan", "report", LOG, exit_code=1))


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_pip(typed, kind, request, tmp_path):
    typed(sys.executable, "-m", "venv", tmp_path / "venv")
    typed(tmp_path / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", request.getfixturevalue(kind))
    assert reports(typed(tmp_path / "venv" / "bin" / "python-tsan", "report", LOG, exit_code=1))


@pytest.mark.compiler
def test_doctor_and_verify_from_an_empty_folder(typed, wheel, tmp_path):
    typed("uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    typed("uv", "pip", "install", "--quiet", "--python", tmp_path / "venv", f"python-tsan[verify] @ file://{wheel}")
    program = tmp_path / "venv" / "bin" / "python-tsan"
    assert "canary" in typed(program, "doctor")
    output = typed(program, "verify", "--lane", "fast", "-k", "canary")
    assert re.search(r"^clean: 2 checks as expected$", output, re.MULTILINE)


def test_twine_finds_nothing_to_complain_about(typed, wheel, sdist):
    assert typed("uvx", "twine", "check", "--strict", wheel, sdist).count("PASSED") == 2
