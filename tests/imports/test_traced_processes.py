"""What a probe makes of the lines, the end and the errors of the process that it started."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from lazy_python import LAZY

from python_tsan.errors import SubjectError
from python_tsan.imports.model import probe as module
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe, TraceEndedError
from python_tsan.imports.model.tracing import trace_entries

HERE = identify([sys.executable])
SHOWS_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


def answering(text):
    """Return an interpreter that runs this text in place of the probe's own module."""
    return replace(HERE, command=(sys.executable, "-c", text))


@pytest.fixture
def environment(monkeypatch):
    """Return what gives the environment of a probe's process, for the user's own variables."""

    def of(probe, **ours):
        for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"):
            monkeypatch.delenv(name, raising=False)
        for name, value in ours.items():
            monkeypatch.setenv(name, value)
        return replace(probe, python=answering(SHOWS_ENVIRONMENT)).ask([], what="it", deadline=30.0)

    return of


def test_a_last_line_that_was_cut_off_is_left_out():
    cut = Probe(python=answering("""print('{"finished": "a"}\\n{"finis', end='')"""))
    assert cut.lines([], what="it", deadline=30.0) == [{"finished": "a"}]
    with pytest.raises(SubjectError, match=r"it ended without a result \(exit 0\)"):
        Probe(python=answering("")).lines([], what="it", deadline=30.0)


@pytest.mark.parametrize("line", ['{"finis', "5", "null", "[]", "", "\\udcff"])
def test_a_damaged_line_among_whole_ones_is_a_doubt(line):
    text = ascii(f'{{"finished": "a"}}\n{line}\n{{"modules": {{}}}}\n')
    damaged = Probe(python=answering(f"print({text}, end='')"))
    message = "line 2 of the result is damaged; a module may have written into it"
    with pytest.raises(SubjectError, match=f"^it: {message}"):
        damaged.lines([], what="it", deadline=30.0)
    with pytest.raises(TraceEndedError, match=message):
        damaged.trace(["a"])


def test_a_module_that_writes_into_the_result_is_a_problem_of_its_entry(tmp_path):
    # Each source that is compiled before is a line of its own.
    text = "import os\nfor each in range(3, 20):\n    try:\n        os.write(each, b'7\\n')\n    except OSError: pass\n"
    (tmp_path / "noisy.py").write_text(text)
    traced = trace_entries(Probe(python=HERE, path=(tmp_path,)), ["noisy"], jobs=1)
    assert traced.problems == {"noisy": "line 2 of the result is damaged; a module may have written into it"}


def test_the_environment_puts_the_probe_first_and_writes_no_bytecode_among_the_modules(environment):
    found = environment(Probe(python=HERE, path=(Path("/one"),)), PYTHONPATH="/theirs", OTHER="kept")
    assert found["PYTHONPATH"].split(":") == [str(module.CASES), "/one", "/theirs"]
    assert found["PYTHONDONTWRITEBYTECODE"] == "1"
    assert found["OTHER"] == "kept"


def test_bytecode_goes_to_its_folder_even_if_the_user_writes_none(environment):
    found = environment(Probe(python=HERE, bytecode=Path("/cache")), PYTHONDONTWRITEBYTECODE="1")
    assert found["PYTHONPYCACHEPREFIX"] == "/cache"
    assert "PYTHONDONTWRITEBYTECODE" not in found


def test_the_import_that_ends_the_process_is_named_with_its_last_words(tmp_path):
    (tmp_path / "good.py").write_text("")
    (tmp_path / "ends.py").write_text("import os, sys\nprint('first', file=sys.stderr)\n"
                                      "print('last words', file=sys.stderr, flush=True)\nos._exit(3)\n")  # fmt: skip
    with pytest.raises(TraceEndedError) as ended:
        Probe(python=HERE, path=(tmp_path,)).trace(["good", "ends"])
    assert ended.value.entry == "ends"
    assert ended.value.message == "the trace of ends ended without a result (exit 3): last words"


JOINS = """\
import threading

thread = threading.Thread(target=__import__, args=({0!r},), daemon=True)
thread.start()
thread.join()
"""
# The queue's own thread pickles the function by name, and so imports its package.
FEEDS = """\
import multiprocessing

from p.work import double

queue = multiprocessing.Queue()
queue.put(double)
queue.get()
"""


@pytest.mark.parametrize(
    ("files", "entry", "place"),
    [
        ({"own.py": JOINS.format("own")}, "own", "own.py:5"),
        ({"p/__init__.py": FEEDS, "p/work.py": "def double(x): return x\n"}, "p", "p/__init__.py:7"),
    ],
)
def test_a_body_that_waits_for_a_thread_that_waits_for_it_is_reported_at_once(files, entry, place, tmp_path):
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    with pytest.raises(TraceEndedError) as ended:
        Probe(python=HERE, path=(tmp_path,), patience=600).trace([entry])
    assert ended.value.entry == entry
    assert ended.value.message == (
        f"its import hangs: the body at {tmp_path / place} waits for a thread that waits for {entry}, "
        "which the body holds"
    )


def test_a_body_that_joins_a_thread_which_imports_another_module_is_traced(tmp_path):
    (tmp_path / "own.py").write_text(JOINS.format("other"))
    (tmp_path / "other.py").write_text("import time\ntime.sleep(0.1)\n")
    assert "own" in Probe(python=HERE, path=(tmp_path,)).trace(["own"])["modules"]


def test_what_c_code_imports_by_a_dotted_name_is_whole(tmp_path):
    """On 3.15 the trace shortens the name of a lazy import that is used, and PyImport_Import looks much like that."""
    (tmp_path / "m.py").write_text("import pickle\npickle.loads(b'cxml.dom.minidom\\nNode\\n.')\n")
    for python in (HERE, *filter(None, [LAZY])):
        assert Probe(python=python, path=(tmp_path,)).trace(["m"])["errors"] == {}


def test_a_command_without_an_answer_is_an_error():
    with pytest.raises(SubjectError, match=r"^the question ended without a result "):
        Probe(python=HERE).ask(["no-such-command"], what="the question", deadline=30)
