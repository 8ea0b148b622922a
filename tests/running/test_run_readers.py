"""A cycle of readers is set aside; what a writer can close is a finding, and so is a leak of a thread of C++."""

import subprocess
from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.cpython.manifest import read_manifest
from python_tsan.paths import default_root
from python_tsan.result.codec import load_result
from python_tsan.result.finding import FindingStatus
from python_tsan.toolchain.model import Family
from python_tsan.tsan.finding import Kind

pytestmark = pytest.mark.compiler
PROGRAMS = Path(__file__).with_name("programs")
ASIDE, NEW = FindingStatus.SET_ASIDE, FindingStatus.NEW


@pytest.fixture
def seen(of_family, survey_cache, tmp_path, monkeypatch):
    """Return a function that runs the program and returns its findings, as kinds with their status."""

    def run(family, way, *options):
        toolchain = of_family.get(family)
        if toolchain is None:
            pytest.skip(f"no working {family.value}")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHON_TSAN_CACHE", str(survey_cache))
        flags = ["-O1", "-g", "-fsanitize=thread", "-pthread"]
        command = [toolchain.candidate.cxx, *flags, PROGRAMS / "readers.cpp", "-o", "readers"]
        subprocess.run(command, check=True, timeout=120)
        main(["run", "--toolchain", toolchain.name, "--output", "runs", *options, "--", "./readers", way])
        return {(each.kind, each.status) for each in load_result(tmp_path / "runs" / "latest").findings}

    return run


@pytest.mark.parametrize("family", Family, ids=lambda family: family.value)
@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("readers", {(Kind.DEADLOCK, ASIDE)}),
        ("writers", {(Kind.DEADLOCK, NEW), (Kind.POSSIBLE_DEADLOCK, NEW)}),
        ("writers-later", {(Kind.DEADLOCK, ASIDE), (Kind.POSSIBLE_DEADLOCK, NEW)}),
        ("writers-first", {(Kind.DEADLOCK, ASIDE), (Kind.POSSIBLE_DEADLOCK, NEW)}),
    ],
)
def test_readers_alone_are_set_aside_and_what_a_writer_can_close_is_found(seen, family, way, expected):
    assert seen(family, way) == expected


@pytest.mark.parametrize("option", ["--keep-unlikely", "--detect=races"])
def test_they_are_kept_on_request_and_where_no_locks_were_recorded(seen, option):
    assert seen(Family.GCC, "readers", option) == {(Kind.DEADLOCK, NEW)}


@pytest.mark.parametrize("toolchain", ["gcc", "clang"])
@pytest.mark.parametrize(("argument", "expected"), [("kept", {(Kind.THREAD_LEAK, ASIDE)}), ("", set())])
def test_a_thread_of_python_whose_object_is_kept_is_no_leak(tmp_path, toolchain, argument, expected):
    folders = sorted((default_root() / "interpreters").glob(f"3.13.5-{toolchain}-*"))
    interpreter = next((each for folder in folders if (each := read_manifest(folder))), None)
    if interpreter is None:
        pytest.skip(f"no CPython 3.13.5 is built with {toolchain}")
    options = ["--python", str(interpreter.prefix), "--output", str(tmp_path / "runs")]
    main(["run", *options, "--", str(PROGRAMS / "kept_thread.py"), argument])
    result = load_result(tmp_path / "runs" / "latest")
    assert {(each.kind, each.status) for each in result.findings} == expected
