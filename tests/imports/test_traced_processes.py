"""What a probe makes of the lines, the end and the errors of the process that it started."""

import sys
from pathlib import Path

import pytest

from python_tsan.errors import SubjectError
from python_tsan.imports.model import probe as module
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe, TraceEndedError

HERE = identify([sys.executable])


def test_a_last_line_that_was_cut_off_is_left_out():
    assert module._read_lines('{"finished": "a"}\n{"finis') == [{"finished": "a"}]
    assert module._read_lines("") == []


def test_the_environment_puts_the_probe_first_and_writes_no_bytecode_among_the_modules():
    environment = Probe(python=HERE, path=(Path("/one"),))._environment({"PYTHONPATH": "/theirs", "HOME": "/home"})
    assert environment["PYTHONPATH"].split(":") == [str(module.CASES), "/one", "/theirs"]
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["HOME"] == "/home"


def test_bytecode_goes_to_its_folder_even_if_the_user_writes_none():
    probe = Probe(python=HERE, bytecode=Path("/cache"))
    environment = probe._environment({"PYTHONDONTWRITEBYTECODE": "1"})
    assert environment["PYTHONPYCACHEPREFIX"] == "/cache"
    assert "PYTHONDONTWRITEBYTECODE" not in environment


def test_the_import_that_ends_the_process_is_named_with_its_last_words(tmp_path):
    (tmp_path / "good.py").write_text("")
    (tmp_path / "ends.py").write_text("import os, sys\nprint('first', file=sys.stderr)\n"
                                      "print('last words', file=sys.stderr, flush=True)\nos._exit(3)\n")  # fmt: skip
    with pytest.raises(TraceEndedError) as ended:
        Probe(python=HERE, path=(tmp_path,)).trace(["good", "ends"])
    assert ended.value.entry == "ends"
    assert ended.value.message == "the trace of ends ended without a result (exit 3): last words"


def test_a_command_without_an_answer_is_an_error():
    with pytest.raises(SubjectError, match=r"^the question ended without a result "):
        Probe(python=HERE).ask(["no-such-command"], what="the question", deadline=30)
