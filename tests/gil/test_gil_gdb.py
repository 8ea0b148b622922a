import os
import stat

import pytest

from python_tsan.errors import ToolchainError, UsageError
from python_tsan.gil.gdb import Line, make_process, resolve_script, trace_with_gdb

LIBRARY = "/nonexistent/libpython.so"


def line(kind, time, tid=10, offset=0x10, way=1):
    return Line(kind, time, tid, way, LIBRARY, offset)


def test_a_release_is_joined_with_the_same_threads_next_acquisition():
    lines = [
        line("release", 1, offset=0x20),
        line("acquire", 2, tid=11),
        line("release", 3, tid=11),
        line("acquire", 4),
        line("release", 5),
    ]
    process = make_process(lines, executable="/bin/python")
    assert [(event.released, event.acquired, event.thread) for event in process.events] == [
        (1, 4, 0),
        (0, 2, 1),
        (3, 0, 1),
        (5, 0, 0),
    ]
    assert process.sites[process.events[0].site].offset == 0x20
    assert [thread.tid for thread in process.record.threads] == [10, 11]
    assert process.thread_name(0) == "main"


def test_a_release_inside_a_release_counts_once():
    process = make_process([line("release", 1), line("release", 2, offset=0x30), line("acquire", 3)], executable="p")
    assert [(event.released, event.acquired) for event in process.events] == [(1, 3)]


def test_a_script_is_run_by_its_interpreter(tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!/usr/bin/env -S sh -e\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert resolve_script([str(script), "x"], os.environ) == ["/usr/bin/env", "-S sh -e", str(script), "x"]


def test_a_script_without_an_interpreter_is_refused(tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!\n")
    with pytest.raises(UsageError, match="cannot be told"):
        resolve_script([str(script)], os.environ)


def test_without_gdb_the_other_engine_is_offered(tmp_path):
    with pytest.raises(ToolchainError) as caught:
        trace_with_gdb(["sh"], env={"PATH": str(tmp_path)})
    assert "--engine preload" in caught.value.advice
