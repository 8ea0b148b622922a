"""Lazy imports (PEP 810): a use is an import, in a body and in a function; directed runs try what is predicted."""

import json
import sys
from types import SimpleNamespace

import pytest
from lazy_python import LAZY, needs_lazy, tree

from python_tsan.cli.main import main
from python_tsan.imports.confirm import Answer
from python_tsan.imports.document import document_of
from python_tsan.imports.model.building import model_of
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.preimport import Language, plan, write
from python_tsan.imports.renderings import RENDERINGS
from python_tsan.imports.scan import scan

USER = "lazy import a\nlazy import b\n\n\ndef f():\n    return a.A\n\n\ndef g():\n    return b.B\n"
# Each works alone; b reads a.A only after its body, and a thread that closes the cycle has a half-made a then.
CYCLE = {
    "a.py": "lazy import half\nhalf.__name__\nlazy import last\nlast.__name__\nA = 1\n",
    "half.py": "lazy import a\na.__name__\n\n\ndef read():\n    return a.A\n",
    "b.py": "lazy import half\nB = half.read()\n",
    "last.py": "",
}


def requests_of(probe, *entries, call):
    found = model_of(probe, entries, jobs=1, calls=True)
    assert found.problems == found.unread == {}
    return [(each.module, each.names, each.line) for each in found.model.calls.get(call, ())]


def answers(found):
    assert found.problems == {}
    return [(each.hazard.outcome, each.proof.answer) for each in found.findings]


@needs_lazy
def test_a_use_in_a_function_is_an_entry_and_its_hazard_is_confirmed_and_removed(tmp_path):
    probe = tree(tmp_path, {**CYCLE, "u.py": USER})
    found = scan(probe, ["u"], runs=1, calls=True)
    assert found.calls == ("u:f", "u:g")
    assert answers(found) == [(ImportOutcome.PARTIAL, Answer.CONFIRMED)]
    assert found.findings[0].proof.error.startswith("AttributeError: partially initialized module 'a'")
    document = document_of(found)
    chains = [
        [(link.module, link.statement, link.lazy_statement) for link in (*thread.chain, thread.asks)]
        for thread in document.hazards[0].threads
    ]
    assert chains == [
        [
            ("b", "return b.B", "lazy import b"),
            ("half", "B = half.read()", "lazy import half"),
            ("a", "a.__name__", "lazy import a"),
        ],
        [("a", "return a.A", "lazy import a"), ("half", "half.__name__", "lazy import half")],
    ]
    for rendering in RENDERINGS.values():
        text = rendering.render(document).decode()
        assert "lazy import half" in text
        assert "half.py:1" in text
    assert plan(probe, ["u"], runs=1).modules == ("a",)


@needs_lazy
def test_the_twin_whose_functions_use_each_other_later_is_harmless(tmp_path):
    files = {
        "a.py": "lazy import b\nA = 1\ndef f():\n    return b.B\n",
        "b.py": "lazy import a\nB = 2\ndef g():\n    return a.A\n",
    }
    assert answers(scan(tree(tmp_path, files), ["a", "b"], runs=1, calls=True)) == []


LATE = {
    "a.py": "import b\nimport last\nVALUE = 1\n",
    "b.py": "lazy import a\na.__name__\n\n\ndef read():\n    return a.VALUE\n",
    "last.py": "",
    "caller.py": "import b\nVALUE = b.read()\n",
}


@needs_lazy
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [(ImportOutcome.PARTIAL, Answer.CONFIRMED)]),
        ({"a.py": "VALUE = 1\nimport b\nimport last\n"}, []),
        ({"b.py": LATE["b.py"].replace("a.__name__\n", "")}, []),
    ],
)
def test_an_attribute_that_is_read_while_the_other_thread_closes_the_cycle(change, expected, tmp_path):
    assert answers(scan(tree(tmp_path, {**LATE, **change}), ["a", "caller"], runs=1)) == expected


@needs_lazy
def test_the_twin_that_binds_before_it_uses_is_harmless(tmp_path):
    early = {**CYCLE, "u.py": USER, "a.py": "A = 1\nlazy import half\nhalf.__name__\nlazy import last\nlast.__name__\n"}
    assert answers(scan(tree(tmp_path, early), ["u"], runs=1, calls=True)) == []


@needs_lazy
def test_modules_that_take_names_from_each_other_are_a_doubt_even_if_only_a_function_uses_them(tmp_path):
    files = {"u.py": USER, "a.py": "from b import B\nA = 1\n", "b.py": "from a import A\nB = 2\n"}
    found = scan(tree(tmp_path, files), ["u"], calls=True)
    assert set(found.problems) == set(found.unread) == {"a", "b"}
    bound = {**files, "a.py": "A = 1\nfrom b import B\n", "b.py": "B = 2\nfrom a import A\n"}
    assert scan(tree(tmp_path / "twin", bound), ["u"], calls=True).problems == {}


@needs_lazy
def test_a_use_in_a_function_that_a_body_calls_is_judged_at_the_lines_of_both(tmp_path):
    files = {
        "h.py": "lazy import a\n\n\ndef touch():\n    return a\n\n\ndef value():\n    return a.A\n",
        "d.py": "import h\nh.touch()\n",
        "a.py": "import d\nimport last\nA = 1\n",
        "last.py": "",
        "caller.py": "import d\nimport h\nX = h.value()\n",
    }
    found = scan(tree(tmp_path, files), ["a", "caller"], runs=1)
    assert answers(found) == [(ImportOutcome.PARTIAL, Answer.CONFIRMED)]
    twin = {**files, "a.py": "A = 1\nimport d\nimport last\n"}
    assert answers(scan(tree(tmp_path / "twin", twin), ["a", "caller"], runs=1)) == []


HOOK = """\
lazy import q
def __getattr__(name):
    if name == "A": return q.V
    if name in ("B", "D"):
        from p import m as found; import p.m
        return found
    raise AttributeError(name)
"""


@needs_lazy
@pytest.mark.parametrize(
    ("text", "requested"),
    [
        ("lazy import q\ndef f(): return q", [("q", (), 2)]),
        ("lazy import q as r\ndef f(): return r", [("q", (), 2)]),
        ("lazy import p.m\ndef f(): return p.m.V", [("p", (), 2), ("p.m", (), 2)]),
        ("lazy import p.m as r\ndef f(): return r.V", [("p", ("m",), 2)]),
        ("lazy from p import m\ndef f(): return m.V", [("p", ("m",), 2)]),
        ("lazy from p.m import V\ndef f(): return V", [("p.m", ("V",), 2)]),
        ("lazy import q\nX = q.V\ndef f(): return q", []),
        ("import q\ndef f(): return q", []),
        ("__lazy_modules__ = ['q']\nimport q\ndef f(): return q", [("q", (), 3)]),
        ("import sys\nsys.set_lazy_imports_filter(lambda *_: False)\nlazy import q\ndef f(): return q", []),
        ("import other\ndef f(): return other.q", [("q", (), 2)]),
        ("def f():\n    from other import q", [("other", ("q",), 2), ("q", (), 2)]),
        (
            "lazy from c0 import q\ndef f(): return q",
            [("c0", ("q",), 2), *((f"c{number}", ("q",), 2) for number in range(1, 6)), ("q", (), 2)],
        ),
        (
            "lazy import c3\ndef f(): return c3.q",
            [("c3", (), 2), ("c4", ("q",), 2), ("c5", ("q",), 2), ("q", (), 2)],
        ),
        ("lazy import q\ndef h(): return q\ndef f():\n    return h()", [("q", (), 4)]),
        ("lazy import q\nclass K:\n    def __init__(self): q\ndef f():\n    return K()", [("q", (), 5)]),
        (
            (
                "import sys, types\nlazy import q\ndef f(): return q\n"
                "class M(types.ModuleType): pass\nsys.modules[__name__].__class__ = M"
            ),
            [("q", (), 3)],
        ),
        ("import hook\ndef f(): return hook.A", [("q", (), 3)]),
        ("import hook\ndef f(): return hook.B", [("p", ("m",), 5), ("p.m", (), 5)]),
        ("import hook\ndef f(): return hook.C", []),
        ("def f():\n    from hook import A", [("hook", ("A",), 2), ("q", (), 2)]),
    ],
)
def test_what_a_use_requests(text, requested, tmp_path):
    files = {
        "u.py": f"{text}\n",
        "q.py": "V = 1\n",
        "p/__init__.py": "",
        "p/m.py": "V = 1\n",
        "other.py": "lazy import q\n",
        **{f"c{number}.py": f"lazy from c{number + 1} import q\n" for number in range(5)},
        "c5.py": "lazy import q\n",
        "hook.py": HOOK,
    }
    assert requests_of(tree(tmp_path, files), "u", "other", call="u:f") == requested


ALL = """\
import contextlib
with contextlib.suppress(ImportError):
    import in_with
try:
    import in_try
except ImportError:
    import in_handler
else:
    import in_else
finally:
    import in_finally
if True:
    import in_if
class C:
    import in_class
from in_star import *
def f():
    return in_with, in_try, in_else, in_finally, in_if, C.in_class
"""


@needs_lazy
def test_in_mode_all_an_import_in_with_is_lazy_and_one_in_try_or_a_class_is_not(tmp_path):
    names = [f"in_{each}" for each in ("with", "try", "handler", "else", "finally", "if", "class", "star")]
    files = {"u.py": ALL, **{f"{name}.py": "" for name in names}}
    requested = [module for module, _, _ in requests_of(tree(tmp_path, files, lazy="all"), "u", call="u:f")]
    assert requested == ["in_with", "in_finally", "in_if"]
    assert requests_of(tree(tmp_path, files), "u", call="u:f") == []


EAGER = {path: text.replace("lazy ", "") for path, text in {**CYCLE, "u.py": USER}.items()}


@needs_lazy
def test_in_mode_all_the_same_program_has_the_hazard_and_the_list_removes_it(tmp_path, capsys):
    tree(tmp_path, EAGER)
    words = ["u", "--python", *LAZY.command, "--path", str(tmp_path), "--lazy", "all"]
    assert main(["imports", "scan", "--confirm", *words, "--format", "json"]) == 1
    (hazard,) = json.loads(capsys.readouterr().out)["hazards"]
    assert hazard["proof"]["answer"] == "confirmed"
    assert main(["imports", "preimport", *words]) == 0
    text = capsys.readouterr().out
    assert 'import_module("a")' in text
    assert "preimport u --lazy all" in text


@needs_lazy
def test_the_trace_of_a_scan_uses_no_lazy_name(tmp_path):
    """The body records what it is asked for; a tracer that used the name would import it."""
    files = {
        "u.py": "lazy import q\nlazy import p.m\ndef f(): return q\n",
        "q.py": "raise SystemExit\n",
        "p/__init__.py": "",
    }
    found = model_of(tree(tmp_path, files), ("u",), jobs=1, calls=True)
    assert found.problems == {}
    assert set(found.model.program) == {"u"}
    assert found.model.program["u"].lazy == {"q", "p"}


@needs_lazy
def test_a_use_of_a_package_alone_does_not_bring_in_the_submodule(tmp_path):
    """A replaced ``__import__``, as the tracer's, is asked for all of ``p.m`` where CPython imports ``p`` alone."""
    files = {
        "u.py": "lazy import p.m\nX = p\n",
        "v.py": "lazy import p.m\nX = p.m\n",
        "p/__init__.py": "",
        "p/m.py": "",
    }
    assert set(model_of(tree(tmp_path, files), ("u",), jobs=1).model.program) == {"u", "p"}
    assert set(model_of(tree(tmp_path, files), ("v",), jobs=1).model.program) == {"v", "p", "p.m"}


def test_a_list_is_made_of_calls_that_no_mode_makes_lazy():
    text = write(SimpleNamespace(modules=("a", "b.c"), entries=("u",)), Language.PYTHON)
    assert text.endswith('from importlib import import_module\n\nimport_module("a")\nimport_module("b.c")\n')


@pytest.mark.parametrize("words", [["scan", "a"], ["confirm", "a", "b"], ["preimport", "a"]])
def test_a_mode_that_does_not_exist_is_one_message(words, capsys):
    assert main(["imports", *words, "--lazy", "none"]) == 2
    assert "unknown --lazy none" in capsys.readouterr().err


@pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 has lazy imports")
def test_a_python_without_lazy_imports_has_only_the_normal_mode(tmp_path, capsys, monkeypatch):
    (tmp_path / "a.py").write_text("")
    words = ["imports", "scan", "a", "--python", sys.executable, "--path", str(tmp_path)]
    assert main([*words, "--lazy", "all"]) == 2
    assert "has no lazy imports" in capsys.readouterr().err
    assert main([*words, "--lazy", "normal"]) == 0
    monkeypatch.setenv("PYTHON_LAZY_IMPORTS", "none")  # which such a Python does not read
    assert main(words) == 0


@needs_lazy
@pytest.mark.parametrize(("mode", "code"), [("none", 2), ("all", 0), ("", 0)])
def test_the_mode_of_the_environment_is_used_and_checked(mode, code, tmp_path, capsys, monkeypatch):
    (tmp_path / "a.py").write_text("")
    monkeypatch.setenv("PYTHON_LAZY_IMPORTS", mode)
    assert main(["imports", "scan", "a", "--python", *LAZY.command, "--path", str(tmp_path)]) == code
    assert ("PYTHON_LAZY_IMPORTS=none: no such mode" in capsys.readouterr().err) is (code == 2)
