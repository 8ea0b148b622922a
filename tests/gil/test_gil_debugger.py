import os
import stat
from pathlib import Path

import pytest

from python_tsan import process
from python_tsan.errors import SubjectError, ToolchainError
from python_tsan.gil.debugger import GDB, LLDB, Line, make_process, resolve_script
from python_tsan.gil.inside.watched import what_it_does
from python_tsan.gil.registry import ANY_DEBUGGER, find_engine
from python_tsan.gil.trace import GilCall

LIBRARY = "/nonexistent/libpython.so"


def line(kind, time, tid=10, offset=0x10, call=1):
    return Line(kind, time, tid, call, LIBRARY, offset)


def test_a_release_is_joined_with_the_same_threads_next_acquisition():
    lines = [
        line("release", 1, offset=0x20),
        line("acquire", 2, tid=11),
        line("release", 3, tid=11),
        line("acquire", 4),
        line("release", 5),
    ]
    made = make_process(lines, executable="/bin/python")
    assert [(event.released, event.acquired, event.thread) for event in made.events] == [
        (1, 4, 0),
        (0, 2, 1),
        (3, 0, 1),
        (5, 0, 0),
    ]
    assert made.sites[made.events[0].site].offset == 0x20
    assert [thread.tid for thread in made.record.threads] == [10, 11]
    assert made.thread_name(0) == "main"


def test_a_release_inside_a_release_counts_once():
    made = make_process([line("release", 1), line("release", 2, offset=0x30), line("acquire", 3)], executable="p")
    assert [(event.released, event.acquired) for event in made.events] == [(1, 3)]


def test_a_script_is_run_by_its_interpreter(tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!/usr/bin/env -S sh -e\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert resolve_script([str(script), "x"], os.environ) == ["/usr/bin/env", "-S sh -e", str(script), "x"]


def test_a_script_without_an_interpreter_is_refused(tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!\n")
    with pytest.raises(SubjectError, match="cannot be determined"):
        resolve_script([str(script)], os.environ)


def test_a_swap_between_states_is_a_release_and_an_acquisition():
    lines = [line("swap", 1, call=4, offset=0x30), line("release", 2, call=4), line("swap", 3, call=4)]
    made = make_process(lines, executable="p", version=0x030C01F0)
    assert [(event.released, event.acquired) for event in made.events] == [(1, 1), (2, 3)]
    assert made.sites[made.events[0].site].offset == 0x30
    assert {event.release_call for event in made.events} == {GilCall.SWAP}
    assert made.record.python == "3.12.1"


def program(folder, name):
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_without_the_debugger_another_engine_is_offered(tmp_path):
    env = {"PATH": str(tmp_path)}
    with pytest.raises(ToolchainError, match="gdb was not found") as caught:
        GDB.trace(["sh"], env=env)
    with pytest.raises(ToolchainError, match="gdb was not found") as caught:
        find_engine("gdb", env)
    assert "--engine preload" in caught.value.advice
    program(tmp_path, "lldb-19")
    with pytest.raises(ToolchainError) as caught:
        find_engine("gdb", env)
    assert "--engine lldb" in caught.value.advice


def test_the_debugger_that_is_installed_is_taken(tmp_path):
    not_ours = tmp_path / ("x" * 300)  # raises like a folder of another user, for root, too
    env = {"PATH": f"{not_ours}:{tmp_path}"}
    with pytest.raises(ToolchainError, match="gdb or lldb was not found"):
        find_engine(ANY_DEBUGGER, env)
    program(tmp_path, "lldb-9")
    newest = program(tmp_path, "lldb-19")
    program(tmp_path, "lldb-server-20")
    assert find_engine(ANY_DEBUGGER, env) is LLDB
    assert LLDB.find(env) == newest
    plain = program(tmp_path, "lldb")
    assert LLDB.find(env) == plain
    program(tmp_path, "gdb")
    assert find_engine(ANY_DEBUGGER, env) is GDB


def test_a_debugger_that_fails_is_reported_with_its_last_line(monkeypatch, tmp_path):
    program(tmp_path, "gdb")
    program(tmp_path, "tool")

    def fails(_command, *, env):
        Path(env["PYTHON_TSAN_GIL_OUT"] + ".log").write_text("first\nno ptrace here\n")

    monkeypatch.setattr(process, "run_attached", fails)
    with pytest.raises(SubjectError, match="gdb cannot trace /bin/sh: no ptrace here"):
        GDB.trace(["tool"], env={"PATH": f"{tmp_path}:/bin"})


@pytest.mark.parametrize(
    ("name", "argument", "version", "done"),
    [
        ("PyEval_SaveThread", 0, 0, ("release", GilCall.SAVE_RESTORE)),
        ("PyGILState_Release", 0, 0, None),
        ("PyGILState_Release", 1 | 7 << 32, 0, ("release", GilCall.GIL_STATE)),
        ("PyThreadState_Swap", 0, 0x030B0000, None),
        ("PyThreadState_Swap", 0, 0x030C0000, ("release", GilCall.SWAP)),
        ("PyThreadState_Swap", 1, 0x030C0000, ("swap", GilCall.SWAP)),
    ],
)
def test_what_a_call_does_depends_on_its_argument_and_the_version(name, argument, version, done):
    assert what_it_does(name, argument, version) == done
