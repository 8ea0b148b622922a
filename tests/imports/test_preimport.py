"""The list of imports for the main thread: the shortest, verified, and written in both languages."""

import shutil
import subprocess
import sys

import pytest
from text_sources import TextSources

from python_tsan.errors import SubjectError
from python_tsan.imports import preimport
from python_tsan.imports.confirm import Answer, Proof
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.model.program_model import Model
from python_tsan.imports.model.requests import ImportRequest, Manner, Module
from python_tsan.imports.model.rules import rules_of
from python_tsan.imports.preimport import Language, Plan, plan, write
from python_tsan.imports.search import preimport_choice
from python_tsan.imports.search.prediction import predict
from python_tsan.imports.search.preimport_choice import choose, cover

HERE = identify([sys.executable])
BY_NAME = "from importlib import import_module\n\nOTHER = import_module({!r})\n"
BEFORE_3_15 = pytest.mark.skipif(sys.version_info >= (3, 15), reason="3.15 has no hazard here")


def asks(module, manner=Manner.BY_NAME):
    return ImportRequest(module=module, manner=manner, file="f.py", line=1)


def model_of(version=(3, 13, 0), **bodies):
    names = {name.replace("__", "."): requests for name, requests in bodies.items()}
    program = {name: Module(name=name, requests=tuple(asks(each) for each in names[name])) for name in names}
    return Model(program=program, rules=rules_of(version), sources=TextSources({}))


def tree(folder, files):
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return Probe(python=HERE, path=(folder,))


def test_what_the_main_thread_has_imported_is_no_hazard_any_more():
    model = model_of(a=["b"], b=["a"])
    assert len(list(predict(model, ("a", "b")))) == 2
    assert list(predict(model.after(["a"]), ("a", "b"))) == []
    assert model.finished_by("a") == {"a", "b"}


def test_one_module_that_brings_in_the_rest_is_enough():
    model = model_of(a=["b"], b=["a"], c=["d"], d=["c"], all=["a", "c"])
    assert choose(model, ("a", "b")) == ("a",)
    assert choose(model, ("a", "b", "all")) == ("a",)  # all would do as well, and brings in more
    assert choose(model, ("a", "b", "c", "d")) == ("a", "c")
    assert choose(model, ("a", "b", "c", "d", "all")) == ("all",)


def test_a_program_without_hazards_needs_no_list():
    assert choose(model_of(a=[], b=["a"]), ("a", "b")) == ()


@pytest.mark.parametrize("version", [(3, 12, 1), (3, 13, 18), (3, 14, 0)])
def test_a_package_is_imported_before_its_children(version):
    model = model_of(version, p=["p.a", "p.b"], p__a=[], p__b=[])
    modules = choose(model, ("p", "p.a", "p.b"))
    assert modules == ("p",)
    assert list(predict(model.after(modules), ("p", "p.a", "p.b"))) == []


def test_the_fewest_are_taken_even_where_the_greedy_way_takes_more(monkeypatch):
    pairs = [frozenset({name, name.upper()}) for name in "abcdef"]
    candidates = {"wide": frozenset("abde"), "left": frozenset("abc"), "right": frozenset("def")}
    assert cover(pairs, candidates) == ("left", "right")
    monkeypatch.setattr(preimport_choice, "EXACT_LIMIT", 0)
    assert cover(pairs, candidates) == ("wide", "left", "right")


@pytest.mark.parametrize(
    ("candidates", "entries", "chosen"),
    [
        ({"b": "x", "c": "x"}, ("c",), "c"),  # one of the entries, although it comes later
        ({"b": "xyz", "c": "xyzw"}, ("c",), "c"),  # although it brings in more
        ({"b": "xy", "c": "x"}, (), "c"),  # brings in the least
        ({"b.c.d": "x", "c.d": "x"}, (), "c.d"),  # the outermost
        ({"c": "x", "b": "x"}, (), "b"),  # the first by name
    ],
)
def test_of_candidates_that_settle_the_same_one_is_chosen_by_rule(candidates, entries, chosen):
    finished = {name: frozenset(letters) for name, letters in candidates.items()}
    assert cover([frozenset("x")], finished, entries) == (chosen,)


def test_a_conflict_that_nothing_settles_is_an_error():
    with pytest.raises(SubjectError, match="removes every hazard"):
        cover([frozenset({"a", "b"})], {"c": frozenset("c")})


@BEFORE_3_15
def test_a_list_is_verified_by_real_runs(tmp_path):
    probe = tree(tmp_path, {"a.py": BY_NAME.format("b"), "b.py": BY_NAME.format("a")})
    found = plan(probe, ["a", "b"], runs=1)
    assert found.modules == ("a",)
    assert len(found.before.findings) == 2
    assert found.after.main == ("a",)
    assert found.after.findings == ()


@BEFORE_3_15
def test_a_list_behind_which_something_still_goes_wrong_is_not_handed_out(tmp_path, monkeypatch):
    probe = tree(tmp_path, {"a.py": BY_NAME.format("b"), "b.py": BY_NAME.format("a")})
    monkeypatch.setattr(
        preimport, "prove", lambda *_: Proof(answer=Answer.CONFIRMED, seen=1, runs=1, error="_DeadlockError: x")
    )
    with pytest.raises(SubjectError, match="still goes wrong behind the list: _DeadlockError"):
        plan(probe, ["a", "b"], runs=1)
    monkeypatch.setattr(preimport, "choose", lambda *_, **__: ())
    with pytest.raises(SubjectError, match="still a hazard"):
        plan(probe, ["a", "b"], runs=1)


def test_no_list_is_made_for_entries_that_cannot_be_seen(tmp_path):
    with pytest.raises(SubjectError, match="missing: ModuleNotFoundError"):
        plan(tree(tmp_path, {"a.py": ""}), ["a", "missing"], runs=1)


def plan_of(*modules):
    return Plan(entries=("a", "b"), modules=modules, before=None, after=None)


def test_the_python_module_imports_in_order_and_runs():
    text = write(plan_of("json.decoder", "csv"), Language.PYTHON)
    assert text.endswith('\n\nimport_module("json.decoder")\nimport_module("csv")\n')
    names = {}
    exec(compile(text, "preimports.py", "exec"), names)  # noqa: S102 -- the point of the file
    assert sys.modules["csv"].reader
    assert "preimport a b" in names["__doc__"]


def test_the_header_has_an_array_that_may_be_empty():
    assert "std::array<const char*, 2> preimports{{\n" in write(plan_of("p", "q"), Language.CPP)
    assert "std::array<const char*, 0> preimports{};" in write(plan_of(), Language.CPP)
    assert "import " not in write(plan_of(), Language.PYTHON).replace("preimport a", "").partition('"""\n')[2]


def test_a_module_that_no_statement_can_name_is_imported_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "__init__.py").write_text("")
    (tmp_path / "old" / "async.py").write_text("SEEN = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    exec(compile(write(plan_of("old.async", "csv"), Language.PYTHON), "preimports.py", "exec"), {})  # noqa: S102
    assert sys.modules.pop("old.async").SEEN
    del sys.modules["old"]


COMPILERS = [name for name in ("c++", "g++", "clang++", "clang++-19") if shutil.which(name)]


@pytest.mark.compiler
@pytest.mark.skipif(not COMPILERS, reason="no C++ compiler")
@pytest.mark.parametrize(
    "modules",
    [
        (),
        ("numpy",),
        ("json.decoder", "csv", "\N{LATIN SMALL LETTER E WITH ACUTE}t\N{LATIN SMALL LETTER E WITH ACUTE}"),
    ],
)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_header_compiles_without_a_warning_and_names_the_modules_in_order(compiler, modules, tmp_path):
    (tmp_path / "preimports.hpp").write_text(write(plan_of(*modules), Language.CPP), encoding="utf-8")
    (tmp_path / "twice.cpp").write_text('#include "preimports.hpp"\n#include "preimports.hpp"\n')
    (tmp_path / "main.cpp").write_text(
        '#include "preimports.hpp"\n#include <cstdio>\n'
        "int main() { for (const char* name : python_tsan::preimports) std::puts(name); }\n"
    )
    strict = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
    sources = [tmp_path / "main.cpp", tmp_path / "twice.cpp"]
    subprocess.run([compiler, *strict, *sources, "-o", tmp_path / "main"], check=True)
    shown = subprocess.run([tmp_path / "main"], capture_output=True, text=True, encoding="utf-8", check=True).stdout
    assert shown.split() == list(modules)
