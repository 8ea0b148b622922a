"""The preload engine without a tracer: what it makes of the files and notes that a traced command leaves."""

import os
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace

import gil_samples as samples
import pytest
from test_gil_spool import EARLY, LATE, make

from python_tsan import process
from python_tsan.gil import preload
from python_tsan.gil.engine import SPOOL, BlindError, NothingSeenError
from python_tsan.gil.preload import BYTES, STARTER, finish, make_spool_folder, trace_preloaded
from python_tsan.gil.spool import Spool, SpoolObject
from python_tsan.gil.summary import caveats
from python_tsan.gil.trace import Event
from python_tsan.process import Attached
from python_tsan.symbols import Site

PID = 77
LIBRARY = Path("/lib/tracer.so")


@pytest.fixture
def traced(monkeypatch):
    """Trace `sh`, replaced by the given record files and notes; return the trace and the child's environment."""
    seen = {}

    def run(*, records=(), notes=(), exit_code=0):
        def attached(command, *, env):
            folder = Path(env[SPOOL])
            seen.update(command=command, env=env, folder=folder)
            for name, content in records:
                (folder / f"{name}.gil").write_bytes(content)
            if notes:
                lines = "".join(f"{pid}\t{one}\t{what}\t{detail}\n" for pid, one, what, detail in notes)
                (folder / "processes").write_text(lines)
            return Attached(pid=PID, exit_code=exit_code)

        monkeypatch.setattr(process, "run_attached", attached)
        return trace_preloaded(["sh", "-c", "x"], library=LIBRARY, env={"PATH": os.environ["PATH"]}, memory=4096)

    run.seen = seen
    return run


def record(started=5, events=(EARLY,)):
    data = bytearray(make(chunks=[(0, 10, list(events))]))
    data[24:32] = started.to_bytes(8, "little")
    return bytes(data)


def test_the_command_gets_the_library_and_the_settings_and_leaves_no_folder(traced):
    traced(records=[("1", record())])
    env = traced.seen["env"]
    assert traced.seen["command"] == [shutil.which("sh"), "-c", "x"]
    assert (env["LD_PRELOAD"], env[BYTES], env[STARTER]) == (str(LIBRARY), "4096", str(os.getpid()))
    assert not traced.seen["folder"].exists()


def test_processes_come_in_the_order_of_their_start(traced):
    trace = traced(records=[("a", record(9, [LATE])), ("b", record(3)), ("c", b"unfinished")], exit_code=3)
    assert [one.record.started for one in trace.processes] == [3, 9]
    assert (trace.engine, trace.command, trace.exit_code) == ("preload", ("sh", "-c", "x"), 3)


def test_a_record_without_events_is_no_process(traced):
    with pytest.raises(NothingSeenError, match="never released the GIL"):
        traced(records=[("a", make(chunks=[]))], notes=[(PID, 0, "traced", "/bin/python")])


def test_children_that_cannot_be_traced_are_listed_with_the_reason(traced):
    notes = [(80, 0, "unknown", "/old/python"), (81, 0, "problem", "no space"), (82, 0, "traced", "/bin/python")]
    trace = traced(records=[("a", record())], notes=notes)
    assert [(one.pid, one.reason, one.program) for one in trace.untraced] == [
        (80, "it is older than 3.11", "/old/python"),
        (81, "problem", "no space"),
    ]


@pytest.mark.parametrize(
    ("notes", "words", "advice"),
    [
        ([(PID, 0, "problem", "No space left")], "nothing could be recorded: No space left", "--memory"),
        ([(PID, 0, "unknown", "/p")], "the Python in /p cannot be traced: it is older than 3.11", "--engine debugger"),
        ([(PID, 0, "traced", "/p")], "Python was loaded, but never released the GIL", ""),
        ([(PID, 0, "loaded", "/p")], "no Python was loaded by", ""),
        ([], "no library could be preloaded into", "ignores LD_PRELOAD"),
    ],
)
def test_when_nothing_was_seen_the_reason_is_named(traced, notes, words, advice):
    with pytest.raises(NothingSeenError, match=words) as caught:
        traced(notes=notes, exit_code=4)
    assert advice in caught.value.advice
    assert caught.value.message.endswith("; the command itself ended with 4")


def test_a_line_of_another_form_among_the_notes_is_ignored(traced):
    with pytest.raises(NothingSeenError, match="No space"):
        traced(notes=[(PID, 0, "problem", "No space\nrubbish")])


def test_the_command_itself_being_blind_is_an_error_but_a_blind_child_is_not(traced):
    with pytest.raises(BlindError, match="nothing was run"):
        traced(notes=[(PID, 0, "blind", "/p")])
    trace = traced(records=[("a", record())], notes=[(PID + 1, 0, "blind", "/child")])
    assert trace.untraced[0].reason == "its calls cannot be intercepted"


def test_the_folder_is_removed_when_the_command_cannot_be_started(monkeypatch, tmp_path):
    def fails(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(process, "run_attached", fails)
    monkeypatch.setattr(preload, "_MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 40))
    with pytest.raises(PermissionError):
        trace_preloaded(["sh"], library=LIBRARY, env={"PATH": os.environ["PATH"]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free", "in_memory"), [(4 * 4096, True), (4 * 4096 - 1, False)])
def test_the_memory_file_system_is_used_if_four_records_fit(monkeypatch, tmp_path, free, in_memory):
    monkeypatch.setattr(preload, "_MEMORY", tmp_path / "shm")
    (tmp_path / "shm").mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    folder = make_spool_folder(4096)
    try:
        assert (folder.parent == tmp_path / "shm") is in_memory
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        folder.rmdir()


def test_return_addresses_become_sites_of_the_object_that_contains_them():
    objects = (SpoolObject(0x1000, 0x1100, 0x1200, "/nonexistent/a.so"),)
    events = (
        Event(1, 2, 3, 0x1150, 0, 0, 1, 1),
        Event(4, 5, 6, 0x9999, 0, 0, 1, 1),
        Event(7, 8, 9, 0x1150, 0, 0, 1, 1),
        Event(0, 8, 9, 0, 0, 1, 0, 3),
    )
    made = finish(Spool(record=samples.record(), objects=objects, nodes=samples.NODES, events=events))
    assert made.sites == (
        Site(library="", offset=0),
        Site(library="/nonexistent/a.so", offset=0x150),
        Site(library="", offset=0x9999),
    )
    assert [event.site for event in made.events] == [1, 2, 1, 0]


def test_a_recording_that_cannot_be_read_names_its_process(traced):
    damaged = record()[:4000]
    trace = traced(records=[("77-1", record()), ("80-2", b"unfinished"), ("81-3", bytes(9000)), ("82-4", damaged)])
    assert len(trace.processes) == 1
    reason = "its recording cannot be read"
    assert [(one.pid, one.reason, one.program) for one in trace.untraced] == [
        (80, reason, "it is damaged"),
        (82, reason, "it is damaged"),
    ]
    assert f"process 80 was not traced ({reason}): it is damaged" in caveats(trace)


def test_if_no_recording_can_be_read_that_is_the_error(traced):
    with pytest.raises(NothingSeenError, match="what process 80 recorded cannot be read: it is damaged"):
        traced(records=[("80-2", b"unfinished")], notes=[(80, 0, "traced", "/bin/python")])
