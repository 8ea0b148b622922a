"""Scans of small package trees by real processes: what is predicted, and what directed runs say of it."""

import sys
from itertools import permutations

import pytest

from python_tsan.imports.hazards import Hazard, Model, predict
from python_tsan.imports.measure import identify
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.probe import Probe
from python_tsan.imports.proof import Answer, weigh
from python_tsan.imports.requests import Manner, merge, read_trace
from python_tsan.imports.rules import rules_of
from python_tsan.imports.scan import read_source, scan
from python_tsan.imports.steps import Phase, Point

HERE = identify([sys.executable])
BY_NAME = "from importlib import import_module\n\nOTHER = import_module({!r})\n"

# name: (files, entries, whether a pair of these entries is a hazard up to 3.14)
CORPUS = {
    "barrel": (
        {"p/__init__.py": "from .a import A\nfrom .b import B\n", "p/a.py": "A = 1\n", "p/b.py": "B = 2\n"},
        "p.a p.b",
        True,
    ),
    "empty_parent": ({"p/__init__.py": "", "p/a.py": "A = 1\n", "p/b.py": "B = 2\n"}, "p.a p.b", False),
    "lazy_parent": (
        {
            "p/__init__.py": "def __getattr__(name):\n    from . import a\n\n    return a\n",
            "p/a.py": "A = 1\n",
            "p/b.py": "B = 2\n",
        },
        "p.a p.b",
        False,
    ),
    "in_function": ({"a.py": "def f():\n    import b\n", "b.py": "import a\n"}, "a b", False),
    "namespace": ({"n/a.py": "A = 1\n", "n/b.py": "from n import a\n"}, "n.a n.b", False),
    "relative": ({"p/__init__.py": "from . import a\n", "p/a.py": "", "p/b.py": "from . import a\n"}, "p.a p.b", True),
    "star": ({"p/__init__.py": "from .a import *\n", "p/a.py": "A = 1\n", "p/b.py": ""}, "p p.a", True),
    "by_name": ({"a.py": BY_NAME.format("b"), "b.py": BY_NAME.format("a")}, "a b", True),
    "by_name_gated": (
        {
            "gate.py": "import a\nimport b\n",
            "a.py": BY_NAME.format("b"),
            "b.py": BY_NAME.format("a"),
            "x.py": "import gate\n",
            "y.py": "import gate\n",
        },
        "x y",
        False,
    ),
    "tried": ({"p/__init__.py": "try:\n    import p.a\nexcept ImportError:\n    pass\n", "p/a.py": ""}, "p p.a", True),
    "chain": ({f"c{n}.py": f"import c{n + 1}\n" if n < 9 else "" for n in range(10)}, "c0 c5", False),
    "legal_cycle": ({"a.py": "A = 1\nimport b\n", "b.py": "B = 2\nimport a\n"}, "a b", False),
    "cycle_with_names": ({"a.py": "A = 1\nfrom b import B\n", "b.py": "B = 2\nfrom a import A\n"}, "a b", False),
}


def write(folder, files):
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return Probe(python=HERE, path=(folder,))


def every_run_goes_well(probe, program, entries):
    """Stop T1 at every place there is, whatever the model says of it, and see whether anything goes wrong."""
    for first, second in permutations(entries, 2):
        for module in program:
            for phase in (Phase.CREATING, Phase.EXECUTING):
                stop = Point(phase=phase, module=module)
                hazard = Hazard(
                    first=first,
                    second=second,
                    stop=stop,
                    awaited="",
                    closing="",
                    outcome=ImportOutcome.ERROR,
                    chains=((), ()),
                )
                if weigh([probe.confirm(hazard)]).answer is Answer.CONFIRMED:
                    return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPUS)
def test_a_prediction_is_what_directed_runs_show(name, tmp_path):
    files, names, hazardous = CORPUS[name]
    entries = tuple(names.split())
    probe = write(tmp_path, files)
    program = merge(read_trace(probe.trace([entry])) for entry in entries)
    model = Model(program=program, rules=rules_of(HERE.version), read=read_source)
    hazards = list(predict(model, entries))
    if not hazards:
        assert every_run_goes_well(probe, program, entries)
    for hazard in hazards:
        proof = weigh([probe.confirm(hazard)])
        assert proof.answer is Answer.CONFIRMED, hazard
        assert proof.outcome is hazard.outcome
        assert proof.thread == "T1"
        assert hazard.closing in proof.error
    if HERE.version < (3, 15):
        assert bool(hazards) == hazardous


def test_a_hazard_comes_with_both_chains_and_the_lines_of_their_imports(tmp_path):
    files, names, _ = CORPUS["by_name"]
    found = scan(write(tmp_path, files), names.split(), runs=1)
    hazard = found.findings[0].hazard
    assert (hazard.first, hazard.second, hazard.awaited, hazard.closing) == ("a", "b", "a", "b")
    assert [link.module for link in hazard.chains[0]] == ["a"]
    assert [link.module for link in hazard.chains[1]] == ["b"]
    proof = found.findings[0].proof
    assert proof.seen == proof.runs == 1
    assert proof.where == f"{tmp_path / 'a.py'}:3"


def test_what_a_file_asks_for_is_seen_with_its_line_even_when_it_is_there_already(tmp_path):
    probe = write(tmp_path, {"first.py": "import os\n\nfrom second import NAME\n", "second.py": "NAME = 1\n"})
    program = read_trace(probe.trace(["first"]))
    asked = [(each.module, each.manner, each.line, each.names) for each in program["first"].requests]
    assert asked == [("os", Manner.STATEMENT, 1, ()), ("second", Manner.STATEMENT, 3, ("NAME",))]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "ModuleNotFoundError"),
        ("raise ValueError('no display')\n", "ValueError: no display"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("import os\nos._exit(7)\n", "exit 7"),
    ],
)
def test_an_entry_that_fails_is_told_and_the_others_are_scanned(text, problem, tmp_path):
    files, names, _ = CORPUS["by_name"]
    probe = write(tmp_path, files if text is None else {**files, "bad.py": text})
    found = scan(probe, ["bad", *names.split()])
    assert problem in found.problems["bad"]
    assert list(found.problems) == ["bad"]
    assert len(found.findings) == (2 if HERE.version < (3, 15) else 0)


def test_a_module_that_prints_megabytes_does_not_spoil_the_trace(tmp_path):
    probe = write(tmp_path, {"loud.py": "import sys\nprint('x' * 2_000_000)\nsys.stderr.write('y' * 2_000_000)\n"})
    assert scan(probe, ["loud"]).problems == {}


def test_a_module_that_every_process_has_already_is_no_entry(tmp_path):
    assert "before any program" in scan(Probe(python=HERE, path=(tmp_path,)), ["os"]).problems["os"]


def test_a_stop_that_is_never_reached_refutes_nothing(tmp_path):
    files, names, _ = CORPUS["empty_parent"]
    probe = write(tmp_path, files)
    first, second = names.split()
    hazard = Hazard(
        first=first,
        second=second,
        stop=Point(phase=Phase.EXECUTING, module="elsewhere"),
        awaited="",
        closing="",
        outcome=ImportOutcome.ERROR,
        chains=((), ()),
    )
    assert weigh([probe.confirm(hazard)]).answer is Answer.NOT_REACHED


@pytest.mark.skipif(HERE.version >= (3, 15), reason="3.15 hands out the half-made module")
@pytest.mark.parametrize(("statement", "answer"), [("import p.sub", "confirmed"), ("from p.sub import N", "refuted")])
def test_an_import_of_a_dotted_name_really_waits_for_its_package_at_its_end(statement, answer, tmp_path):
    files = {"p/__init__.py": BY_NAME.format("m"), "p/sub.py": "N = 1\n", "m.py": f"{statement}\n"}
    probe = write(tmp_path, files)
    hazard = Hazard(
        first="p",
        second="m",
        stop=Point(phase=Phase.EXECUTING, module="p"),
        awaited="p",
        closing="m",
        outcome=ImportOutcome.ERROR,
        chains=((), ()),
    )
    child_waits = HERE.version >= (3, 13, 16)
    assert weigh([probe.confirm(hazard)]).answer.value == ("confirmed" if child_waits else answer)


def test_the_proof_has_the_graph_and_both_stacks_at_the_moment_when_the_cycle_closed(tmp_path):
    files = {"bp/__init__.py": "NAME = 1\nfrom .sub import Y\n", "bp/sub.py": "from bp import NAME\nY = 2\n"}
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    found = scan(Probe(python=HERE, path=(tmp_path,)), ["bp", "bp.sub"], runs=1)
    proof = found.findings[0].proof
    assert {(each.thread, each.module, each.holder) for each in proof.graph} == {
        ("T1", "bp.sub", "T2"),
        ("T2", "bp", "T1"),
    }
    stacks = {stack.thread: [(frame.line, frame.function) for frame in stack.frames] for stack in proof.stacks}
    assert stacks == {"T1": [(2, "<module>")], "T2": []}
    assert proof.error == "_DeadlockError: deadlock detected by _ModuleLock('bp.sub')"
