"""Partially initialized modules that are handed out: what is taken or read of them, and whether it is there."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from text_sources import TextSources

from python_tsan.imports.model.requests import ImportRequest, LazyName, Manner, Module
from python_tsan.imports.model.steps import Handout
from python_tsan.imports.search.partial_modules import breaks, hinges_on_callers, standing_at

PACKAGE = "A = 1\nimport q\nB = 2\n"
FILES = {"p": "p/__init__.py", "p.sub": "p/sub.py", "q": "q.py", "r": "r.py"}


def asks(module, *names, file="r.py", line=1):
    return ImportRequest(module=module, manner=Manner.STATEMENT, file=file, line=line, names=names)


def stopped_at(line):
    """One thread executes ``p`` and has reached its import of ``q`` at ``line``."""
    return SimpleNamespace(
        program={name: Module(name=name, file=file) for name, file in FILES.items()},
        stacks={"T1": [("p", None), ("q", asks("q", file="p/__init__.py", line=line))]},
        asking={},
        awaited_attributes=lambda _: frozenset(),
    )


def handed_out(request, text="", package=PACKAGE, line=2, asker="r"):
    """Return machine, handout and sources: ``asker``, whose source is ``text``, gets the partial ``p``."""
    handout = Handout(module="p", owner="T1", request=request, stack=((asker, None),))
    return stopped_at(line), handout, TextSources({FILES["p"]: package, FILES[asker]: text})


@pytest.mark.parametrize(
    ("name", "missing"),
    [("A", False), ("B", True), ("__name__", False), ("sub", False), ("other", True)],
)
def test_a_name_is_there_if_it_is_bound_above_or_a_module_of_the_package(name, missing):
    assert breaks(*handed_out(asks("p", name))) is missing
    assert breaks(*handed_out(asks("p", "A", name))) is missing


def test_nothing_is_missing_where_it_is_not_known_what_is_bound():
    assert not breaks(*handed_out(asks("p", "B"), package="from q import *\nimport q\n"))
    assert not breaks(*handed_out(asks("p", "B"), package="this is no Python\n"))
    assert not breaks(*handed_out(None))


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("import p\n\nV = p.B\n", True),
        ("import p\n\nV = p.A\n", False),
        ("import p\n\nV = p.sub\n", False),
        ("import p\n\ndef f():\n    return p.B\n", False),
        ("this is no Python\n", False),
    ],
)
def test_what_is_read_of_the_module_as_a_whole_must_be_there(text, missing):
    assert breaks(*handed_out(asks("p"), text)) is missing


def test_a_read_in_a_function_hinges_on_who_calls_it():
    in_function = handed_out(asks("p"), "import p\n\ndef f():\n    return p.B\n")
    assert hinges_on_callers(*in_function)
    assert not hinges_on_callers(*handed_out(asks("p"), "import p\n\nV = p.B\n"))


def test_where_a_body_stands_is_known_by_the_request_below_it():
    machine = stopped_at(2)
    assert standing_at(machine, "T1", "p") == 2
    assert standing_at(machine, "T1", "q") == 0
    assert standing_at(machine, "T1", "other") == 0
    machine.asking["T1"] = asks("r", file="q.py", line=7)
    assert standing_at(machine, "T1", "q") == 7


def lazily_in_line(line, file="r.py"):
    name = LazyName(owner="r", name="p", place=f"{file}:1")
    return ImportRequest(module="p", manner=Manner.STATEMENT, file=file, line=line, lazy=name)


def test_what_the_use_of_a_lazy_name_reads_is_in_the_same_line():
    text = "import p\n\nV = p.B\n"
    assert breaks(*handed_out(lazily_in_line(3), text))
    assert not breaks(*handed_out(asks("p", line=3), text))
    assert not breaks(*handed_out(lazily_in_line(4), text))


def test_a_function_of_another_module_that_a_body_calls_reads_by_its_own_names():
    machine, handout, _ = handed_out(lazily_in_line(3, file="q.py"))
    read = TextSources({FILES["p"]: PACKAGE, "r.py": "", "q.py": "import p\ndef f():\n    return p.B\n"})
    unread = TextSources({FILES["p"]: PACKAGE, "r.py": "", "q.py": "import p\ndef f():\n    return p.A\n"})
    assert breaks(machine, handout, read)
    assert not breaks(machine, handout, unread)


def test_a_module_is_at_the_line_of_its_body_and_not_of_a_function_elsewhere():
    machine = stopped_at(2)
    assert standing_at(machine, "T1", "p") == 2
    request = replace(asks("q", file="elsewhere.py", line=9), body_line=2)
    machine.stacks["T1"][1] = ("q", request)
    assert standing_at(machine, "T1", "p") == 2
