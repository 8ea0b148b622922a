"""A race planted in a callback of a blind library, or in a buffer, is found in every run, and nothing else is kept.

The wheels are those of ``PYTHON_TSAN_WHEELS``, a folder made by ``uv pip install --target``. The twins of GLib, Qt and
the other shims are in ``tests/shims``.
"""

import os
import sys
from pathlib import Path

import pytest

from python_tsan import process
from python_tsan.cpython.manifest import read_manifest
from python_tsan.paths import default_root
from python_tsan.result.codec import load_result
from python_tsan.result.finding import FindingStatus
from tools.wheels.survey import build_embedder

pytestmark = [pytest.mark.compiler, pytest.mark.slow]
HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
RUNS = int(os.environ.get("PYTHON_TSAN_PLANTED_RUNS", "3"))
SECONDS = 120


def built(family):
    folders = sorted((default_root() / "interpreters").glob(f"3.13.*-{family}-*"))
    found = [manifest for folder in folders if (manifest := read_manifest(folder))]
    return next((each for each in found if not each.free_threaded), None)


@pytest.fixture(scope="module", params=["gcc", "clang"])
def interpreter(request):
    found = built(request.param)
    if found is None:
        pytest.skip(f"no CPython 3.13 is built with {request.param}")
    return found


@pytest.fixture(scope="module")
def embedder(interpreter, tmp_path_factory):
    return build_embedder(HERE / "planted.cpp", interpreter, tmp_path_factory.mktemp("embedder") / "planted")


@pytest.mark.timeout(SECONDS * (RUNS + 1))
@pytest.mark.parametrize("name", [path.stem for path in sorted(PROGRAMS.glob("*.py"))])
def test_a_planted_race_is_found_in_every_run_and_nothing_else_is_kept(name, interpreter, embedder, tmp_path):
    wheels = os.environ.get("PYTHON_TSAN_WHEELS")
    if wheels is None:
        pytest.skip("PYTHON_TSAN_WHEELS names no folder of wheels")
    options = ["--python", str(interpreter.prefix), "--timeout", str(SECONDS), "--repeat", str(RUNS)]
    # Isolated: the wheels are of another Python than this one.
    ended = process.run(
        [
            *(sys.executable, "-I", "-m", "python_tsan", "run", *options, "--output", str(tmp_path / "runs")),
            *("--", str(embedder), str(PROGRAMS / f"{name}.py")),
        ],
        env={**os.environ, "PYTHONPATH": str(Path(wheels).resolve())},
        timeout=SECONDS * RUNS,
        cwd=tmp_path,
    )
    assert ended.exit_code == 1, ended.stderr
    result = load_result(tmp_path / "runs" / "latest")
    kept = [finding for finding in result.findings if finding.status is FindingStatus.NEW]
    assert [finding.raw for finding in kept if not is_planted(finding)] == []
    runs = {source.file for finding in kept for source in finding.sources}  # each is one process
    assert f"found in {len(runs)} of {RUNS} runs" == f"found in {RUNS} of {RUNS} runs"


def is_planted(finding):
    frames = [access.stack.frames[0].symbol.partition("(")[0] for access in finding.accesses if access.stack.frames]
    return any(symbol in {"planted_count", "planted_write"} for symbol in frames)
