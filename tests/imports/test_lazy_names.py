"""Which requests the uses of lazy names make, as the source says; any Python can read statements that are not lazy."""

import ast
import sys
from operator import itemgetter

import pytest

from python_tsan.imports.cases.import_cases.lazy_names import names_of, statements_of, uses_in
from python_tsan.imports.cases.import_cases.source_reader import attributes_of, calls_of


def bound(source, package="p"):
    return [
        (each["name"], each["module"], each["names"], each["line"])
        for each in statements_of(ast.parse(source), package)
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a\n", [("a", "a", [], 1)]),
        ("import a as b\n", [("b", "a", [], 1)]),
        ("import a.b.c\n", [("a", "a", [], 1), ("a.b", "a.b", [], 1), ("a.b.c", "a.b.c", [], 1)]),
        ("import a.b.c as d\n", [("d", "a.b", ["c"], 1)]),
        ("from a import b as c, d\n", [("c", "a", ["b"], 1), ("d", "a", ["d"], 1)]),
        ("from . import a\nfrom .q import b\n", [("a", "p", ["a"], 1), ("b", "p.q", ["b"], 2)]),
        ("from a import *\nfrom .. import b\n", []),
        ("with x:\n    import a\nif y:\n    import b\n", [("a", "a", [], 2), ("b", "b", [], 4)]),
        ("class C:\n    import a\n\ndef f():\n    import b\n\nL = lambda: 0\n", []),
    ],
)
def test_what_imports_at_module_level_bind(source, expected):
    assert bound(source) == expected


def used(source, *lazy):
    tree = ast.parse(source)
    found = uses_in(compile(tree, "m.py", "exec"), "m", "m.py", statements_of(tree, "p"), lazy)
    return [(each["module"], each["line"], each["lazy"]) for each in sorted(found.get("f", ()), key=itemgetter("line"))]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("return a.X", [3]),
        ("g()\n    if a: pass", [4]),
        ("def inner():\n        return a\n    return inner", [4]),
        ("return lambda: a", [3]),
        ("x: a = 1", []),
        ("a = 1\n    return a", []),
        ("import a\n    return a", []),
        ("global a\n    a = a", [4]),
        ("for a in (): pass", []),
        ("del a", []),
        ("a.X = 1", [3]),
        ("b = [a for a in ()]\n    return a.X", [4]),
        ("b = lambda a: a\n    return a.X", [4]),
        ("def inner(a): return a\n    return a.X", [4]),
        ("class C:\n        a = a.X", [4]),
        ("class C:\n        a = 1\n        b = a", []),
        ("def a(): pass\n    return a()", []),
        ("class a: pass\n    return a()", []),
        ("try: pass\n    except E as a: return a", []),
        ("match 1:\n        case a: return a", []),
        ("match 1:\n        case a.X: return 1", [4]),
        ("def inner(b=a.X): pass", [3]),
        ("@a.X\n    def inner(): pass", [3]),
        ("def inner(b: a.X) -> a.Y: pass", [] if sys.version_info >= (3, 14) else [3, 3]),
        ("if False: return a", []),
        ("return f'{a}'", [3]),
        ("return [a for _ in b]", [3]),
    ],
)
def test_only_a_name_that_a_function_reads_and_does_not_bind_is_used(body, lines):
    source = f"import a\ndef f():\n    {body}\n"
    assert [(module, line) for module, line, _ in used(source, "a")] == [("a", line) for line in lines]
    assert used(source) == []


def test_neither_an_argument_nor_what_is_evaluated_elsewhere_is_a_use():
    assert used("import a\ndef f(a): return a\n", "a") == []
    assert used("import a\n@a.d\ndef f(x: a.T = a.V) -> a.R: pass\n", "a") == []


def test_a_submodule_has_a_request_of_its_own_at_its_package():
    found = used("import a.b\ndef f():\n    return a.b.V\n", "a")
    owners = sorted((module, lazy["owner"], lazy["name"]) for module, _, lazy in found)
    assert owners == [("a", "m", "a"), ("a.b", "a", "b")]
    assert {lazy["place"] for _, _, lazy in found} == {"m.py:1"}
    # The body has used the name and not the attribute.
    assert [module for module, _, _ in used("import a.b\ndef f():\n    return a.b.V\n", "c")] == ["a.b"]


def test_the_calls_of_a_module_contain_its_uses_by_line():
    source = "import a\nimport b\ndef f():\n    b\n    import c\n    a\nclass K:\n    def g(self): return a\n"
    found = calls_of(ast.parse(source), "m", "m.py", ["a", "b"])
    assert [each["module"] for each in found["m:f"]] == ["b", "c", "a"]
    assert [each["module"] for each in found["m:K.g"]] == ["a"]
    assert set(calls_of(ast.parse(source), "m", "m.py")) == {"m:f"}


@pytest.mark.parametrize(
    ("head", "read"),
    [("import p.m", "p.m.x"), ("import p.m as q", "q.x"), ("from p import m as q", "q.x"), ("from . import m", "m.x")],
)
def test_a_lazy_name_of_another_module_is_read_by_any_name_of_that(head, read):
    assert attributes_of(ast.parse(f"{head}\ndef f():\n    return {read}\n"), ["p.m:x"], "p") == {"f": [("p.m:x", 3)]}
    inside = ast.parse(f"def f():\n    {head}\n    return {read}\n")
    assert attributes_of(inside, ["p.m:x"], "p") == {"f": [("p.m:x", 3)]}
    assert attributes_of(ast.parse(f"{head}\ndef f():\n    return {read}\n"), ["p.m:y"], "p") == {}


def test_a_module_without_lazy_imports_has_no_such_names():
    assert names_of(vars(sys)) == []
