"""The search leaves schedules out; on programs made at random it misses none of what a search of all of them finds."""

from dataclasses import replace
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from text_sources import TextSources

from python_tsan.imports.model.program_model import FIRST, Model
from python_tsan.imports.model.requests import ImportRequest, LoadStage, Manner, Module
from python_tsan.imports.model.rules import rules_of
from python_tsan.imports.model.steps import GLOBAL, Point
from python_tsan.imports.search.prediction import predict
from python_tsan.imports.search.schedules import Pair, try_schedule

NAMES = ("p", "p.x", "p.y", "p.z", "q", "q.x", "a", "b", "n", "n.s")
BARE = {"n"}  # without a file or requests, as a namespace package is
RULES = st.sampled_from([rules_of(version) for version in ((3, 12, 0), (3, 14, 0), (3, 15, 2))])
ATTRIBUTES = ("V", "x", "y", "z", "s")


@st.composite
def asked(draw, file, line, *, stages):
    target = draw(st.sampled_from(NAMES))
    names = draw(st.sampled_from([(), (), (draw(st.sampled_from(ATTRIBUTES)),)]))
    manner = draw(st.sampled_from([Manner.STATEMENT, Manner.STATEMENT, Manner.BY_NAME]))
    stage = draw(st.sampled_from(stages))
    return ImportRequest(
        module=target,
        manner=manner,
        file=file,
        line=line,
        names=names if manner is Manner.STATEMENT else (),
        stage=stage,
    )


def as_text(request, line):
    if request is None or request.line != line or request.stage is not LoadStage.BODY:
        return "V = 1" if request is None else "pass"
    if request.manner is Manner.BY_NAME:
        return f"import_module({request.module!r})"
    if request.names:
        return f"from {request.module} import {', '.join(request.names)}"
    return f"import {request.module}; {request.module}.V"


@st.composite
def models(draw):
    finders = draw(st.booleans())
    stages = [*[LoadStage.BODY] * 5, LoadStage.CREATE, *([LoadStage.FIND] if finders else [])]
    program, sources = {}, {}
    for name in NAMES:
        file = "" if name in BARE else f"/{name.replace('.', '/')}.py"
        count = 0 if name in BARE else draw(st.integers(0, 4 if name in {"p", "q"} else 2))
        binds = draw(st.integers(0, 3))
        requests = tuple(draw(asked(file, line + (line > binds), stages=stages)) for line in range(1, count + 1))
        by_line = {request.line: request for request in requests}
        sources[file] = "\n".join(as_text(by_line.get(line), line) for line in range(1, 7))
        program[name] = Module(name=name, file=file, requests=requests)
    calls = {"a:f": tuple(draw(asked("/a.py", 9, stages=[LoadStage.BODY])) for _ in range(2))}
    calls["a:g"] = (draw(asked("/a.py", 9, stages=[LoadStage.BODY])),)
    model = Model(program=program, rules=draw(RULES), sources=TextSources(sources), calls=calls, finders_import=finders)
    return model.after([draw(st.sampled_from(NAMES))] if draw(st.booleans()) else [])


ENTRIES = st.lists(st.sampled_from([*NAMES, "a:f", "a:g"]), min_size=2, max_size=4, unique=True).map(tuple)


def exhaustively(model, entries):
    """Return the two locks of every hazard that any stop of any pair leads to."""
    found = set()
    for first, second in permutations(entries, 2):
        for number, step in enumerate(model.start(model.machine(), FIRST, first)):
            if isinstance(step, Point):
                hazard = try_schedule(model, Pair(first, second), number).hazard
                found |= {hazard.locks} if hazard else set()
    return found


@settings(max_examples=300, deadline=None)
@given(models(), ENTRIES)
def test_the_search_finds_what_a_search_that_leaves_nothing_out_finds(model, entries):
    assert {hazard.locks for hazard in predict(model, entries)} == exhaustively(model, entries)


def written(version, bodies):
    """Return a model of modules whose lines are ``import x``, ``by name x`` or other text."""
    program, sources = {}, {}
    for name, lines in bodies.items():
        file = f"/{name}.py"
        sources[file] = "\n".join(lines)
        requests = tuple(
            ImportRequest(
                module=line.split()[-1],
                manner=Manner.BY_NAME if line.startswith("by name") else Manner.STATEMENT,
                file=file,
                line=number,
            )
            for number, line in enumerate(lines, 1)
            if line.startswith(("by name", "import"))
        )
        program[name] = Module(name=name, file=file, requests=requests)
    return Model(program=program, rules=rules_of(version), sources=TextSources(sources))


def test_what_the_second_thread_holds_distinguishes_trials():
    model = written((3, 12, 0), {"w": ["by name i", "by name k"], "i": ["by name k"], "k": ["import w"]})
    entries = ("w", "i", "k")
    assert {hazard.locks for hazard in predict(model, entries)} == exhaustively(model, entries)
    assert {("w", "i"), ("w", "k")} <= exhaustively(model, entries)


def test_what_the_first_thread_was_doing_before_distinguishes_trials():
    # From g, w finds g begun and goes on to i; by itself it loads g, which asks for k first.
    bodies = {
        "g": ["by name w", "by name k"],
        "w": ["import g", "by name i", "by name k"],
        "i": ["by name k"],
        "k": ["import w"],
    }
    model = written((3, 12, 0), bodies)
    entries = ("g", "w", "i")
    assert {hazard.locks for hazard in predict(model, entries)} == exhaustively(model, entries)
    assert {("w", "i"), ("w", "k")} <= exhaustively(model, entries)


def test_what_waiting_bodies_call_distinguishes_trials():
    # Both ask for p as a parent, so that p is brought in alike.
    bodies = {
        "quiet": ["import p.c"],
        "calls": ["import p.c", "p.use()"],
        "p": ["import k", "def use():", "    return k.V"],
        "p.c": [],
        "k": ["import p", "V = 1"],
    }
    model = written((3, 15, 2), bodies)
    assert [hazard.first for hazard in predict(model, ("quiet", "k"))] == []
    assert [hazard.locks for hazard in predict(model, ("quiet", "calls", "k"))] == [("p", "k")]


def test_a_module_found_absent_is_asked_for_though_the_other_thread_has_loaded_it():
    # T1 has found q absent; T2 loads q, once p's body runs, and looks for r in a finder that needs p of T1.
    wants = ImportRequest(module="p", manner=Manner.STATEMENT, file="/f.py", line=1, stage=LoadStage.FIND)
    model = written(
        (3, 12, 0), {"p": ["import q"], "p.z": [], "q": ["by name p.z"], "b": ["import q", "import r"], "r": []}
    )
    program = {**model.program, "r": Module(name="r", file="/r.py", requests=(wants,))}
    model = Model(program=program, rules=model.rules, sources=model.sources, finders_import=True)
    assert ("p", GLOBAL) in exhaustively(model, ("p", "b"))
    assert {hazard.locks for hazard in predict(model, ("p", "b"))} == exhaustively(model, ("p", "b"))


def test_the_line_at_which_the_second_thread_stands_distinguishes_trials():
    # From u, k has bound V before it asks for w; by itself it waits for u, which asks for w, and has not.
    bodies = {"w": ["import k", "k.V"], "u": ["import k", "import w"], "k": ["import u", "V = 1", "import w"]}
    model = written((3, 15, 2), bodies)
    entries = ("w", "u", "k")
    assert ("w", "k") in exhaustively(model, entries)
    assert {hazard.locks for hazard in predict(model, entries)} == exhaustively(model, entries)


def test_what_the_second_thread_has_completed_distinguishes_trials():
    # From g, the second thread loads d, which w then finds complete; from k, it asks for w before it comes to d.
    bodies = {
        "w": ["import d"],
        "d": ["by name k"],
        "g": ["import k", "import w"],
        "k": ["import j"],
        "j": ["import g", "import d", "import w"],
    }
    model = written((3, 12, 0), bodies)
    entries = ("w", "g", "k")
    assert ("w", "k") in exhaustively(model, entries)
    assert {hazard.locks for hazard in predict(model, entries)} == exhaustively(model, entries)


def test_the_parent_of_an_entry_needs_nobody_else_who_asks_for_it():
    model = written((3, 15, 2), {"w": ["import p", "p.V"], "p": ["import w", "V = 1"], "p.x": []})
    assert ("w", "p") in exhaustively(model, ("w", "p.x"))
    assert {hazard.locks for hazard in predict(model, ("w", "p.x"))} == exhaustively(model, ("w", "p.x"))


def test_what_the_first_thread_had_begun_before_and_only_meets_later_distinguishes_trials():
    # Both come to w by x. From d, w finds d begun; from x, it loads d, which asks for k.
    bodies = {
        "d": ["import x", "by name k"],
        "x": ["import w"],
        "w": ["import i", "import d"],
        "k": ["import i"],
        "i": ["import w"],
    }
    model = written((3, 12, 0), bodies)
    entries = ("d", "x", "k")
    assert ("w", "k") in exhaustively(model, entries)
    assert {hazard.locks for hazard in predict(model, entries)} == exhaustively(model, entries)


def test_calls_of_the_second_thread_are_not_taken_for_each_other():
    model = written((3, 12, 0), {"p": ["import b"], "b": ["import p.y"], "p.y": [], "a": []})
    f, g = (ImportRequest(module=name, manner=Manner.STATEMENT, file="/a.py", line=1) for name in ("p.y", "b"))
    model = replace(model, calls={"a:f": (f,), "a:g": (g,)})
    entries = ("p", "a:f", "a:g")
    assert ("p", "b") in exhaustively(model, entries)
    assert {hazard.locks for hazard in predict(model, entries)} == exhaustively(model, entries)


def test_the_lock_that_the_second_thread_waits_for_distinguishes_trials():
    # p and q are both brought in as parents of an entry, by as many steps.
    bodies = {
        "p": ["import p.y"],
        "p.x": [],
        "p.y": ["import q", "import a"],
        "q": ["import a"],
        "q.x": [],
        "a": ["import q", "import p"],
    }
    model = written((3, 12, 0), bodies)
    entries = ("a", "q.x", "p.x")
    assert ("q", "p") in exhaustively(model, entries)
    assert {hazard.locks for hazard in predict(model, entries)} == exhaustively(model, entries)


def test_how_a_module_is_brought_in_distinguishes_trials():
    # By name, q.x waits for a parent that is being executed with an error at the end of a cycle; by statement, without.
    model = written((3, 14, 0), {"p": ["import q.x"], "q": ["import p"], "q.x": [], "a": []})
    f, g = (ImportRequest(module=name, manner=Manner.BY_NAME, file="/a.py", line=1) for name in ("q", "q.x"))
    model = replace(model, calls={"a:f": (f,), "a:g": (g,)})
    entries = ("a:g", "a:f", "p", "q.x")
    assert ("q.x", "q") in exhaustively(model, entries)
    assert {hazard.locks for hazard in predict(model, entries)} == exhaustively(model, entries)
