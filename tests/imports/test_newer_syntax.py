"""Source is read by the Python that imports it: syntax that this Python does not know hides nothing."""

import json
import os
import py_compile
import sys

import pytest

from python_tsan.cli.main import main
from python_tsan.imports.confirm import Answer
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.preimport import plan
from python_tsan.imports.scan import scan
from tools.pythons import pythons_at_hand

# A type statement is from 3.12 on.
IN_FUNCTIONS = "type T = int\n\ndef f():\n    import {}\n"
BY_NAME = "type T = int\nfrom importlib import import_module\nX = import_module({!r})\n"
NEWER = [python for python in pythons_at_hand() if (3, 12) <= python.version < (3, 15)]
newer = pytest.mark.parametrize("python", NEWER, ids=[python.text for python in NEWER])


def probe_of(python, folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Probe(python=python, path=(folder,))


@newer
def test_names_that_are_not_bound_yet_are_seen(python, tmp_path):
    files = {
        "a.py": "type T = int\nimport b\nVALUE = 1\n",
        "b.py": "type T = int\nimport a\n\n\ndef f():\n    return a.VALUE\n",
        "c.py": "type T = int\nimport b\nX = b.f()\n",
    }
    found = scan(probe_of(python, tmp_path, files), ["a", "c"], runs=1)
    assert found.problems == {}
    (partial,) = (each for each in found.findings if each.hazard.outcome is ImportOutcome.PARTIAL)
    assert partial.proof.answer is Answer.CONFIRMED
    assert partial.proof.error.startswith("AttributeError: partially initialized module 'a' ")


@newer
def test_calls_are_found_and_their_hazards_are_confirmed_and_removed(python, tmp_path):
    files = {
        "p/__init__.py": IN_FUNCTIONS.format("p.b") + "\n\ndef g():\n    import p.c\n",
        "p/b.py": BY_NAME.format("p.c"),
        "p/c.py": BY_NAME.format("p.b"),
    }
    probe = probe_of(python, tmp_path, files)
    found = scan(probe, ["p"], runs=1, calls=True)
    assert found.calls == ("p:f", "p:g")
    assert {finding.proof.answer.value for finding in found.findings} == {"confirmed"}
    assert plan(probe, ["p"], runs=1).modules != ()


def run_scan(capsys, folder, *words):
    code = main(["imports", "scan", *words, "--python", sys.executable, "--path", str(folder), "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("broken", ["def f(:\n", "if True:\nX = 1\n"])
def test_a_module_with_a_syntax_error_that_only_a_function_imports_is_a_doubt(broken, tmp_path, capsys):
    probe_of(None, tmp_path, {"p/__init__.py": "def f():\n    from p import broken\n", "p/broken.py": broken})
    code, document = run_scan(capsys, tmp_path, "p")
    assert code == 6
    assert list(document["problems"]) == document["unread"] == ["p.broken"]
    assert "Error: " in document["problems"]["p.broken"]


def test_an_entry_with_a_syntax_error_is_a_doubt(tmp_path, capsys):
    probe_of(None, tmp_path, {"good.py": "", "broken.py": "def f(:\n"})
    code, document = run_scan(capsys, tmp_path, "good", "broken")
    assert code == 6
    assert document["problems"]["broken"].startswith("SyntaxError: ")
    assert document["unread"] == []


def test_a_name_that_is_no_module_and_a_missing_dependency_are_no_doubt(tmp_path, capsys):
    text = "def f():\n    import no_such_dependency\n    from p.q import VALUE\n"
    probe_of(None, tmp_path, {"p/__init__.py": text, "p/q.py": "VALUE = 1\n"})
    code, document = run_scan(capsys, tmp_path, "p")
    assert (code, document["problems"]) == (0, {})


def test_source_that_changes_after_its_import_and_cannot_be_parsed_is_a_doubt(tmp_path, capsys):
    """The bytecode of a module may be there when its source is not valid any more."""
    probe_of(None, tmp_path, {"p/__init__.py": "import p.q\n", "p/q.py": "def f():\n    import json\n"})
    rewrite = f"open({str(tmp_path / 'p' / 'q.py')!r}, 'w').write('def f(:\\n    import json\\n')\n"
    (tmp_path / "p" / "r.py").write_text(rewrite)
    (tmp_path / "p" / "__init__.py").write_text("import p.q\nimport p.r\n")
    code, document = run_scan(capsys, tmp_path, "p")
    assert code == 6
    assert document["problems"]["p.q"].startswith("cannot be parsed: SyntaxError: ")
    assert document["unread"] == ["p.q"]


def test_a_warning_that_the_environment_makes_an_error_hides_no_source(tmp_path, monkeypatch):
    monkeypatch.setitem(os.environ, "PYTHONWARNINGS", "error::SyntaxWarning,error::DeprecationWarning")
    text = "def f():\n    import {}\n    return '\\d'\n"
    files = {"p/__init__.py": "", "p/a.py": text.format("p.b"), "p/b.py": ""}
    probe = probe_of(identify([sys.executable]), tmp_path, files)
    monkeypatch.delitem(os.environ, "PYTHONWARNINGS")
    assert scan(probe, ["p.a"], calls=True).problems == {}


RING = {"a.py": "import b\n", "b.py": "import a\n"}
ODD = """\
import importlib.machinery
import sys


class Loader(importlib.machinery.SourceFileLoader):
    def source_to_code(self, data, path, *rest, **named):
        return super().source_to_code(bytes(data).replace(b"begin", b"if True:"), path, *rest, **named)


class Finder:
    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path, target) if name == "b" else None
        if spec:
            spec.loader = Loader(name, spec.origin)
        return spec


sys.meta_path.insert(0, Finder())
"""


def test_a_module_of_a_cycle_that_cannot_be_parsed_is_a_doubt_even_if_no_question_reads_it(tmp_path, capsys):
    """No pair of entries can meet in the cycle, so that nothing asks for its source."""
    probe_of(None, tmp_path, {**RING, "b.py": "begin\n  import a\n", "odd.py": ODD, "top.py": "import odd\nimport a\n"})
    code, document = run_scan(capsys, tmp_path, "--no-calls", "top")
    assert (code, document["unread"]) == (6, ["b"])
    assert document["problems"]["b"].startswith("cannot be parsed: ")


def test_a_module_of_a_cycle_whose_source_changes_after_its_import_is_a_doubt(tmp_path, capsys):
    rewrite = f"import a\nopen({str(tmp_path / 'b.py')!r}, 'w').write('def f(:\\n')\n"
    probe_of(None, tmp_path, {**RING, "top.py": rewrite})
    code, document = run_scan(capsys, tmp_path, "--no-calls", "top")
    assert (code, document["unread"]) == (6, ["b"])


def test_bytecode_that_is_used_without_its_source_vouches_for_nothing(tmp_path, capsys, monkeypatch):
    probe_of(None, tmp_path, {**RING, "top.py": "import a\n"})
    monkeypatch.setattr("python_tsan.cli.import_verbs.Probe", lambda **more: Probe(**{**more, "bytecode": None}))
    py_compile.compile(tmp_path / "b.py", invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert run_scan(capsys, tmp_path, "--no-calls", "top")[0] == 0
    (tmp_path / "b.py").write_text("def f(:\n")
    code, document = run_scan(capsys, tmp_path, "--no-calls", "top")
    assert (code, document["unread"]) == (6, ["b"])


def test_what_the_trace_has_compiled_is_not_read_again(tmp_path, capsys, monkeypatch):
    probe_of(None, tmp_path, {**RING, "top.py": "import a\n"})
    monkeypatch.setattr("python_tsan.imports.model.target_sources.ask", lambda *_, **__: pytest.fail("source was read"))
    assert run_scan(capsys, tmp_path, "--no-calls", "top")[0] == 0
