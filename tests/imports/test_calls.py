"""Imports inside functions, and attributes that a package loads when it is asked for them."""

import ast
import sys

import pytest

from python_tsan.cli.main import main
from python_tsan.imports.cases.import_cases.source_reader import calls_of, resolve
from python_tsan.imports.model import building
from python_tsan.imports.model.building import model_of
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.lock_order import reaching_cycles
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.model.requests import ImportRequest, Manner, Module
from python_tsan.imports.model.rules import rules_of
from python_tsan.imports.model.target_sources import find_calls
from python_tsan.imports.scan import scan
from python_tsan.imports.search.prediction import predict

HERE = identify([sys.executable])
BY_NAME = "from importlib import import_module\n\nX = import_module({!r})\n"


def calls(source, name="p.m", file="p/m.py"):
    found = calls_of(ast.parse(source), name, file)
    return {
        call: [(each["module"], tuple(each["names"]), each["line"]) for each in requests]
        for call, requests in found.items()
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os\n", {}),
        ("def f():\n    import a.b, c\n", {"p.m:f": [("a.b", (), 2), ("c", (), 2)]}),
        ("def f():\n    from . import x as y\n", {"p.m:f": [("p", ("x",), 2)]}),
        ("def f():\n    from ..q import *\n", {}),
        ("class A:\n    async def go(self):\n        import a\n", {"p.m:A.go": [("a", (), 3)]}),
        ("if True:\n    def f():\n        import a\n", {"p.m:f": [("a", (), 3)]}),
        ("def f():\n    def g():\n        import a\n    g()\n", {"p.m:f": [("a", (), 3)]}),
        ("def f():\n    import_module('.a', __package__)\n", {"p.m:f": [("p.a", (), 2)]}),
        ("def f(name):\n    import_module(name)\n", {}),
        (
            "def f():\n    g()\n\ndef g():\n    import a\n    f()\n",
            {"p.m:f": [("a", (), 2)], "p.m:g": [("a", (), 5)]},
        ),
        (
            "class K:\n    def __init__(self):\n        self.g()\n    def g(self): import a\n\ndef f(): K()\n",
            {"p.m:K.__init__": [("a", (), 3)], "p.m:K.g": [("a", (), 4)], "p.m:f": [("a", (), 6)]},
        ),
        ("def f():\n    h(); other.g()\n\ndef g(): import a\n", {"p.m:g": [("a", (), 4)]}),
        (
            "def __getattr__(name):\n    if name == 'x': import a\n    elif name == 'y':\n        import b\n",
            {
                "p.m:x": [("a", (), 2)],
                "p.m:y": [("b", (), 4)],
                "p.m:__getattr__": [("a", (), 2), ("b", (), 4)],
            },
        ),
    ],
)
def test_what_a_function_imports_is_read_from_its_source(source, expected):
    assert calls(source) == expected


def test_a_computed_name_is_tried_for_each_word_that_the_module_spells_out(tmp_path):
    tree(tmp_path, {"p/a.py": "", "p/b/__init__.py": ""})
    source = "NAMES = {'a', 'b', 'not there'}\n\n\ndef __getattr__(name):\n    return import_module(f'p.{name}')\n"
    found = calls(source, name="p", file=f"{tmp_path}/p/__init__.py")
    assert found == {"p:a": [("p.a", (), 5)], "p:b": [("p.b", (), 5)]}


def test_a_computed_name_behind_a_comparison_and_an_import_is_tried_too(tmp_path):
    tree(tmp_path, {"p/a.py": ""})
    source = (
        "def __getattr__(name):\n    if name == 'a':\n        import q\n        return import_module(f'p.{name}')\n"
    )
    found = calls(source, name="p", file=f"{tmp_path}/p/__init__.py")
    assert found == {"p:a": [("q", (), 3), ("p.a", (), 4)], "p:__getattr__": [("q", (), 3)]}


def test_a_read_of_such_an_attribute_is_an_import(tmp_path):
    lazy = "def __getattr__(name):\n    if name == 'a':\n        return import_module(f'.{name}', __name__)\n"
    reader = "import p\n\n\ndef f():\n    return p.a.A\n\n\ndef g():\n    return p.b\n"
    probe = tree(tmp_path, {"p/__init__.py": lazy, "p/a.py": "", "m.py": reader})
    program = {
        name: Module(name=name, file=str(tmp_path / file)) for name, file in (("p", "p/__init__.py"), ("m", "m.py"))
    }
    found, problems = find_calls(probe, program, {"p", "m"}, jobs=1)
    assert problems == {}
    assert [(each.module, each.manner) for each in found["m:f"]] == [("p.a", Manner.BY_NAME)]
    assert "m:g" not in found


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def f(:\n    import a\n", "cannot be parsed: SyntaxError: "),
        ("def f():\n    import a\0\n", "cannot be parsed: "),
        ("# coding: no-such\ndef f():\n    import a\n", "cannot be parsed: SyntaxError: unknown encoding"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_source_that_cannot_be_read_is_a_problem_and_the_others_are_read(source, problem, tmp_path):
    probe = tree(tmp_path, {"good.py": "def f():\n    import a\n", **({"bad.py": source} if source else {})})
    program = {name: Module(name=name, file=f"{tmp_path}/{name}.py") for name in ("bad", "good")}
    found, problems = find_calls(probe, program, {"good", "bad"}, jobs=2)
    assert list(found) == ["good:f"]
    assert list(problems) == ["bad"]
    assert problems["bad"].startswith(problem)


@pytest.mark.parametrize(
    ("name", "level", "package", "absolute"),
    [("a", 0, "p", "a"), ("a", 1, "p.q", "p.q.a"), ("", 2, "p.q", "p"), ("a", 2, "p", ""), ("a", 1, "", "")],
)
def test_a_relative_name_means_what_python_means(name, level, package, absolute):
    assert resolve(name, level, package) == absolute


def tree(folder, files):
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return Probe(python=HERE, path=(folder,))


@pytest.mark.skipif(HERE.version >= (3, 15), reason="3.15 has no hazard here")
def test_a_scan_finds_the_calls_that_can_be_part_of_a_cycle_and_drives_them(tmp_path):
    files = {
        "a.py": "def f():\n    import b\n\n\ndef g():\n    import json\n\n\ndef h():\n    import c\n",
        "b.py": BY_NAME.format("c"),
        "c.py": BY_NAME.format("b"),
    }
    probe = tree(tmp_path, files)
    assert scan(probe, ["a"]).findings == ()
    found = scan(probe, ["a"], runs=1, calls=True)
    assert found.calls == ("a:f", "a:h")
    assert {(each.hazard.first, each.hazard.second) for each in found.findings} == {("a:f", "a:h"), ("a:h", "a:f")}
    assert [each.proof.answer.value for each in found.findings] == ["confirmed", "confirmed"]
    place = found.findings[0].hazard.chains[0][0].where
    assert place == f"{tmp_path / 'a.py'}:2"


def test_a_named_call_that_does_not_exist_is_reported(tmp_path):
    probe = tree(tmp_path, {"a.py": "def f():\n    pass\n"})
    problems = model_of(probe, ("a:f", "a:nothing", "missing:f", "a"), jobs=1).problems
    assert "with an import inside" in problems["a:f"]
    assert "ModuleNotFoundError" in problems["missing:f"]
    assert set(problems) == {"a:f", "a:nothing", "missing:f"}


@pytest.mark.skipif(HERE.version >= (3, 15), reason="3.15 has no hazard here")
def test_pairs_with_calls_are_searched_last_and_as_long_as_there_is_time(tmp_path, monkeypatch):
    files = {
        "a.py": "def f():\n    import b\n\n\ndef g():\n    import c\n",
        "b.py": BY_NAME.format("c"),
        "c.py": BY_NAME.format("b"),
    }
    probe = tree(tmp_path, files)
    whole = scan(probe, ["a", "b", "c"], calls=True)
    assert whole.pairs_left_out == 0
    assert [(each.hazard.first, each.hazard.second) for each in whole.findings[:2]] == [("b", "c"), ("c", "b")]
    monkeypatch.setattr(building, "CHOOSING", -100)  # which leaves time to choose them
    bounded = scan(probe, ["a", "b", "c"], calls=True, call_seconds=-1)
    assert [each.hazard.locks for each in bounded.findings] == [each.hazard.locks for each in whole.findings[:2]]
    assert bounded.pairs_left_out == 5 * 4 - 3 * 2


CALLERS = {
    "p/__init__.py": "",
    "p/deep/__init__.py": "",
    "p/deep/m.py": "def f():\n    import b\n",
    "p/m.py": "def _f(): import b\ndef g(): import c\nclass K:\n    def __init__(self): import d\n",
    "p/_private.py": "def f():\n    import e\n",
    "b.py": BY_NAME.format("c"),
    "c.py": BY_NAME.format("b"),
    "d.py": "import b\n",
    "e.py": "import b\n",
}


def test_calls_that_users_make_come_first(tmp_path):
    entries = ["p", "p.deep.m", "p.m", "p._private"]
    found = model_of(tree(tmp_path, CALLERS), entries, jobs=1, calls=True)
    # p.m:_f imports what p.deep.m:f does.
    assert found.calls == ("p.m:g", "p.m:K.__init__", "p.deep.m:f", "p._private:f")
    assert found.left_out == 0


def test_calls_that_there_was_no_time_to_look_at_are_counted(tmp_path):
    found = model_of(tree(tmp_path, CALLERS), ["p.m", "p.deep.m"], jobs=1, calls=True, call_seconds=-1)
    assert (found.calls, found.left_out) == ((), 4)


def test_the_modules_that_reach_a_cycle_are_those_whose_import_meets_it():
    def module(name, *requested):
        requests = tuple(ImportRequest(module=each, manner=Manner.BY_NAME, file="f.py", line=1) for each in requested)
        return Module(name=name, requests=requests)

    ring = (module("b", "c"), module("c", "b"))
    modules = (*ring, module("q", "b"), module("q.r"), module("s", "q.r"), module("t", "u"), module("u"))
    program = {each.name: each for each in modules}
    assert reaching_cycles(program, rules_of((3, 13, 0))) == {"b", "c", "q", "q.r", "s"}


def test_the_time_ends_a_search_within_a_pair_too(tmp_path):
    """In a large package one pair can take longer than all the time that there is."""
    files = {"a.py": "def f():\n    import b\n", "b.py": BY_NAME.format("c"), "c.py": BY_NAME.format("b")}
    found = model_of(tree(tmp_path, files), ("a", "a:f", "c"), jobs=1)
    asked = []

    def leave_out(pairs, after):
        asked.append(pairs)
        return len(asked) > after

    def hazards(after):
        asked.clear()
        return len(list(predict(found.model, ("a:f", "c"), leave_out=lambda pairs: leave_out(pairs, after))))

    whole = hazards(1000)
    assert len(asked) > asked[0] == 2  # two pairs, and stops within them
    assert hazards(0) == 0
    assert hazards(1) == 0
    assert whole == (2 if HERE.version < (3, 15) else 0)


def test_a_scan_whose_calls_were_cut_by_time_says_so(tmp_path, capsys, monkeypatch):
    tree(
        tmp_path, {"a.py": "def f():\n    import b\n", "b.py": "import c\n", "c.py": "def g():\n    import b\n    b\n"}
    )
    cut = "python_tsan.imports.search_on_cores.predict"
    monkeypatch.setattr(cut, lambda *_, leave_out, **__: [] if leave_out(7) else None)
    found = scan(Probe(python=HERE, path=(tmp_path,)), ["a", "b"], calls=True, call_seconds=-1, jobs=1)
    assert found.pairs_left_out == 7
    monkeypatch.setattr("python_tsan.cli.import_verbs.scan", lambda *_, **__: found)
    assert main(["imports", "scan", "a", "b", "--python", sys.executable, "--path", str(tmp_path)]) == 0
    assert "7 pairs with a call not searched within 30 s" in capsys.readouterr().err


PROXY = """\
import sys
import types


class Proxy(types.ModuleType):
    def __getattr__(self, name):
        from importlib import import_module

        return getattr(import_module("real"), name)


sys.modules[__name__] = Proxy(__name__)
"""
LOADER = """\
import importlib.util
import sys

spec = importlib.util.find_spec("req")
spec.loader = importlib.util.LazyLoader(spec.loader)
module = sys.modules["req"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
"""


@pytest.mark.parametrize(
    ("files", "main"),
    [
        ({"req.py": PROXY, "real.py": f"{BY_NAME.format('other')}get = 1\n"}, ()),
        (
            {"req.py": f"{BY_NAME.format('real')}get = 1\n", "real.py": BY_NAME.format("other"), "lazily.py": LOADER},
            ("lazily",),
        ),
    ],
)
def test_an_attribute_of_a_proxy_that_imports_when_it_is_read_is_an_entry(files, main, tmp_path):
    probe = tree(tmp_path, {**files, "other.py": BY_NAME.format("real")})
    found = scan(probe, ["req:get", "other"], main=main, runs=1)
    assert found.problems == {}
    pairs = {(each.hazard.first, each.hazard.second) for each in found.findings}
    assert pairs == ({("req:get", "other"), ("other", "req:get")} if HERE.version < (3, 15) else set())
    assert {each.proof.answer.value for each in found.findings} <= {"confirmed"}


def test_a_proxy_whose_reads_are_no_entries_is_a_doubt(tmp_path):
    app = f"{LOADER}\n\ndef f():\n    return module.get\n"
    probe = tree(tmp_path, {"app.py": app, "req.py": "get = 1\n", "other.py": "import app\n"})
    doubt = {"app: req": "is imported by LazyLoader when it is read; name req:ATTRIBUTE as an entry to scan that"}
    assert scan(probe, ["app"], calls=True).problems == doubt
    assert model_of(probe, ("app", "req:get"), jobs=1, main=("app",)).unread == {}
    assert scan(probe, ["other"], calls=True).problems == {}
    assert scan(tree(tmp_path, {"app.py": f"{app}\nmodule.get\n"}), ["app"], calls=True).problems == {}


def test_an_attribute_that_does_not_exist_or_imports_nothing_is_no_entry(tmp_path):
    probe = tree(tmp_path, {"req.py": "X = 1\n"})
    assert set(model_of(probe, ("req:X", "req:missing"), jobs=1).problems) == {"req:X", "req:missing"}
