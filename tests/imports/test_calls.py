"""Imports inside functions, and attributes that a package loads when it is asked for them."""

import sys

import pytest

from python_tsan.imports.model.building import model_of
from python_tsan.imports.model.calls import asked_attributes, calls_in, resolve
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.model.requests import Manner, Module
from python_tsan.imports.scan import scan

HERE = identify([sys.executable])
BY_NAME = "from importlib import import_module\n\nX = import_module({!r})\n"


def calls(source, name="p.m", file="p/m.py", existing=()):
    found = calls_in(Module(name=name, file=file), source, lambda path: path in existing)
    return {call: [(each.module, each.names, each.line) for each in requests] for call, requests in found.items()}


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
        ("def f(:\n    import a\n", {}),
    ],
)
def test_what_a_function_imports_is_read_from_its_source(source, expected):
    assert calls(source) == expected


def test_a_computed_name_is_tried_for_each_word_that_the_module_spells_out():
    source = "NAMES = {'a', 'b', 'not there'}\n\n\ndef __getattr__(name):\n    return import_module(f'p.{name}')\n"
    found = calls(source, name="p", file="p/__init__.py", existing={"p/a.py", "p/b/__init__.py"})
    assert found == {"p:a": [("p.a", (), 5)], "p:b": [("p.b", (), 5)]}


def test_a_read_of_such_an_attribute_is_an_import():
    lazy = calls_in(
        Module(name="p", file="p/__init__.py"),
        "def __getattr__(name):\n    if name == 'a':\n        return import_module(f'.{name}', __name__)\n",
        lambda path: path == "p/a.py",
    )
    source = "import p\n\n\ndef f():\n    return p.a.A\n\n\ndef g():\n    return p.b\n"
    found = asked_attributes(Module(name="m", file="m.py"), source, lazy)
    assert {call: [(each.module, each.manner) for each in requests] for call, requests in found.items()} == {
        "m:f": [("p.a", Manner.BY_NAME)]
    }


@pytest.mark.parametrize(
    ("name", "level", "package", "absolute"),
    [("a", 0, "p", "a"), ("a", 1, "p.q", "p.q.a"), ("", 2, "p.q", "p"), ("a", 2, "p", ""), ("a", 1, "", "")],
)
def test_a_relative_name_means_what_python_means(name, level, package, absolute):
    assert resolve(name, level, package) == absolute


def tree(folder, files):
    for path, text in files.items():
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
    place = found.findings[0].hazard.chains[0][0].place
    assert place == f"{tmp_path / 'a.py'}:2"


def test_a_call_that_is_named_and_is_none_is_told(tmp_path):
    probe = tree(tmp_path, {"a.py": "def f():\n    pass\n"})
    problems = model_of(probe, ("a:f", "a:nothing", "missing:f", "a"), jobs=1).problems
    assert "in which an import stands" in problems["a:f"]
    assert "ModuleNotFoundError" in problems["missing:f"]
    assert set(problems) == {"a:f", "a:nothing", "missing:f"}
