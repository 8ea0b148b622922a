"""Writing the Python stacks of a hang reads thread states without a lock, and is itself no finding."""

from pathlib import Path

import pytest

from python_tsan.cli.main import main
from python_tsan.cpython.manifest import read_manifest
from python_tsan.paths import default_root
from python_tsan.result.codec import load_result
from tools.wheels.survey import build_embedder

PROGRAM = Path(__file__).parent / "programs" / "attach_and_stay.cpp"


@pytest.mark.compiler
@pytest.mark.parametrize("family", ["gcc", "clang"])
def test_the_stacks_of_a_hang_are_written_without_a_finding(family, tmp_path, monkeypatch):
    folders = sorted((default_root() / "interpreters").glob(f"3.13.*-{family}-*"))
    interpreter = next((found for folder in folders if (found := read_manifest(folder))), None)
    if interpreter is None:
        pytest.skip(f"no CPython 3.13 is built with {family}")
    program = build_embedder(PROGRAM, interpreter, tmp_path / "program")
    monkeypatch.chdir(tmp_path)
    options = ["--python", str(interpreter.prefix), "--timeout", "3", "--output", str(tmp_path / "runs")]
    main(["run", *options, "--", str(program)])
    result = load_result(tmp_path / "runs" / "latest")
    (subject,) = result.subjects
    assert subject.timed_out
    assert any("python" in name for name in subject.stacks), subject
    assert [finding.raw for finding in result.findings] == []
