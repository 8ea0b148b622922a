"""How a scan reads in its three forms."""

import json

from python_tsan.imports.hazards import Hazard, Link, Model
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.proof import Answer, Proof
from python_tsan.imports.rules import rules_of
from python_tsan.imports.scan import Finding, Scan
from python_tsan.imports.steps import Phase, Point
from python_tsan.imports.told import Format, standing, tell

HAZARD = Hazard(
    first="a",
    second="b",
    stop=Point(phase=Phase.EXECUTING, module="a"),
    awaited="a",
    closing="b",
    outcome=ImportOutcome.ERROR,
    chains=((Link(module="a", place=""), Link(module="c", place="a.py:3")), (Link(module="b", place=""),)),
)
CONFIRMED = Proof(
    answer=Answer.CONFIRMED,
    seen=2,
    runs=3,
    thread="T1",
    error="_DeadlockError: x|y",
    where="a.py:3",
    graph=("T1 waits",),
)
REFUTED = Proof(answer=Answer.REFUTED, seen=0, runs=3)


def found(*proofs, problems=None, main=()):
    return Scan(
        python="3.13.0",
        entries=("a", "b"),
        modules=7,
        problems=problems or {},
        findings=tuple(Finding(hazard=HAZARD, proof=proof) for proof in proofs),
        main=main,
        model=Model(program={}, rules=rules_of((3, 13, 0)), read=lambda _: None),
    )


def test_a_terminal_shows_the_chains_and_what_runs_said():
    assert tell(found(CONFIRMED, REFUTED, main=("z",)), Format.TERMINAL).splitlines() == [
        "a against b: error at the import of b",
        "  T1 a > c (a.py:3)",
        "  T2 b",
        "  T2 waits for a, T1 for b",
        "  confirmed 2 of 3: _DeadlockError: x|y",
        "  at a.py:3",
        "a against b: error at the import of b",
        "  T1 a > c (a.py:3)",
        "  T2 b",
        "  T2 waits for a, T1 for b",
        "  refuted 0 of 3",
        "Python 3.13.0: 1 hazards between 2 entries after z, 7 modules; 1 more were predicted and refuted",
    ]


def test_json_has_everything_and_null_where_no_run_was_made():
    told = json.loads(tell(found(CONFIRMED, None, problems={"c": "no such module"}), Format.JSON))
    assert (told["format"], told["version"], told["python"]) == ("python-tsan-imports", 1, "3.13.0")
    assert (told["entries"], told["modules"], told["standing"]) == (["a", "b"], 7, 2)
    assert told["problems"] == {"c": "no such module"}
    first, second = told["hazards"]
    assert first["threads"][0] == {
        "thread": "T1",
        "imports": "a",
        "waits_for": "b",
        "chain": [{"module": "a", "where": ""}, {"module": "c", "where": "a.py:3"}],
    }
    assert first["threads"][1]["waits_for"] == "a"
    assert (first["proof"]["answer"], first["proof"]["seen"], first["proof"]["graph"]) == ("confirmed", 2, ["T1 waits"])
    assert second["proof"] is None


def test_markdown_keeps_its_tables_whole():
    told = tell(found(CONFIRMED, None, problems={"c": "bad | name\nmore"}), Format.MARKDOWN)
    assert "| `c` | bad \\| name more |" in told
    assert "| `a` | `b` | error | `b` | `a` | confirmed 2 of 3: _DeadlockError: x\\|y |" in told
    assert "| `a` | `b` | error | `b` | `a` | predicted |" in told
    for line in told.splitlines():
        if line.startswith("| `a`"):
            assert line.replace("\\|", "").count("|") == 7
    assert tell(found(), Format.MARKDOWN) == "Python 3.13.0: 0 hazards between 2 entries, 7 modules."


def test_only_what_is_refuted_does_not_stand():
    not_reached = Proof(answer=Answer.NOT_REACHED, seen=0, runs=1)
    scan = found(CONFIRMED, REFUTED, None, not_reached)
    assert [each.proof for each in standing(scan)] == [CONFIRMED, None, not_reached]
