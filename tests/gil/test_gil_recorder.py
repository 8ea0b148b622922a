"""What the debuggers' engines write, with a debugger that is a table of symbols and memory."""

import json
import sys
from itertools import chain, repeat
from pathlib import Path

import pytest

from python_tsan.gil import debugger
from python_tsan.gil.inside.watched import OUT

INSIDE = Path(debugger.__file__).parent / "inside"
VERSION_AT, RUNTIME_AT = 0x1000, 0x2000
PLACE, OUTER = ("/lib/libpython.so", 0x10), ("/lib/module.so", 0x20)


@pytest.fixture
def modules(monkeypatch):
    """Import the modules as a debugger's Python does: by their own names, from their folder."""
    monkeypatch.setattr(sys, "path", [str(INSIDE), *sys.path])
    names = ("frames", "watched", "recorder")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import recorder  # noqa: PLC0415 -- it is on the path only now

    yield recorder
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def record(modules, monkeypatch, tmp_path):
    """Return a recorder of a Python of the given version, and a function that reads its lines."""
    monkeypatch.setenv(OUT, str(tmp_path / "lines"))
    made = []

    def make(version=0x030D05F0, symbols=("Py_Version", "_PyRuntime")):
        addresses = {"Py_Version": VERSION_AT, "_PyRuntime": RUNTIME_AT}
        memory = {VERSION_AT: version.to_bytes(8, "little")}
        recorder = modules.Recorder(
            address=lambda name: addresses[name] if name in symbols else 0,
            read=lambda address, size: memory.get(address, bytes(size))[:size].ljust(size, b"\0"),
        )
        made.append(recorder)
        return recorder, lambda: [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]

    yield make
    for recorder in made:
        recorder.lines._file.close()


def callers(*names):
    return chain(((name, place) for name, place in zip(names, (PLACE, OUTER), strict=False)), repeat((None, ("", 0))))


def test_a_release_and_an_acquisition_are_lines_with_the_callers_address(record):
    recorder, lines = record()
    recorder.call("PyEval_SaveThread", 0, 7, callers("posix_do_stat"))
    recorder.call("PyEval_RestoreThread", 0, 7, callers("posix_do_stat"))
    (release, acquire) = lines()
    assert [release[0], *release[2:]] == ["release", 7, 1, *PLACE, []]
    assert [acquire[0], *acquire[2:]] == ["acquire", 7, 1, *PLACE, []]
    assert release[1] <= acquire[1], "the times are monotonic"


@pytest.mark.parametrize("wrapper", ["PyGILState_Release", "PyGILState_Ensure"])
def test_inside_a_wrapper_the_wrappers_caller_counts(record, wrapper):
    recorder, lines = record()
    recorder.call("PyEval_SaveThread", 0, 7, callers(wrapper, "user_code"))
    (line,) = lines()
    assert line[3:6] == [3, *OUTER]


def test_a_call_without_effect_is_no_line(record):
    recorder, lines = record()
    recorder.call("PyGILState_Release", 0, 7, callers("user_code"))
    assert lines() == []
    recorder.call("PyGILState_Release", 1, 7, callers("user_code"))
    assert lines()[0][0] == "release"


def test_a_swap_depends_on_the_version(record):
    recorder, lines = record(version=0x030B0000)
    recorder.call("PyThreadState_Swap", 0, 7, callers("user_code"))
    assert lines() == []
    recorder, lines = record(version=0x030C0000)
    recorder.call("PyThreadState_Swap", 1, 7, callers("user_code"))
    assert lines()[0][0] == "swap"


def test_the_end_has_version_and_exit_code(record):
    recorder, lines = record()
    recorder.call("PyEval_SaveThread", 0, 7, callers("f"))
    recorder.end(3)
    assert lines()[1:] == [["python", 0x030D05F0], ["exit", 3]]


def test_a_signal_is_an_exit_code_as_in_a_shell(record):
    recorder, lines = record()
    recorder.end(None, 15)
    assert lines() == [["python", 0], ["exit", 143]]


def test_before_311_the_version_is_unknown(record):
    recorder, lines = record(symbols=())
    recorder.call("PyEval_SaveThread", 0, 7, callers("f"))
    recorder.end(0)
    assert lines()[1] == ["python", 0]


def test_nothing_is_read_before_the_first_call(modules, monkeypatch, tmp_path):
    monkeypatch.setenv(OUT, str(tmp_path / "lines"))

    def unreadable(*_):
        raise AssertionError("the interpreter is not loaded yet")

    recorder = modules.Recorder(address=unreadable, read=unreadable)
    recorder.end(0)
    recorder.lines._file.close()
