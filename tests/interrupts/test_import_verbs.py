"""The import verbs as typed, interrupted half-way: what had finished is shown, and no whole result is replaced."""

import json
import signal
import sys

import pytest

from python_tsan.imports.model.interpreter import identify
from python_tsan.plain_text import counted
from python_tsan.storage import unfinished_file
from tools.import_atlas.cell import Cell, load_cell, save_cell

BY_NAME = "from importlib import import_module\n\nOTHER = import_module({!r})\n"
BEFORE_3_15 = pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 has no hazard here")
SLOW = "from pathlib import Path\nPath({!r}).touch()\nimport time\ntime.sleep(60)\n"
both = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def verb(tmp_path, monkeypatch):
    """Return the words of a verb of imports that finds its modules, and keeps what it keeps, in this folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_TSAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.py").write_text(BY_NAME.format("b"))
    (tmp_path / "b.py").write_text(BY_NAME.format("a"))
    (tmp_path / "slow.py").write_text(SLOW.format(str(tmp_path / "slow-began")))
    return lambda name, *words: [sys.executable, "-m", "python_tsan", "imports", name, *words]


def here(*words):
    return (*words, "--path", ".", "--python", sys.executable)


@BEFORE_3_15
@both
def test_a_scan_predicts_from_what_was_traced(verb, interrupt, tmp_path, number):
    command = verb("scan", *here("a", "b", "slow"), "--format", "json", "--no-calls", "--confirm")
    ended = interrupt(command, when=lambda *_: (tmp_path / "slow-began").exists(), number=number)
    assert (ended.code, ended.orphans) == (130, [])
    told = json.loads(ended.out)
    assert told["unfinished"] == "2 of 3 entries had been traced"
    assert told["problems"] == {"slow": "had not been traced when the scan was interrupted"}
    assert told["standing"] == len(told["hazards"]) == 2
    assert {each["proof"] for each in told["hazards"]} == {None}
    assert ended.err.startswith("python-tsan: interrupted: 2 of 3 entries had been traced\n")
    assert "Traceback" not in ended.err


@BEFORE_3_15
def test_a_scan_keeps_the_proofs_that_it_has_next_to_the_whole_scan_of_before(verb, interrupt, tmp_path):
    # What nobody can confirm: the import of "stuck" ends when it is traced, and hangs when threads are driven into it.
    began = tmp_path / "stuck-began"
    (tmp_path / "stuck.py").write_text(
        "import sys, threading\nfrom pathlib import Path\n"
        f"if threading.current_thread() is not threading.main_thread():\n    Path({str(began)!r}).touch()\n"
        f"    import time\n    time.sleep(60)\n{BY_NAME.format('tight')}"
    )
    (tmp_path / "tight.py").write_text(BY_NAME.format("stuck"))
    whole = tmp_path / "scan.json"
    whole.write_text("{}")
    words = here("a", "b", "stuck", "tight", "--confirm", "--repeat", "1", "--format", "json", "--output", str(whole))
    ended = interrupt(verb("scan", *words, "--no-calls", "--timeout", "60"), when=lambda *_: began.exists())
    assert (ended.code, ended.orphans) == (130, [])
    told = json.loads(unfinished_file(whole).read_text())
    done = sum(each["proof"] is not None for each in told["hazards"])
    assert told["unfinished"] == f"{done} of {counted(len(told['hazards']), 'hazard')} tried"
    assert len(told["hazards"]) == 4
    assert done < 4
    assert whole.read_text() == "{}"
    assert f"  evidence:   {unfinished_file(whole)}\n" in ended.err


@both
@pytest.mark.usefixtures("verb")
def test_a_table_writes_what_it_has_next_to_the_whole_page(interrupt, tmp_path, number):
    page = tmp_path / "page.md"
    page.write_text("whole")
    part = unfinished_file(page)
    # A row that hangs takes two seconds, so that the table is under way a second after it began.
    command = [sys.executable, "-m", "tools.import_table", "--output", str(page)]
    ended = interrupt(command, when=lambda _, err: "on 3." in err, number=number, pause=1.0)
    assert (ended.code, ended.orphans) == (130, [])
    assert page.read_text() == "whole"
    assert "**This page is not whole.** Interrupted when " in part.read_text()
    assert f"  evidence:   {part}\n" in ended.err


@both
@pytest.mark.usefixtures("verb")
def test_an_atlas_keeps_every_survey_that_had_ended(interrupt, tmp_path, number):
    python = identify([sys.executable])
    folder = tmp_path / "cache" / "atlas"
    save_cell(folder, Cell(package="kept", python=python.text, date="2026-01-01", version="1.0"))
    # Debian's and PyPI's archives are not asked: this package is no name that there could be.
    words = ("kept", "slow", "--python", sys.executable, "--surveys", "2")
    command = [sys.executable, "-m", "tools.import_atlas", *words]
    env = {"UV_INDEX_URL": "http://127.0.0.1:9/simple", "UV_HTTP_TIMEOUT": "60", "UV_HTTP_RETRIES": "1000"}
    ended = interrupt(command, when=lambda _, err: "(kept)" in err, number=number, env=env)
    assert (ended.code, ended.orphans) == (130, [])
    assert load_cell(folder, "kept", python.text).version == "1.0"
    assert ended.err.endswith(
        "python-tsan: interrupted: 1 of 2 surveys finished\n"
        f"  evidence:   {folder}\n  to go on:   the same command; --kept shows what there is\n"
    )
