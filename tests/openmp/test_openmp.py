"""OpenMP under `run`: with clang its tool reports the order, with gcc the verdict says that it was not seen."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.result.codec import load_result
from python_tsan.result.finding import FindingStatus
from python_tsan.running.elf import read_elf
from python_tsan.running.environment import OPENMP_VARIABLE
from python_tsan.running.preflight import find_archer

pytestmark = pytest.mark.compiler
PROGRAMS = Path(__file__).with_name("programs")
RUNS = int(os.environ.get("PYTHON_TSAN_SHIM_RUNS", "3"))


def compiled(compiler, name, folder, *flags):
    """Return the program; skip the test where the compiler or its OpenMP is not installed."""
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    target = folder / name
    command = [compiler, "-O1", "-g", "-fsanitize=thread", "-fopenmp", *flags, PROGRAMS / f"{name}.cpp", "-o", target]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if ended.returncode:
        pytest.skip(f"{compiler} has no OpenMP: {ended.stderr}")
    return target


def result_of(program, folder, monkeypatch, *options):
    monkeypatch.chdir(folder)
    monkeypatch.delenv(OPENMP_VARIABLE, raising=False)
    main(["run", "--output", str(folder / "runs"), "--repeat", str(RUNS), *options, "--", str(program)])
    return load_result(folder / "runs" / "latest")


def kept(result):
    return [finding for finding in result.findings if finding.status is not FindingStatus.SET_ASIDE]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["regions", "tasks"])
def test_clangs_is_seen_through_its_tool(name, tmp_path, monkeypatch):
    program = compiled("clang++-19", name, tmp_path)
    if find_archer(read_elf(program)) is None:
        pytest.skip("libarcher.so is not installed")
    result = result_of(program, tmp_path, monkeypatch)
    assert [finding.raw for finding in kept(result)] == []
    assert not any("parallel regions" in words for words in result.verdict.downgrades)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["regions", "tasks"])
def test_a_race_in_a_region_of_clangs_is_found_in_every_run_and_alone(name, tmp_path, monkeypatch):
    program = compiled("clang++-19", name, tmp_path, "-DRACY")
    if find_archer(read_elf(program)) is None:
        pytest.skip("libarcher.so is not installed")
    found = kept(result_of(program, tmp_path, monkeypatch))
    assert {finding.location.name for finding in found} == {"g_raced"}
    runs = {source.file for finding in found for source in finding.sources}  # each is one process
    assert f"found in {len(runs)} of {RUNS} runs" == f"found in {RUNS} of {RUNS} runs"


@pytest.mark.parametrize(("compiler", "helps"), [("g++", "compile with clang"), ("clang++-19", "install libomp-dev")])
def test_what_was_not_seen_is_stated(compiler, helps, tmp_path, monkeypatch):
    program = compiled(compiler, "regions", tmp_path)
    monkeypatch.setattr("python_tsan.running.environment.find_archer", lambda _program: None)
    (words,) = [words for words in result_of(program, tmp_path, monkeypatch).verdict.downgrades if "parallel" in words]
    assert helps in words


def test_a_tool_of_the_users_own_is_kept(tmp_path, monkeypatch):
    program = compiled("clang++-19", "regions", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(OPENMP_VARIABLE, "/nowhere/libtool.so")
    main(["run", "--output", str(tmp_path / "runs"), "--", str(program)])
    result = load_result(tmp_path / "runs" / "latest")
    assert any("parallel regions" in words for words in result.verdict.downgrades)
