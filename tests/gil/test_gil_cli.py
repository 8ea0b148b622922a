import errno
import json
import sys

import gil_samples as samples
import pytest

from python_tsan.cli import gil as verb
from python_tsan.cli.main import main
from python_tsan.gil.codec import decode, encode
from python_tsan.gil.debugger import DebuggerEngine
from python_tsan.gil.engine import NothingSeenError
from python_tsan.gil.preload import PreloadEngine


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "saved.trace"
    path.write_bytes(b"".join(encode(samples.trace())))
    return path


@pytest.fixture
def recorded(monkeypatch):
    """Replace every engine, and return the list of their calls."""
    calls = []

    def trace(engine, command, *, settings, **_):
        calls.append((engine.name, command, settings.memory))
        return samples.trace(command=tuple(command), exit_code=0 if engine.is_debugger else 3)

    for kind in (PreloadEngine, DebuggerEngine):
        monkeypatch.setattr(kind, "trace", trace)
        monkeypatch.setattr(kind, "is_installed", lambda *_: True)
    return calls


def test_trace_keeps_the_commands_exit_code_and_writes_the_trace(recorded, tmp_path, capsys):
    path = tmp_path / "new.trace"
    with pytest.raises(SystemExit) as caught:
        main(["gil", "trace", "--output", str(path), "--memory", "2", "--", "python", "-c", "1"])
    assert caught.value.code == 3
    assert recorded == [("preload", ["python", "-c", "1"], 2 << 20)]
    assert decode(path.read_bytes()).command == ("python", "-c", "1")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "5 releases in 2 processes" in printed.err
    assert "process 30 was not traced" in printed.err


@pytest.mark.parametrize(("name", "engine"), [("gdb", "gdb"), ("lldb", "lldb"), ("debugger", "lldb")])
def test_a_debugger_is_chosen_by_its_name_or_as_the_first_that_is_installed(
    name, engine, recorded, monkeypatch, tmp_path
):
    monkeypatch.setattr(DebuggerEngine, "is_installed", lambda one, _env: one.name in {name, "lldb"})
    assert main(["gil", "trace", "--engine", name, "--output", str(tmp_path / "new.trace"), "--", "python"]) == 0
    assert [call[:2] for call in recorded] == [(engine, ["python"])]


@pytest.mark.parametrize(("own", "code"), [(4, 4), (0, 6)])
@pytest.mark.usefixtures("recorded")
def test_a_command_of_which_nothing_was_seen(own, code, monkeypatch, tmp_path, capsys):
    def nothing(*_arguments, **_more):
        raise NothingSeenError("no Python was loaded", command_exit=own)

    monkeypatch.setattr(PreloadEngine, "trace", nothing)
    command = ["gil", "trace", "--output", str(tmp_path / "new.trace"), "--", "sh"]
    if own:
        with pytest.raises(SystemExit) as caught:
            main(command)
        assert caught.value.code == code
    else:
        assert main(command) == code
    assert "no Python was loaded" in capsys.readouterr().err
    assert not (tmp_path / "new.trace").exists()


def test_a_full_disk_keeps_the_exit_code_and_what_was_written(recorded, monkeypatch, tmp_path, capsys):
    path = tmp_path / "new.trace"

    def full(trace):
        yield from list(encode(trace))[:3]
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(verb, "encode", full)
    with pytest.raises(SystemExit) as caught:
        main(["gil", "trace", "--output", str(path), "--", "python"])
    assert caught.value.code == 3
    assert recorded
    assert "new.trace is cut short at" in capsys.readouterr().err
    assert decode(path.read_bytes()).truncated
    command = ["gil", "trace", "--engine", "gdb", "--output", str(path), "--", "python"]  # ends with 0
    assert main(command) == 6
    assert "No space left on device" in capsys.readouterr().err
    assert decode(path.read_bytes()).truncated


def test_what_cannot_be_written_is_refused_before_anything_runs(recorded, tmp_path, capsys):
    assert main(["gil", "trace", "--output", str(tmp_path), "--", "python"]) == 2
    assert main(["gil", "trace", "--output", str(tmp_path / "no" / "where"), "--", "python"]) == 2
    assert main(["gil", "trace", "--memory", "0", "--output", str(tmp_path / "x"), "--", "python"]) == 2
    assert recorded == []
    text = capsys.readouterr().err
    assert "is not a regular file" in text
    assert "choose a place that you may write to with --output" in text


def test_summary_prints_the_tables(saved, capsys):
    assert main(["gil", "summary", str(saved)]) == 0
    printed = capsys.readouterr()
    assert "python main.py: 5 releases, engine preload" in printed.out
    for title in ("phase", "module", "C function", "thread"):
        assert f"Releases by {title}" in printed.out
    assert "process 30 was not traced" in printed.err


def test_why_answers_for_one_module(saved, capsys):
    assert main(["gil", "why", "alpha", str(saved), "--frames", "0"]) == 0
    assert capsys.readouterr().out.startswith("import alpha: the GIL was released 3 times (path stat 2, read 1)")
    assert main(["gil", "why", "beta", str(saved)]) == 2
    assert "imports of: alpha" in capsys.readouterr().err


def test_timeline_writes_a_page_or_a_perfetto_file(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page, perfetto = tmp_path / "gil.html", tmp_path / "t.json"
    assert main(["gil", "timeline", str(saved), "--format", "json", "--output", str(perfetto)]) == 0
    assert main(["gil", "timeline", str(saved)]) == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert json.loads(perfetto.read_text())["traceEvents"]
    shown = capsys.readouterr().out
    assert f"{perfetto}: open it at https://ui.perfetto.dev" in shown
    assert f"{page.name}: open it in a browser" in shown
    assert main(["gil", "timeline", str(saved), "--output", "no/where.html"]) == 2


def test_a_missing_trace_says_how_to_make_one(tmp_path, capsys):
    assert main(["gil", "summary", str(tmp_path / "none")]) == 2
    assert "python-tsan gil trace -- COMMAND" in capsys.readouterr().err


def test_a_file_that_is_no_trace_is_named(capsys):
    assert main(["gil", "summary", sys.executable]) == 2
    assert "this is not a GIL trace" in capsys.readouterr().err


def test_compare_shows_whether_two_traces_agree(saved, tmp_path, capsys):
    assert main(["gil", "compare", str(saved), str(saved)]) == 0
    assert "call site and" in capsys.readouterr().out
    shorter = tmp_path / "shorter.trace"
    shorter.write_bytes(b"".join(encode(samples.trace(processes=(samples.process(events=samples.EVENTS[:1]),)))))
    assert main(["gil", "compare", str(saved), str(shorter)]) == 1
    assert "differs at release 2: " in capsys.readouterr().err
    empty = tmp_path / "empty.trace"
    empty.write_bytes(b"".join(encode(samples.trace(processes=()))))
    assert main(["gil", "compare", str(saved), str(empty)]) == 2
