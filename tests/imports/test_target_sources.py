"""How the source of modules is asked for: once for a file, in few processes, and with a reason where it fails."""

import sys

import pytest

from python_tsan.errors import SubjectError
from python_tsan.imports.model import target_sources
from python_tsan.imports.model.interpreter import identify
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.model.requests import Module
from python_tsan.imports.model.target_sources import TargetSources, ask, read_text

HERE = identify([sys.executable])


@pytest.fixture
def program(tmp_path):
    """Return a program of four modules: one has no valid source, one is an extension."""
    texts = {"a": "A = 1\n", "b": "B = 2\n", "bad": "def f(:\n"}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    modules = {name: Module(name=name, file=f"{tmp_path}/{name}.py") for name in texts}
    return {**modules, "fast": Module(name="fast", file=f"{tmp_path}/fast.so")}


@pytest.fixture
def asked(monkeypatch):
    """Return the number of files that each process was asked for."""
    made = []
    lines = Probe.lines

    def count(self, arguments, **more):
        found = lines(self, arguments, **more)
        made.append(len([line for line in found if "module" in line]))
        return found

    monkeypatch.setattr(Probe, "lines", count)
    return made


def sources_of(program, *first):
    return TargetSources(Probe(python=HERE), program, first=first, jobs=1)


def test_a_question_reads_some_modules_of_cycles_ahead_and_no_others(program, asked):
    sources = sources_of(program, "a", "b")
    (body,) = sources.bodies([program["a"].file])
    assert body.bound_before(9) >= {"A"}
    assert sources.bodies([program["b"].file])[0].bound_before(9) >= {"B"}
    assert asked == [2]
    assert sources.bodies([program["bad"].file]) == [None]
    assert asked == [2, 1]
    assert sources.bodies([program["bad"].file, program["a"].file]) == [None, body]
    assert asked == [2, 1]


def test_what_is_asked_for_is_read_even_if_it_is_on_no_cycle(program, asked):
    assert sources_of(program).bodies([program["a"].file])[0] is not None
    assert asked == [1]


def test_a_file_that_cannot_be_parsed_is_a_problem_of_its_module(program):
    sources = sources_of(program, *program)
    assert sources.problems == {}
    sources.bodies([program["a"].file])
    assert list(sources.problems) == ["bad"]
    assert sources.problems["bad"].startswith("cannot be parsed: SyntaxError: ")


def test_an_extension_has_no_source_and_no_problem(program, asked):
    sources = sources_of(program, *program)
    assert sources.bodies([program["fast"].file, ""]) == [None, None]
    assert sources.text(program["fast"].file) is None
    assert (asked, sources.problems) == ([], {})


def test_an_interpreter_that_ends_early_names_what_it_had_not_read(program, monkeypatch):
    monkeypatch.setattr(Probe, "lines", lambda *_, **__: [{"module": "a", "facts": {}}])
    modules = [("a", program["a"].file), ("b", program["b"].file)]
    with pytest.raises(SubjectError, match="ended before it had read the source of b"):
        ask(Probe(python=HERE), "calls", modules, jobs=1)


def test_each_question_reads_more_ahead_than_the_one_before_and_packages_first(tmp_path, asked):
    names = ["p", "p.q", *(f"p.m{number}" for number in range(20))]
    program = {}
    for name in names:
        file = tmp_path / (f"{name}/__init__.py" if name in {"p", "p.q"} else f"{name}.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text("")
        program[name] = Module(name=name, file=str(file))
    sources = sources_of(program, *names)
    sources.bodies([program["p.m19"].file])
    sources.bodies([program["p"].file, program["p.q"].file])
    assert asked == [1 + 4]
    sources.bodies([program["p.m18"].file])
    sources.bodies([program["p.m9"].file])
    assert asked == [1 + 4, 1 + 8, 22 - 14]


def test_files_are_shared_between_processes(program, asked, monkeypatch):
    monkeypatch.setattr(target_sources, "FILES_A_PROCESS", 2)
    modules = [(name, program[name].file) for name in ("a", "b", "bad")]
    answers = ask(Probe(python=HERE), "body", modules, jobs=2)
    assert sorted(asked) == [1, 2]
    assert {name for name, answer in answers.items() if "facts" in answer} == {"a", "b"}


def test_text_of_any_encoding_is_quoted_and_missing_text_is_not(tmp_path):
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    assert read_text(str(tmp_path / "latin.py")) == "# caf\ufffd\n"
    assert read_text(str(tmp_path / "missing.py")) is None
