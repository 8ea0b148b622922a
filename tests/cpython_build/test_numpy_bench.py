"""The bench of numpy's build: both ways get the same, and the share is of the guides' whole time."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_build import make_toolchain, settings_for

from python_tsan.config import CompilerCache
from python_tsan.cpython.locks import CYTHON
from python_tsan.cpython.numpy.source_plan import NumpyPlan, setup_command
from python_tsan.errors import BuildError
from tools.bench import numpy_build
from tools.bench.numpy_build import Cost, compared, guide_commands, rows

PLAN = NumpyPlan(version="2.5.5", hashes=(), interpreter="key", flags="-O1 -w", tools="")


def test_the_guides_way_gets_our_options_and_our_cython():
    (_, requirements), (_, build) = guide_commands(Path("/venv/bin/python"), Path("/numpy.tar.gz"), PLAN, jobs=3)
    assert f"cython=={CYTHON.version}" in requirements
    theirs = {word.removeprefix("-Csetup-args=") for word in build if word.startswith("-Csetup-args=")}
    ours = {str(word) for word in setup_command(["python"], Path("/src"), Path("/build"), PLAN)}
    assert set(PLAN.options) <= theirs
    assert "-Db_sanitize=thread" in theirs
    # But for the name of the source's folder, which does not affect the compiler.
    mapped = {word.replace(" -ffile-prefix-map=../src=/numpy", "") for word in ours}
    assert theirs <= mapped
    assert build[:3] == ["/venv/bin/python", "-m", "pip"]
    assert build[-1] == "/numpy.tar.gz"
    assert {"--no-build-isolation", "--no-deps", "-Ccompile-args=-j3"} <= set(build)


@pytest.mark.parametrize(("seconds", "met"), [(50.0, True), (50.1, False)])
def test_the_limit_is_half_of_the_processor_time(seconds, met):
    row = compared("numpy", Cost(wall=30.0, cpu=seconds), Cost(wall=40.0, cpu=100.0))
    assert row.met is met
    assert row.cost == f"0.750 x wall, {seconds / 100:.3f} x CPU"


@pytest.fixture
def pipeline(tmp_path, monkeypatch, console):
    """Replace uv, the interpreter, which logs its arguments, and our own build."""
    fake = tmp_path / "python"
    fake.write_text(
        f'#!/bin/sh\necho "$CC $TSAN_OPTIONS $CCACHE_DIR" "$@" >>{tmp_path}/asked\n[ ! -e {tmp_path}/broken ]\n'
    )
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\nfor venv; do :; done\nmkdir -p "$venv/bin"\ncp {fake} "$venv/bin/python"\n')
    for program in (fake, uv):
        program.chmod(0o755)
    monkeypatch.setenv("CCACHE_DIR", "/never")
    monkeypatch.setattr(numpy_build, "find_uv", lambda: uv)
    monkeypatch.setattr(numpy_build, "plan_for", lambda *_arguments: PLAN)
    archive = tmp_path / "sha-numpy.tar.gz"
    archive.write_text("source")
    monkeypatch.setattr(numpy_build, "obtain_sdist", lambda *_arguments, **_named: archive)
    found = SimpleNamespace(
        interpreter=SimpleNamespace(version="3.13.5", executable=Path(sys.executable)),
        toolchain=make_toolchain(),
        settings=settings_for(tmp_path, compiler_cache="auto"),
        console=console,
        layout=None,
        built=[],
    )

    def build_numpy(base, settings, *, layout, **_named):
        found.built.append((base, settings, sorted(path.name for path in layout.root.rglob("*"))))

    monkeypatch.setattr(numpy_build, "build_numpy", build_numpy)
    return found


def test_both_ways_are_measured_and_nothing_is_left(pipeline, tmp_path, console):
    made = list(rows(pipeline, tmp_path / "bench"))
    assert "as the guides build it: build requirements: " in console.notes
    assert [row.met for row in made[:-1]] == [None] * 3
    assert made[-1].met is not None
    asked = [shlex.split(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert [line[-1] for line in asked] == ["ninja", str(tmp_path / "sha-numpy.tar.gz"), "numpy"]
    assert {line[0] for line in asked} == {"/usr/bin/clang-19"}
    ((base, settings, files),) = pipeline.built
    assert base is pipeline.interpreter
    assert settings.compiler_cache is CompilerCache.OFF
    assert files == ["downloads", "sha-numpy.tar.gz"]
    assert not [path for path in (tmp_path / "bench").iterdir() if path.is_dir()]


def test_a_step_that_fails_is_an_error_with_its_log(pipeline, tmp_path):
    (tmp_path / "broken").touch()
    with pytest.raises(BuildError, match="'build requirements' failed") as told:
        list(rows(pipeline, tmp_path / "bench"))
    assert told.value.evidence.is_file()
    assert pipeline.built == []


def test_costs_add_up():
    total = Cost(wall=1.0, cpu=2.0) + Cost(wall=3.0, cpu=5.0)
    assert dataclasses.astuple(total) == (4.0, 7.0)
