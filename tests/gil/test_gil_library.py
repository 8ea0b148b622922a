"""When the preloaded library is built, and when not."""

import os

import pytest

from python_tsan import preload_library as library
from python_tsan import process
from python_tsan.console import make_console
from python_tsan.errors import BuildError, ToolchainError
from python_tsan.paths import Layout
from python_tsan.preload_library import GIL_TRACER, build_library
from python_tsan.process import Completed


@pytest.fixture
def sources(monkeypatch, tmp_path):
    folder = tmp_path / "native" / "preload" / "tracer"
    folder.mkdir(parents=True)
    (folder / "tracer.cpp").write_text("int one;\n")
    (folder / "tracer.hpp").write_text("extern int one;\n")
    monkeypatch.setattr(library, "native_folder", lambda: tmp_path / "native")
    return folder


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """A compiler on PATH that is never run: each call is recorded, and writes the library unless `fail` is set."""
    program = tmp_path / "bin" / "c++"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.delenv("CXX", raising=False)
    calls = []

    def run(command, *, stdout, timeout):
        calls.append([str(word) for word in command])
        ok = "fail" not in os.environ
        stdout.write_text("" if ok else "tracer.cpp:1: error: no\n")
        if ok:
            command[-1].write_text("library")
        return Completed(
            command=tuple(calls[-1]),
            exit_code=0 if ok else 1,
            timed_out=False,
            seconds=timeout,
            cpu_seconds=0.0,
            max_rss_bytes=0,
        )

    monkeypatch.setattr(process, "run", run)
    return calls


@pytest.fixture
def build(tmp_path):
    layout = Layout(root=tmp_path / "cache")
    return lambda: build_library(GIL_TRACER, layout=layout, console=make_console(quiet=True))


def test_it_is_built_once_from_every_source_file(sources, compiler, build):
    first = build()
    assert first.name == GIL_TRACER.name
    assert first.read_text() == "library"
    assert build() == first
    (command,) = compiler
    assert str(sources / "tracer.cpp") in command
    assert str(sources / "tracer.hpp") not in command, "headers are included, not compiled"
    assert "-nodefaultlibs" in command


@pytest.mark.parametrize("changed", ["tracer.cpp", "tracer.hpp", "new.cpp"])
def test_another_source_is_another_library(sources, compiler, build, changed):
    first = build()
    (sources / changed).write_text("int two;\n")
    assert build() != first
    assert first.is_file()
    assert len(compiler) == 2


@pytest.mark.usefixtures("sources")
def test_other_flags_and_another_compiler_are_another_library(compiler, build, monkeypatch, tmp_path):
    libraries = {build()}
    monkeypatch.setattr(library, "FLAGS", (*library.FLAGS, "-O3"))
    libraries.add(build())
    other = tmp_path / "bin" / "other-c++"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("CXX", str(other))
    libraries.add(build())
    assert len(libraries) == len(compiler) == 3
    assert compiler[-1][0] == str(other)


@pytest.mark.usefixtures("sources")
def test_a_failed_build_shows_the_compiler_and_leaves_no_library(compiler, build, monkeypatch):
    monkeypatch.setenv("fail", "1")
    with pytest.raises(BuildError, match="build the GIL tracer"):
        build()
    monkeypatch.delenv("fail")
    assert build().is_file()
    assert len(compiler) == 2


@pytest.mark.usefixtures("sources")
def test_without_a_compiler_another_engine_is_offered(build, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(ToolchainError, match="no C\\+\\+ compiler was found") as caught:
        build()
    assert "--engine debugger" in caught.value.advice
