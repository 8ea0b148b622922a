"""Findings compared with expected ones, and both in words."""

import pytest
from msgspec.structs import replace
from observed import RACY_TWIN, finding

from python_tsan.expectation import ExpectedFinding
from python_tsan.result.matching import (
    compare_findings,
    covered,
    describe_expected,
    describe_finding,
    matches,
    missing,
)
from python_tsan.tsan.finding import Kind, Location, LocationKind, Stack

EXPECTED = RACY_TWIN.findings[0]
RACE = finding()
WORDS = "a data race (read, write) on python_tsan::g_racy_counter in python_tsan::increment_unguarded"


def test_a_finding_is_described_by_kind_sides_memory_and_functions():
    assert describe_finding(RACE) == WORDS
    write, read = RACE.accesses[1], RACE.accesses[0]
    other = replace(write, stack=replace(write.stack, frames=finding(function="other").accesses[0].stack.frames))
    assert describe_finding(replace(RACE, accesses=(read, other))) == f"{WORDS}, python_tsan::other"


def test_a_finding_without_some_parts_is_described_by_the_others():
    heap = Location(kind=LocationKind.HEAP, text="heap block of size 8")
    assert describe_finding(replace(RACE, locations=(heap,), accesses=())) == "a data race on heap block"
    assert describe_finding(replace(RACE, locations=(), accesses=())) == "a data race"
    two = replace(RACE, locations=(*RACE.locations, heap), accesses=())
    assert describe_finding(two) == "a data race on python_tsan::g_racy_counter, heap block"
    unknown = replace(RACE.accesses[0], stack=Stack(restored=False))
    assert describe_finding(replace(RACE, locations=(), accesses=(unknown,))) == "a data race (read) in ?"


def test_an_expected_finding_is_described_by_what_it_names():
    assert describe_expected(EXPECTED) == "a data race (read, write) on g_racy_counter in increment_unguarded"
    assert describe_expected(ExpectedFinding(kind="thread leak")) == "a thread leak"


@pytest.mark.parametrize(
    ("sought", "met"),
    [
        (ExpectedFinding(kind="data race"), True),
        (ExpectedFinding(kind="thread leak"), False),
        (ExpectedFinding(kind="data race", location="python_tsan::g_racy_counter"), True),
        (ExpectedFinding(kind="data race", location="racy_counter"), False),
        (ExpectedFinding(kind="data race", function="increment_unguarded"), True),
        (ExpectedFinding(kind="data race", function="other"), False),
        (ExpectedFinding(kind="data race", accesses=("write", "read")), True),
        (ExpectedFinding(kind="data race", accesses=("write",)), False),
    ],
    ids=str,
)
def test_an_expected_finding_is_met_by_all_that_it_names(sought, met):
    assert matches(sought, RACE) is met


def test_a_function_must_be_in_every_access():
    half = replace(RACE, accesses=(RACE.accesses[0], finding(function="other").accesses[1]))
    assert not matches(ExpectedFinding(kind="data race", function="increment_unguarded"), half)
    assert not matches(ExpectedFinding(kind="data race", function="increment_unguarded"), replace(RACE, accesses=()))


def test_one_of_several_locations_is_enough():
    heap = Location(kind=LocationKind.HEAP, text="heap block of size 8")
    both = replace(RACE, locations=(heap, *RACE.locations))
    assert matches(EXPECTED, both)
    assert not matches(EXPECTED, replace(RACE, locations=(heap,)))


def test_differences_are_described_and_like_findings_counted():
    other = finding(location="other")
    assert compare_findings([EXPECTED], [other, RACE]) == f"unexpected: {describe_finding(other)}"
    assert compare_findings([], [RACE, RACE, other]) == f"unexpected: {WORDS} (2 times); {describe_finding(other)}"
    assert compare_findings([EXPECTED, EXPECTED], [RACE]) == f"expected {describe_expected(EXPECTED)}, saw none"
    assert (
        compare_findings([EXPECTED], [other])
        == f"expected {describe_expected(EXPECTED)}, saw {describe_finding(other)}"
    )
    assert compare_findings([EXPECTED], [RACE]) == ""
    assert compare_findings([], []) == ""


def test_an_expected_finding_covers_those_that_are_it_and_is_missing_without():
    expectation = replace(RACY_TWIN, findings=(EXPECTED, ExpectedFinding(kind="thread leak")))
    findings = {"one": RACE, "two": finding(location="other"), "three": replace(RACE, pid=5)}
    assert covered(expectation, findings) == (frozenset({"one", "three"}), frozenset())
    assert list(missing(expectation, findings.values())) == ["a thread leak"]
    assert list(missing(expectation, iter([findings["two"]]))) == [describe_expected(EXPECTED), "a thread leak"]


def test_a_finding_of_the_recorder_is_met_by_any_function_on_its_stacks():
    stack = replace(RACE.accesses[0].stack, frames=(*finding(function="outer").accesses[0].stack.frames,))
    kind = next(each for each in Kind if each.is_recorded)
    recorded = replace(RACE, kind=kind, accesses=(), stacks=(Stack(restored=False), RACE.accesses[0].stack, stack))
    sought = ExpectedFinding(kind=kind.value, function="outer")
    assert matches(sought, recorded)
    assert matches(replace(sought, function="increment_unguarded"), recorded)
    assert not matches(replace(sought, function="inner"), recorded)
    assert not matches(sought, replace(recorded, stacks=()))
    assert not matches(replace(sought, kind="data race"), recorded)
