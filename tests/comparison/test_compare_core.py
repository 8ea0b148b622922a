import random

import pytest
from compared import SHOWN, column, configuration, observation, rows, verdict
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.comparison.compare import compare, single_steps
from python_tsan.comparison.model import Axis, Cell, Seen
from python_tsan.comparison.verified import cell_of, seen_in
from python_tsan.expectation import Outcome
from python_tsan.result.model import Status
from python_tsan.tsan.finding import Kind

KINDS = (
    dict.fromkeys(SHOWN[Seen.RACE]["seen"], Kind.RACE)
    | dict.fromkeys(SHOWN[Seen.LOCK_ORDER]["seen"], Kind.DEADLOCK)
    | dict.fromkeys(SHOWN[Seen.FINDING]["seen"], Kind.THREAD_LEAK)
)


@pytest.mark.parametrize("seen", SHOWN, ids=lambda each: each.name)
def test_what_one_run_of_a_subject_showed(seen):
    assert seen_in(observation(**SHOWN[seen]), KINDS) is seen


def test_the_weightiest_of_several_runs_speaks_with_its_number():
    cell = cell_of(verdict("x", Seen.CLEAN, Seen.RACE, Seen.CLEAN, status=Status.FAILED), KINDS)
    assert (cell.seen, cell.met, cell.runs, cell.as_expected) == (Seen.RACE, 1, 3, False)


def test_what_was_seen_counts_and_not_whether_it_was_expected():
    assert cell_of(verdict("x", Seen.RACE, outcome=Outcome.RACE), KINDS).seen is Seen.RACE
    assert cell_of(verdict("x", Seen.CLEAN, outcome=Outcome.RACE, status=Status.FAILED), KINDS).seen is Seen.CLEAN
    assert cell_of(verdict("x", Seen.CLEAN, status=Status.FAILED, reason="got 3"), KINDS).seen is Seen.OTHER
    assert cell_of(verdict("x", Seen.CLEAN, status=Status.COULD_NOT_JUDGE), KINDS).seen is Seen.DOUBT
    assert cell_of(verdict("x", status=Status.SKIPPED, reason="needs numpy"), KINDS).seen is Seen.SKIPPED


def steps(*configurations):
    return [(each.axis, each.old, each.new) for each in single_steps(configurations)]


def test_a_step_changes_one_thing():
    base, free, gcc = configuration(), configuration(threading="free-threaded"), configuration(compiler="gcc-12")
    assert steps(base, free, gcc) == [(Axis.THREADING, (0,), (1,)), (Axis.COMPILER, (0,), (2,))]
    assert steps(free, gcc) == []


def test_a_step_goes_to_the_next_version_and_from_old_to_new():
    made = [configuration(python=version) for version in ("3.13.5", "3.9.1", "3.13.15")]
    assert steps(*made) == [(Axis.PYTHON, (1,), (0,)), (Axis.PYTHON, (0,), (2,))]


def test_numpy_follows_the_interpreter_and_is_a_step_only_by_itself():
    gil, free = configuration(numpy="2.5.5"), configuration(threading="free-threaded", numpy="2.3.5")
    assert steps(gil, free) == [(Axis.THREADING, (0,), (1,))]
    assert steps(gil, configuration(numpy="2.3.5")) == [(Axis.NUMPY, (1,), (0,))]


def test_a_change_is_put_down_to_the_step_that_alone_makes_it():
    made = compare(
        [
            column("a", cells={"gil/counter_guarded": Seen.CLEAN, "same": Seen.RACE}),
            column("b", cells={"gil/counter_guarded": Seen.RACE, "same": Seen.RACE}, threading="free-threaded"),
            column("c", cells={"gil/counter_guarded": Seen.CLEAN, "same": Seen.RACE}, compiler="gcc-12"),
        ],
        rows("gil/counter_guarded", "same"),
    )
    (change,) = made.changes
    assert made.differing == ("gil/counter_guarded",)
    assert (change.axis, change.before, change.after, change.of) == (Axis.THREADING, Seen.CLEAN, Seen.RACE, 1)
    assert [made.columns[number - 1].run for number in change.steps[0]] == ["a", "b"]
    assert (made.chances, made.unexplained) == ((), ())


def test_luck_is_not_blamed_on_a_step():
    made = compare(
        [
            column("a", cells={"x": Seen.CLEAN}),
            column("b", cells={"x": Seen.RACE}),
            column("c", cells={"x": Seen.RACE}, threading="free-threaded"),
        ],
        rows("x"),
    )
    assert made.changes == ()
    (chance,) = made.chances
    assert chance.counts == {"clean": 1, "race": 1}


def test_what_differs_in_two_respects_at_once_is_put_down_to_neither():
    made = compare(
        [
            column("a", cells={"x": Seen.CLEAN}),
            column("b", cells={"x": Seen.RACE}, threading="free-threaded", compiler="gcc-12", numpy="2.3.5"),
        ],
        rows("x"),
    )
    assert made.changes == ()
    assert made.unexplained[0].axes == (Axis.THREADING, Axis.COMPILER)


def test_bindings_stand_in_the_order_in_which_people_migrate_and_each_step_is_between_neighbours():
    bindings = ("nanobind 3.1.0", "", "another 1.0", "pybind11 3.0.4", "nanobind 2.12.0", "pybind11 2.13.6")
    shown = dict.fromkeys(bindings, Seen.ERROR) | {"nanobind 2.12.0": Seen.CRASH, "nanobind 3.1.0": Seen.CRASH}
    name = "objects/object_copied_unguarded"
    made = compare([column(each, cells={name: seen}, binding=each) for each, seen in shown.items()], rows(name))
    assert [each.configuration.binding for each in made.columns] == [
        "pybind11 2.13.6", "pybind11 3.0.4", "nanobind 2.12.0", "nanobind 3.1.0", "", "another 1.0",
    ]  # fmt: skip
    step = next(change for change in made.changes if change.after is Seen.CRASH)
    assert (step.axis, step.old, step.new) == (Axis.BINDING, "pybind11 3.0.4", "nanobind 2.12.0")
    assert any("pybind11 throws in that thread, nanobind ends the process" in each.says for each in made.meanings)


@pytest.mark.parametrize("silent", [Seen.DOUBT, Seen.SKIPPED])
def test_nothing_is_concluded_from_what_was_not_judged(silent):
    made = compare(
        [column("a", cells={"x": Seen.CLEAN}), column("b", cells={"x": silent}, threading="free-threaded")], rows("x")
    )
    assert (made.differing, made.changes) == ((), ())


def test_the_same_thing_seen_but_not_expected_differs_without_a_change():
    unmet = Cell(seen=Seen.HANG, as_expected=False, detail="no stack")
    made = compare([column("a", cells={"x": Seen.HANG}), column("b", cells={"x": unmet}, python="3.14.1")], rows("x"))
    assert (made.differing, made.changes, made.unexplained) == (("x",), (), ())


CELLS = st.sampled_from(list(Seen))
COLUMNS = st.lists(
    st.builds(
        lambda name, one, two, python, threading, compiler: column(
            name, cells={"x": one, "y": two}, python=python, threading=threading, compiler=compiler
        ),
        st.uuids().map(str),
        CELLS,
        CELLS,
        st.sampled_from(["3.11.2", "3.13.5", "3.14.0"]),
        st.sampled_from(["GIL", "free-threaded"]),
        st.sampled_from(["clang-19", "gcc-12"]),
    ),
    min_size=2,
    max_size=12,
)


@given(COLUMNS, st.randoms(use_true_random=False))
def test_the_order_in_which_runs_are_named_changes_nothing(columns, chance: random.Random):
    shuffled = columns[:]
    chance.shuffle(shuffled)
    assert compare(shuffled, rows("x", "y")) == compare(columns, rows("x", "y"))


@given(COLUMNS)
def test_every_change_is_between_runs_alike_in_all_else_and_shows_what_it_says(columns):
    made = compare(columns, rows("x", "y"))
    for change in made.changes:
        assert 0 < len(change.steps) <= change.of
        for old, new in change.steps:
            one, two = made.columns[old - 1], made.columns[new - 1]
            differ = [axis for axis in Axis if one.configuration.value(axis) != two.configuration.value(axis)]
            assert differ == [change.axis]
            assert change.before is not change.after
            assert change.row in made.differing
    spoken = {row for meaning in made.meanings for row in meaning.rows}
    assert spoken == {change.row for change in made.changes}
