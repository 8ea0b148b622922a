"""The verb ``imports`` from its command line: what it prints, and its exit code."""

import json
import stat
import sys

import pytest

from python_tsan.cli.import_verbs import program_of
from python_tsan.cli.main import main
from python_tsan.imports.model import interpreter
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.plain_text import one_line

BY_NAME = "from importlib import import_module\n\nOTHER = import_module({!r})\n"
BEFORE_3_15 = pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 has no hazard here")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    files = {
        "a.py": BY_NAME.format("b"),
        "b.py": BY_NAME.format("a"),
        "good.py": "GOOD = 1\n",
        "fine.py": "import good\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imports(verb, *arguments):
    return main(["imports", verb, *arguments, "--python", sys.executable, "--path", "."])


def bad(folder, text):
    (folder / "bad.py").write_text(text)


@BEFORE_3_15
def test_hazards_are_findings_and_their_absence_is_clean(capsys):
    assert imports("scan", "a", "b") == 1
    assert "2 hazards between 2 entries" in capsys.readouterr().out
    assert imports("scan", "good", "fine") == 0
    assert "0 hazards between 2 entries" in capsys.readouterr().out


@BEFORE_3_15
def test_confirm_answers_in_json_with_the_proof(capsys):
    assert imports("confirm", "a", "b", "--repeat", "1", "--format", "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["proof"]["answer"] for each in told["hazards"]] == ["confirmed", "confirmed"]
    assert "_DeadlockError" in told["hazards"][0]["proof"]["error"]
    assert told["hazards"][0]["proof"]["where"].endswith("a.py:3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "bad: ModuleNotFoundError: No module named 'bad'"),
        ("import nothing_of_that_name\n", "bad: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("import sys\nsys.exit(3)\n", "bad: SystemExit: 3"),
        ("raise ValueError('x' * 5_000_000)\n", "bad: ValueError: xxx"),
        ("def broken(:\n", "bad: SyntaxError"),
        ("import os\nos.abort()\n", "ended without a result (SIGABRT)"),
        ("import os, sys\nsys.stderr.write('y' * 3_000_000 + '\\n')\nos._exit(9)\n", "without a result (exit 9): yyy"),
    ],
)
def test_an_entry_that_cannot_be_imported_is_one_line_and_the_others_are_scanned(text, words, folder, capsys):
    if text is not None:
        bad(folder, text)
    assert imports("scan", "bad", "good", "fine") == 6
    told = capsys.readouterr()
    assert words in told.err
    assert max(map(len, told.err.splitlines())) < 400
    assert not told.err.rstrip().endswith(":")
    assert len(told.err.splitlines()) == 1
    assert "0 hazards" in told.out


@pytest.mark.parametrize("name", ["good.GOOD", "os.path.join"])
def test_a_name_inside_a_module_is_no_module(name, capsys):
    assert imports("scan", name) == 6
    assert "ModuleNotFoundError" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a-b", "./good", ".good", "good.", "a b"])
def test_what_no_module_can_be_called_is_not_even_tried(name, capsys, monkeypatch):
    monkeypatch.setattr(Probe, "trace", lambda *_: pytest.fail("a process was started"))
    assert imports("scan", name) == 6
    assert f"{name}: is not the name of a module" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        *(("--path", "nothing here"), ("--path", "good.py")),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_work(options, capsys, monkeypatch):
    monkeypatch.setattr(Probe, "trace", lambda *_: pytest.fail("a process was started"))
    assert imports("scan", "good", *options) == 2
    assert options[0] in capsys.readouterr().err


@pytest.mark.parametrize("name", ["os", "json"])
def test_what_is_there_before_the_watching_begins_is_no_entry(name, capsys):
    assert imports("scan", name, "good") == 6
    assert f"{name}: is imported before the trace begins" in capsys.readouterr().err


def test_an_entry_that_hangs_is_ended_and_the_others_are_scanned(folder, capsys):
    bad(folder, "import time\ntime.sleep(60)\n")
    assert imports("scan", "bad", "good", "--timeout", "1") == 6
    told = capsys.readouterr()
    assert "bad: the trace of bad did not end within 1 s" in told.err
    assert "in 1 entry" in told.out


def test_an_entry_that_prints_megabytes_or_starts_threads_does_no_harm(folder, capsys):
    bad(
        folder,
        "import threading, time\nprint('x' * 3_000_000)\nthreading.Thread(target=time.sleep, args=(60,)).start()\n",
    )
    assert imports("scan", "bad", "good") == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert len(told.out.splitlines()) == 1


@BEFORE_3_15
def test_hazards_count_more_than_an_entry_that_cannot_be_imported(capsys):
    assert imports("scan", "missing", "a", "b", "--format", "json") == 1
    told = capsys.readouterr()
    assert list(json.loads(told.out)["problems"]) == ["missing"]
    assert told.err == ""


def test_a_release_candidate_is_not_taken_for_its_release(tmp_path):
    fake = tmp_path / "python"
    fake.write_text("""#!/bin/sh\necho '[[3, 15, 0], "3.15.0rc1+", "cpython", false, false]'\n""")
    fake.chmod(0o755)
    python = identify([str(fake)])
    assert (python.version, python.text) == ((3, 15, -1), "3.15.0rc1+")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo hello", "does not answer as a Python does (exit 0)"),
        ("exit 3", "does not answer as a Python does (exit 3)"),
        ("kill -SEGV $$", "does not answer as a Python does (SIGSEGV)"),
        ("sleep 60", "did not answer within 2 s"),
        ("""echo '[[3, 8, 18], "3.8.18", "cpython", false, false]'""", "is Python 3.8.18, which is too old"),
        ("""echo '[[3, 10, 1], "3.10.1", "pypy", false, false]'""", "is pypy"),
        ("echo 1", "does not answer as a Python does"),
    ],
)
def test_an_unusable_interpreter_is_reported(script, words, folder, capsys, monkeypatch):
    monkeypatch.setattr(interpreter, "PROCESS_SECONDS", 2.0)
    other = folder / "other"
    other.write_text(f"#!/bin/sh\n{script}\n")
    other.chmod(other.stat().st_mode | stat.S_IXUSR)
    assert main(["imports", "scan", "good", "--python", str(other)]) == 6
    assert words in capsys.readouterr().err


def test_a_missing_interpreter_is_reported(capsys):
    assert main(["imports", "scan", "good", "--python", "./no-such-python"]) == 6
    assert "cannot be started: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--repeat", "0"), ("--repeat", "-2"), ("--limit", "-3"), *(("--timeout", text) for text in ("0", "nan", "inf"))],
)
def test_numbers_are_positive(option, value, capsys):
    assert imports("scan", "good", option, value) == 2
    assert f"argument {option}: must be a positive" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "program"),
    [
        ("3.13", "python3.13"),
        ("3.14t", "python3.14t"),
        ("python3", "python3"),
        ("./3.13", "./3.13"),
        ("3.13.5", "3.13.5"),
    ],
)
def test_a_version_is_the_program_of_that_name(given, program):
    assert program_of(given) == program


@BEFORE_3_15
def test_a_list_is_written_checked_and_found_stale(folder, capsys):
    assert imports("preimport", "a", "b", "--repeat", "1", "--output", "pre.py") == 0
    assert 'import_module("a")' in (folder / "pre.py").read_text()
    assert imports("preimport", "a", "b", "--repeat", "1", "--check", "pre.py") == 0
    assert imports("preimport", "a", "b", "--repeat", "1", "--format", "cpp", "--check", "pre.py") == 1
    assert "pre.py is stale; it should import a" in capsys.readouterr().err
    assert imports("preimport", "a", "b", "--repeat", "1", "--check", "none.py") == 1
    assert "none.py does not exist; it should import a" in capsys.readouterr().err
    assert imports("preimport", "good", "fine", "--format", "cpp") == 0
    assert "std::array<const char*, 0>" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["missing/pre.py", ".", "good.py/pre.py"])
@pytest.mark.parametrize("verb", ["preimport", "scan"])
def test_a_place_that_cannot_be_written_is_reported(target, verb, folder, capsys):
    before = sorted(folder.iterdir())
    assert imports(verb, "good", "--output", target) == 2
    told = capsys.readouterr().err
    assert "choose a place that you may write to with --output" in told
    assert target.partition("/")[0] in told
    assert "Traceback" not in told
    assert sorted(folder.iterdir()) == before


def test_an_odd_name_of_a_file_is_only_a_name(folder):
    assert imports("preimport", "good", "--output", "a b\n'\N{SNOWMAN}.py") == 0
    assert imports("preimport", "good", "--check", "a b\n'\N{SNOWMAN}.py") == 0
    assert len([path for path in folder.iterdir() if path.name.startswith("a b")]) == 1


def test_what_cannot_be_read_is_reported_before_any_work(capsys, monkeypatch):
    monkeypatch.setattr(Probe, "trace", lambda *_: pytest.fail("a process was started"))
    assert imports("preimport", "good", "--check", ".") == 6
    assert "cannot read .: Is a directory" in capsys.readouterr().err
    assert imports("preimport", "good", "--check", "x", "--output", "y") == 2


def test_a_scan_is_written_shown_again_and_changed_into_every_form(folder, capsys):
    assert imports("scan", "good", "missing", "--format", "json", "--output", "scan.json") == 6
    told = capsys.readouterr()
    assert told.out == f"Python {sys.version.split()[0]}: 0 hazards in 1 entry, 1 module; 1 entry not scanned\n"
    assert "missing: ModuleNotFoundError" in told.err
    assert told.err.count("No module named 'missing'; --python and --path choose where modules are searched") == 1
    assert main(["imports", "show", "scan.json", "--format", "html", "--output", "scan.html"]) == 6
    assert "--python" not in capsys.readouterr().err
    assert "ModuleNotFoundError" in (folder / "scan.html").read_text()
    assert main(["imports", "show", "scan.json", "--format", "markdown"]) == 6
    assert "| <code>missing</code> |" in capsys.readouterr().out
    assert main(["imports", "show", "none.json"]) == 2
    assert "name the output of `scan --format json`" in capsys.readouterr().err
    assert main(["imports", "show", "a.py"]) == 6
    assert "a.py is damaged or not a scan of imports" in capsys.readouterr().err


def watch(*arguments):
    return main(["imports", "watch", *arguments])


def test_a_watched_command_is_clean_failing_unwatched_or_at_fault(folder, capfd):
    assert watch("--", sys.executable, "-c", "import good") == 0
    assert watch("--", sys.executable, "-c", "raise SystemExit(4)") == 6
    assert "exit code 4" in capfd.readouterr().err
    assert watch("--", sys.executable, "-I", "-c", "") == 6
    assert "no Python process was watched" in capfd.readouterr().err
    bad(
        folder,
        "import threading\nt = threading.Thread(target=lambda: __import__('bad'), daemon=True)\nt.start()\nt.join(1)\n",
    )
    assert watch("--timeout", "0.2", "--", sys.executable, "-c", "import bad") == 1
    assert "stood still" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("--",)])
def test_watch_needs_a_command(arguments, capsys):
    assert watch(*arguments) == 2
    assert "error: there is no command to run" in capsys.readouterr().err


def test_the_time_of_watch_is_positive():
    assert watch("--timeout", "0", "--", "true") == 2


def test_a_line_is_as_long_as_a_person_reads():
    assert one_line("a\n\n  b") == "a b"
    assert one_line("x" * 10_000) == "x" * 300 + "..."


def test_a_package_that_fails_takes_none_of_its_neighbours_along(folder, capsys):
    (folder / "pack").mkdir()
    files = {"__init__": "", "fine": "", "dies": "import os\nos._exit(7)\n", "hangs": "import time\ntime.sleep(60)\n"}
    for name, text in files.items():
        (folder / "pack" / f"{name}.py").write_text(text)
    assert imports("scan", "pack.dies", "pack.fine", "pack.hangs", "pack", "good", "--timeout", "1") == 6
    told = capsys.readouterr()
    assert [line.split(": ")[1] for line in told.err.splitlines()] == ["pack.dies", "pack.hangs"]
    assert "exit 7" in told.err
    assert "the trace of pack.hangs did not end within 1 s" in told.err
    assert "3 modules" in told.out


def test_a_package_that_hangs_is_waited_for_once(folder, capsys, monkeypatch):
    (folder / "stuck").mkdir()
    (folder / "stuck" / "__init__.py").write_text("import time\ntime.sleep(60)\n")
    traced = []
    trace = Probe.trace
    monkeypatch.setattr(Probe, "trace", lambda *given, **named: (traced.append(given[1]), trace(*given, **named))[1])
    assert imports("scan", "stuck.a", "stuck.b", "stuck.c", "--timeout", "1") == 6
    assert capsys.readouterr().err.count("the trace of stuck did not end within 1 s") == 3
    assert len(traced) == 1
