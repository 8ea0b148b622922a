import os
from dataclasses import replace
from pathlib import Path

import pytest

from python_tsan.config import Settings
from python_tsan.console import make_console
from python_tsan.cpython.manifest import Interpreter, SourceRecord, write_manifest
from python_tsan.errors import BuildError, ToolchainError, UsageError
from python_tsan.paths import Layout
from python_tsan.running import companion, preparation
from python_tsan.running.companion import LIBRARY, obtain_companion
from python_tsan.running.elf import ElfFacts, Runtime
from python_tsan.running.preflight import Prepared
from python_tsan.running.preparation import find_interpreter, open_session
from python_tsan.running.record import machine_facts
from python_tsan.running.request import Request
from python_tsan.toolchain.model import Candidate, Family


@pytest.fixture
def layout(tmp_path):
    return Layout(root=tmp_path / "cache")


@pytest.fixture
def built(tmp_path):
    """Return an interpreter with its manifest in a folder of its own."""
    prefix = tmp_path / "built"
    (prefix / "bin").mkdir(parents=True)
    executable = prefix / "bin" / "python3.13"
    executable.write_text("")
    interpreter = Interpreter(
        key="k", instrumented=True, version="3.13.5", free_threaded=False, debug=True, prefix=prefix,
        executable=executable, library=prefix / "lib/libpython3.13d.so.1.0", include=prefix, cc=Path("/bin/false"),
        cxx=Path("/bin/false"), toolchain="clang-19", runtime=None, runtime_id="abc",
    )  # fmt: skip
    write_manifest(interpreter, prefix)
    return interpreter


def find(named, layout):
    return find_interpreter(named, Settings(cache=layout.root), toolchain=None, layout=layout)


def test_an_interpreter_is_found_by_its_folder_or_by_its_program(built, layout):
    assert find(str(built.prefix), layout) == built
    assert find(str(built.executable), layout) == built


def test_an_interpreter_that_was_named_must_be_there(layout, tmp_path):
    for named in (str(tmp_path / "nowhere"), "3.13"):
        with pytest.raises(UsageError, match="there is no interpreter") as caught:
            find(named, layout)
        assert caught.value.page == "no-interpreter"
    assert find("", layout) is None


def test_one_that_other_settings_made_is_named(built, layout):
    folder = layout.interpreters / "key"
    folder.mkdir(parents=True)
    source = SourceRecord(version="3.13.5", origin="/src/cpython", sha256="0")
    write_manifest(replace(built, source=source), folder)
    for named in ("3.13", "3.13.5"):
        with pytest.raises(UsageError) as caught:
            find(named, layout)
        line = f"built with other settings: {built.prefix} (3.13.5 by clang-19, from /src/cpython)"
        assert caught.value.advice.endswith(line)
    with pytest.raises(UsageError) as caught:
        find("3.1", layout)
    assert "other settings" not in caught.value.advice


def test_one_with_an_instrumented_numpy_is_named_as_that(layout):
    settings = Settings(cache=layout.root, instrumented_numpy=True)
    with pytest.raises(UsageError, match=r"ThreadSanitizer with an instrumented numpy: 3\.13") as caught:
        find_interpreter("3.13", settings, toolchain=None, layout=layout)
    assert "install-numpy --instrumented-numpy" in caught.value.advice


def no_toolchain(*_args, **_options):
    raise ToolchainError("none here")


def session(tmp_path, layout, env, *, toolchain=None, command=("/bin/ls",)):
    request = Request(command=command, cwd=str(tmp_path), children=True)
    settings = Settings(cache=layout.root, output=tmp_path / "runs", toolchain=toolchain)
    return open_session(request, settings, layout=layout, console=make_console(quiet=True), env=env)


def test_a_machine_without_a_compiler_still_runs_what_was_built_elsewhere(tmp_path, layout, monkeypatch):
    monkeypatch.setattr(preparation, "choose_toolchain", no_toolchain)
    opened = session(tmp_path, layout, {"PATH": os.defpath})
    assert opened.toolchain is None
    assert opened.companion is None
    assert opened.prepared.command == ("/bin/ls",)
    with pytest.raises(ToolchainError):
        session(tmp_path, layout, {"PATH": os.defpath}, toolchain="clang-99")


def test_the_callers_own_suppressions_are_among_the_rules_and_not_twice(tmp_path, layout, monkeypatch):
    monkeypatch.setattr(preparation, "choose_toolchain", no_toolchain)
    theirs = tmp_path / "theirs.txt"
    theirs.write_text("race:known\n")
    env = {"PATH": os.defpath, "TSAN_OPTIONS": f"history_size=3:suppressions={theirs}"}
    opened = session(tmp_path, layout, env)
    assert [str(placed.suppression) for placed in opened.rules.suppressions] == ["race:known"]
    assert opened.env["TSAN_OPTIONS"] == "history_size=3"
    theirs.write_text("race:*\n")
    with pytest.raises(UsageError, match="matches everything"):
        session(tmp_path, layout, env)


def test_a_companion_that_does_not_compile_is_reported_and_done_without(built, layout, capsys):
    assert obtain_companion(interpreter=built, compiler=None, layout=layout, console=make_console(quiet=True)) is None
    assert "the companion could not be built" in capsys.readouterr().err
    assert not list(layout.root.glob(f"companions/*/{LIBRARY}"))


@pytest.fixture
def obtained(layout, tmp_path, monkeypatch):
    """Return a function that returns the place of a companion, and the compiler that would build it."""
    (tmp_path / "native" / "companion").mkdir(parents=True)
    (tmp_path / "native" / "preload" / "shims").mkdir(parents=True)
    compilers = []

    def run(command, **_):
        compilers.append(command[0])
        raise BuildError("enough is known")

    def artifact(place, fill, **_):
        with pytest.raises(BuildError):
            fill(tmp_path)
        return place, True

    monkeypatch.setattr(companion, "native_folder", lambda: tmp_path / "native")
    monkeypatch.setattr(companion.process, "run", run)
    monkeypatch.setattr(companion, "artifact", artifact)

    def obtain(interpreter, compiler):
        console = make_console(quiet=True)
        place = obtain_companion(interpreter=interpreter, compiler=compiler, layout=layout, console=console)
        return place, compilers.pop()

    return obtain


def compiler(program):
    path = Path(program)
    return Candidate(family=Family.GCC, cc=path, cxx=path, version="12.2.0", target="x86_64-linux-gnu")


def test_a_companion_is_of_its_sources_its_compiler_and_its_interpreter(obtained, built, tmp_path):
    source = tmp_path / "native" / "companion" / "python_frames.c"
    source.write_text("1")
    one = obtained(None, compiler("/bin/sh"))
    assert obtained(None, compiler("/bin/sh")) == one
    same = replace(built, cc=Path("/bin/sh"), cxx=Path("/bin/sh"))
    assert obtained(same, compiler("/bin/sh"))[0] != one[0]
    assert obtained(None, compiler("/bin/ls"))[0] != one[0]
    source.write_text("2")
    assert obtained(None, compiler("/bin/sh"))[0] != one[0]


def test_the_compiler_is_the_interpreters_if_it_is_still_there(obtained, built, tmp_path):
    (tmp_path / "native" / "companion" / "python_frames.c").touch()
    assert obtained(built, compiler("/bin/sh"))[1] == built.cxx
    gone = replace(built, cxx=Path("/gone"))
    assert obtained(gone, compiler("/bin/sh"))[1] == Path("/bin/sh")


def test_facts_name_the_program_the_interpreter_and_the_machine(built):
    program = ElfFacts(
        path=Path("/bin/ls"), instrumented=True, runtime=Runtime.LLVM, compilers=("clang-19",), build_id="f00"
    )
    facts = machine_facts(Prepared(command=("/bin/ls",), program=program, interpreter=built), None)
    assert facts["interpreter"] == "CPython 3.13.5, clang-19, key k"
    assert (facts["runtime"], facts["program compilers"], facts["program build id"]) == ("abc", "clang-19", "f00")
    assert len(facts["program"]) == 64
    assert facts["toolchain"] == "none"
    bare = machine_facts(Prepared(command=("/nowhere",), program=None), None)
    assert bare["program"] == "cannot be read"
    assert "interpreter" not in bare
