import os
import sys
from pathlib import Path

import pytest

from python_tsan.cpython.manifest import Interpreter
from python_tsan.errors import SubjectError, UsageError
from python_tsan.running import preflight
from python_tsan.running.elf import ElfFacts, Runtime, is_elf, read_elf
from python_tsan.running.preflight import find_symbolizer, prepare, require_symbolizer

LS = Path("/bin/ls")


def interpreter(tmp_path, **facts):
    defaults = {
        "key": "k", "instrumented": True, "version": "3.13.5", "free_threaded": False, "debug": True,
        "prefix": tmp_path, "executable": tmp_path / "bin/python3.13", "library": tmp_path / "libpython3.13d.so.1.0",
        "include": tmp_path, "cc": LS, "cxx": LS, "toolchain": "clang-19", "runtime": None, "runtime_id": "r",
    }  # fmt: skip
    return Interpreter(**(defaults | facts))


def facts(path, **known):
    return ElfFacts(
        path=Path(path), **({"instrumented": True, "runtime": Runtime.LLVM, "compilers": ("clang-19",)} | known)
    )


def ready(command, tmp_path, **options):
    defaults = {"cwd": tmp_path, "env": {"PATH": "/usr/bin:/bin"}, "interpreter": None}
    return prepare(command, **(defaults | options))


@pytest.fixture
def elf(monkeypatch):
    """Let `read_elf` return a test's facts for files by their names; others are read."""
    said = {}
    monkeypatch.setattr(preflight, "read_elf", lambda path: said.get(path.name) or read_elf(path))
    monkeypatch.setattr(preflight, "is_elf", lambda path: path.name in said or is_elf(path))
    return said


@pytest.mark.parametrize(
    ("name", "words"),
    [("./nothing", "no such file"), ("nosuchprogram", "no such program in PATH"), ("./folder", "cannot be executed")],
)
def test_a_command_that_is_not_there_or_cannot_be_executed(tmp_path, name, words):
    (tmp_path / "folder").mkdir()
    with pytest.raises(SubjectError, match=words):
        ready([name], tmp_path)


def test_a_file_without_the_right_to_be_executed(tmp_path):
    (tmp_path / "data").write_text("x")
    with pytest.raises(SubjectError, match="cannot be executed"):
        ready(["./data"], tmp_path)


def test_the_races_of_a_program_that_is_not_instrumented_are_refused_unless_its_children_are_meant(tmp_path):
    with pytest.raises(SubjectError, match="has no instrumented code") as caught:
        ready([str(LS)], tmp_path, detect=("races",))
    assert caught.value.page == "not-instrumented"
    assert "--children" in caught.value.advice
    assert ready(["ls", "-l"], tmp_path, children=True).command[1:] == ("-l",)


@pytest.mark.parametrize(
    ("detect", "left"),
    [((), ("locks", "capi")), (("locks",), ("locks",)), (("races", "locks"), ("locks",)), (("capi",), ("capi",))],
)
def test_without_instrumented_code_all_but_races_is_judged_and_the_verdict_says_so(tmp_path, detect, left):
    prepared = ready([str(LS)], tmp_path, detect=detect)
    assert prepared.detect == left
    assert prepared.unjudged == ("Races were not judged: ls has no instrumented code.",)


def test_what_is_not_requested_is_not_judged(tmp_path, elf):
    (tmp_path / "program").touch(mode=0o755)
    elf["program"] = facts(tmp_path / "program")
    assert ready(["./program"], tmp_path).detect == ("races", "locks", "capi")
    only = ready(["./program"], tmp_path, detect=("locks",))
    assert (only.detect, only.unjudged) == (("locks",), ("Races were not judged: --detect locks.",))


def test_in_a_static_program_without_instrumented_code_nothing_can_be_seen(tmp_path, elf):
    (tmp_path / "program").touch(mode=0o755)
    elf["program"] = facts(tmp_path / "program", instrumented=False, runtime=Runtime.NONE)
    with pytest.raises(SubjectError, match="statically linked"):
        ready(["./program"], tmp_path)


def test_locks_alone_need_no_interpreter_under_the_sanitizer(tmp_path):
    assert ready(["python3"], tmp_path, detect=("locks",), env=dict(os.environ)).detect == ("locks",)


def test_a_shell_script_is_a_driver_and_no_program(tmp_path):
    script = tmp_path / "all.sh"
    script.write_text("#!/bin/sh\ntrue\n")
    script.chmod(0o755)
    with pytest.raises(SubjectError, match="is a script"):
        ready(["./all.sh"], tmp_path)
    assert ready(["./all.sh"], tmp_path, children=True).program is None


def test_an_instrumented_program_is_taken(tmp_path, elf):
    program = tmp_path / "mine"
    program.write_bytes(b"x")
    program.chmod(0o755)
    elf["mine"] = facts(program)
    prepared = ready(["./mine", "arg"], tmp_path)
    assert prepared.command == (str(tmp_path / "mine"), "arg")
    assert prepared.program is elf["mine"]
    assert prepared.interpreter is None


@pytest.mark.parametrize("name", ["python", "python3", "python3.13", "python3.13t"])
def test_a_bare_python_is_the_interpreter_under_test(tmp_path, elf, name):
    built = interpreter(tmp_path, executable=tmp_path / "python3.13")
    built.executable.write_bytes(b"x")
    built.executable.chmod(0o755)
    elf["python3.13"] = facts(built.executable)
    prepared = ready([name, "-c", "1"], tmp_path, interpreter=built)
    assert prepared.command == (str(built.executable), "-c", "1")
    assert prepared.interpreter is built
    assert "is taken for CPython 3.13.5" in prepared.notes[0]


def test_a_script_is_run_by_the_interpreter_under_test(tmp_path, elf):
    built = interpreter(tmp_path, executable=tmp_path / "python3.13")
    built.executable.write_bytes(b"x")
    built.executable.chmod(0o755)
    elf["python3.13"] = facts(built.executable)
    (tmp_path / "s.py").write_text("1")
    assert ready(["s.py", "x"], tmp_path, interpreter=built).command == (str(built.executable), "s.py", "x")
    with pytest.raises(SubjectError, match="no script"):
        ready(["t.py"], tmp_path, interpreter=built)


def test_python_without_a_built_interpreter_says_how_to_get_one(tmp_path):
    with pytest.raises(SubjectError, match="none is built yet") as caught:
        ready(["python3", "s.py"], tmp_path)
    assert "python-tsan build" in caught.value.advice


@pytest.mark.parametrize(
    ("known", "error", "words"),
    [
        ({"runtime": Runtime.GCC, "needed": ("libpython3.13d.so.1.0",)}, SubjectError, "only one"),
        ({"needed": ("libpython3.12.so.1.0",)}, UsageError, "linked to libpython3.12.so.1.0"),
    ],
)
def test_a_program_that_does_not_fit_the_named_interpreter_is_refused(tmp_path, elf, known, error, words):
    program = tmp_path / "mine"
    program.write_bytes(b"x")
    program.chmod(0o755)
    elf["mine"] = facts(program, **known)
    with pytest.raises(error, match=words):
        ready(["./mine"], tmp_path, interpreter=interpreter(tmp_path), named=True)


def test_a_program_with_another_python_keeps_its_own(tmp_path, elf):
    program = tmp_path / "mine"
    program.write_bytes(b"x")
    program.chmod(0o755)
    elf["mine"] = facts(program, needed=("libpython3.12.so.1.0",))
    prepared = ready(["./mine"], tmp_path, interpreter=interpreter(tmp_path))
    assert prepared.interpreter is None
    assert "embeds another Python" in prepared.notes[0]


def test_a_library_of_the_same_name_elsewhere_is_another_interpreter(tmp_path, elf):
    program, other = tmp_path / "mine", tmp_path / "other"
    program.write_bytes(b"x")
    program.chmod(0o755)
    other.mkdir()
    (other / "libpython3.13d.so.1.0").write_bytes(b"x")
    linked = {"needed": ("libpython3.13d.so.1.0",), "runtime": Runtime.GCC}
    elf["mine"] = facts(program, **linked, search=(str(other),))
    assert ready(["./mine"], tmp_path, interpreter=interpreter(tmp_path)).interpreter is None
    with pytest.raises(UsageError, match=r"other/libpython3\.13d\.so"):
        ready(["./mine"], tmp_path, interpreter=interpreter(tmp_path), named=True)


def test_two_runtimes_in_one_process_are_refused(tmp_path, elf):
    program = tmp_path / "mine"
    program.write_bytes(b"x")
    program.chmod(0o755)
    (tmp_path / "libx.so").write_bytes(b"x")
    not_ours = str(tmp_path / ("x" * 300))  # raises like a folder of another user, for root, too
    elf["mine"] = facts(program, needed=("libx.so",), search=(not_ours, str(tmp_path)))
    elf["libx.so"] = facts(tmp_path / "libx.so", runtime=Runtime.GCC)
    with pytest.raises(SubjectError, match=r"LLVM's ThreadSanitizer runtime and .*libx.so has GCC's"):
        ready(["./mine"], tmp_path)


@pytest.mark.parametrize(("env", "more"), [({"PYTHON_GIL": "1"}, ()), ({}, ("-X", "gil=1")), ({}, ("-Xgil=1",))])
def test_a_gil_that_is_switched_on_is_not_judged_as_free_threaded(tmp_path, elf, env, more):
    built = interpreter(tmp_path, executable=tmp_path / "python3.13", free_threaded=True)
    built.executable.write_bytes(b"x")
    built.executable.chmod(0o755)
    elf["python3.13"] = facts(built.executable)
    with pytest.raises(UsageError, match="the GIL is switched on"):
        ready(["python3", *more], tmp_path, interpreter=built, env=env)
    assert ready(["python3"], tmp_path, interpreter=built, env={}).interpreter is built


def test_the_symbolizer_is_asked_for_by_llvms_runtime_only(tmp_path):
    llvm, gcc = facts("/p"), facts("/p", runtime=Runtime.GCC, compilers=("gcc-12",))
    with pytest.raises(SubjectError, match="no llvm-symbolizer"):
        require_symbolizer(llvm, None, {})
    require_symbolizer(gcc, None, {})
    require_symbolizer(llvm, None, {"symbolize": "0"})
    require_symbolizer(llvm, tmp_path, {})
    with pytest.raises(SubjectError, match="is not there"):
        require_symbolizer(llvm, tmp_path, {"external_symbolizer_path": str(tmp_path / "gone")})


def test_the_symbolizer_of_the_programs_own_version_is_taken_first(tmp_path):
    for name in ("llvm-symbolizer", "llvm-symbolizer-97"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    env = {"PATH": str(tmp_path)}
    assert find_symbolizer(facts("/p", compilers=("clang-97",)), None, env) == tmp_path / "llvm-symbolizer-97"
    assert find_symbolizer(facts("/p", compilers=("clang-96",)), None, env) == tmp_path / "llvm-symbolizer"
    assert find_symbolizer(facts("/p", compilers=("gcc-12",), runtime=Runtime.GCC), None, env) is None
    assert find_symbolizer(None, None, env) is None


def test_what_is_no_elf_file_is_not_known(tmp_path):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "cut").write_bytes(LS.read_bytes()[:200])
    for name in ("text", "cut", "nothing"):
        assert read_elf(tmp_path / name).instrumented is None
    assert not is_elf(tmp_path / "text")
    assert read_elf(Path(sys.executable).resolve()).instrumented is False
