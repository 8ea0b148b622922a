"""The judge of a mutation run is red for too few kills, an unargued survivor and an argument without its mutant."""

from tools.mutants import Argument, Mutant, changed_line, problems, read_results

KILLED = [Mutant(name=f"a.b.x_f__mutmut_{number}", status="killed") for number in range(1, 40)]
SURVIVOR = Mutant(name="a.b.x__g__mutmut_3", status="survived", change='return "XX"')
ARGUMENT = Argument(function="a.b._g", change='"XX"', reason="nobody reads it")


def test_results_are_read_with_their_status():
    text = "    a.b.x_f__mutmut_1: killed\n    a.b.x__g__mutmut_3: survived\n    a.xǁCǁh__mutmut_1: no tests\n"
    assert [(each.function, each.status) for each in read_results(text)] == [
        ("a.b.f", "killed"),
        ("a.b._g", "survived"),
        ("a.ǁCǁh", "no tests"),
    ]


def test_the_changed_line_is_what_the_mutant_adds():
    diff = '# a.b.x__g__mutmut_3: survived\n--- a/b.py\n+++ a/b.py\n def _g():\n-    return ""\n+    return "XX"\n'
    assert changed_line(diff) == 'return "XX"'
    assert changed_line("--- a\n+++ a\n-    return 1\n") == "return 1"


def test_a_run_with_argued_survivors_passes():
    assert list(problems([*KILLED, SURVIVOR], [ARGUMENT])) == []


def test_a_survivor_without_an_argument_is_a_problem():
    assert list(problems([*KILLED, SURVIVOR], [])) == ['survived: a.b.x__g__mutmut_3: return "XX"']


def test_a_mutant_without_tests_is_a_survivor():
    (line,) = problems([*KILLED, Mutant(name="a.b.x_h__mutmut_1", status="no tests")], [])
    assert line.startswith("no tests: a.b.x_h__mutmut_1")


def test_an_argument_for_a_mutant_that_is_killed_is_a_problem():
    (line,) = problems(KILLED, [ARGUMENT])
    assert "does not survive: a.b._g" in line


def test_too_few_kills_are_a_problem_even_if_all_are_argued():
    assert list(problems([*KILLED[:18], SURVIVOR], [ARGUMENT])) == [
        "94.7% of 19 mutants were killed, at least 95% are required"
    ]
    assert list(problems([*KILLED[:19], SURVIVOR], [ARGUMENT])) == []


def test_a_run_without_mutants_is_a_problem():
    assert list(problems([], [])) == ["no mutant was run"]
