"""The model of the import system: what one thread does alone, where it waits, and who closes a cycle."""

from dataclasses import replace

import pytest

from python_tsan.imports.model.import_system import ImportSystem
from python_tsan.imports.model.requests import ImportRequest, LoadStage, Manner, Module
from python_tsan.imports.model.rules import rules_of
from python_tsan.imports.model.steps import Deadlock, Phase, Point, Waiting

CLASSIC, WAITING, ORDERED = rules_of((3, 12, 11)), rules_of((3, 14, 0)), rules_of((3, 15, 2))


def asks(module, *names, manner=Manner.STATEMENT, line=1, stage=LoadStage.BODY):
    return ImportRequest(module=module, manner=manner, file="f.py", line=line, names=names, stage=stage)


def program_of(**bodies):
    return {
        name.replace("__", "."): Module(name=name.replace("__", "."), requests=tuple(requests))
        for name, requests in bodies.items()
    }


def executed(steps):
    return [step.module for step in steps if isinstance(step, Point) and step.phase is Phase.EXECUTING]


@pytest.mark.parametrize(
    ("version", "same_as"),
    [
        ((3, 9, 0), CLASSIC),
        ((3, 13, 15), CLASSIC),
        ((3, 13, 16), WAITING),
        ((3, 14, 9), WAITING),
        ((3, 15, -1), replace(ORDERED, by_name_accepts_partial=False)),
        ((3, 15, 0), ORDERED),
    ],
)
def test_the_rules_change_where_cpython_changed(version, same_as):
    assert rules_of(version) == same_as


@pytest.mark.parametrize("rules", [CLASSIC, WAITING, ORDERED])
def test_a_lone_thread_never_waits_and_executes_each_module_once_parents_first(rules):
    program = program_of(pkg=[asks("pkg.a")], pkg__a=[asks("pkg.b", manner=Manner.BY_NAME)], pkg__b=[asks("pkg")])
    machine = ImportSystem(program, rules)
    steps = list(machine.start("T1", "pkg.b"))
    assert not any(isinstance(step, Waiting) for step in steps)
    order = executed(steps)
    assert order[0] == "pkg"
    assert sorted(order) == ["pkg", "pkg.a", "pkg.b"]
    assert machine.held_by("T1") == []


def test_a_child_is_locked_before_its_parent_up_to_3_14_and_after_it_from_3_15():
    program = program_of(pkg=[], pkg__a=[])
    for rules, held in ((CLASSIC, ["pkg.a", "pkg"]), (WAITING, ["pkg.a", "pkg"]), (ORDERED, ["pkg"])):
        machine = ImportSystem(program, rules)
        steps = machine.start("T1", "pkg.a")
        next(step for step in steps if step.phase is Phase.CREATING)
        assert machine.held_by("T1") == held


def test_a_name_taken_from_a_package_is_asked_for_when_it_is_a_module():
    program = program_of(pkg=[], pkg__a=[], main=[asks("pkg", "a", "other")])
    assert executed(ImportSystem(program, CLASSIC).start("T1", "main")) == ["main", "pkg", "pkg.a"]


def test_requests_of_a_module_that_is_being_created_come_before_its_body():
    program = program_of(ext=[asks("late"), asks("early", stage=LoadStage.CREATE)], early=[], late=[])
    assert executed(ImportSystem(program, CLASSIC).start("T1", "ext")) == ["early", "ext", "late"]


@pytest.mark.parametrize("rules", [CLASSIC, WAITING, ORDERED])
def test_a_module_that_its_parent_brings_in_makes_its_requests_before_its_body_all_the_same(rules):
    # Up to 3.14 it stands twice on the stack: the first time it waits for its parent, and is not being created yet.
    program = program_of(pkg=[asks("pkg.ext")], pkg__ext=[asks("early", stage=LoadStage.CREATE)], early=[])
    assert executed(ImportSystem(program, rules).start("T1", "pkg.ext")) == ["pkg", "early", "pkg.ext"]


@pytest.mark.parametrize("rules", [CLASSIC, WAITING, ORDERED])
@pytest.mark.parametrize("stage", [LoadStage.FIND, LoadStage.CREATE])
def test_a_module_that_is_asked_for_while_it_is_found_or_created_does_not_ask_again(rules, stage):
    program = program_of(ext=[asks("other", stage=stage)], other=[asks("ext", stage=stage), asks("last")], last=[])
    steps = ImportSystem(program, rules, finders_import=True).start("T1", "ext")
    assert set(executed(steps)) == {"ext", "other", "last"}


KEPT = []


def stopped(machine, first, stop, second):
    one, two = machine.start("T1", first), machine.start("T2", second)
    next(step for step in one if step == stop)
    # A generator that nobody keeps is closed, and would give its locks back.
    KEPT.append(two)
    return one, next((step for step in two if isinstance(step, Waiting)), None)


@pytest.mark.parametrize("rules", [CLASSIC, WAITING])
def test_the_cold_window_deadlocks_up_to_3_14(rules):
    machine = ImportSystem(program_of(pkg=[asks("pkg.sub")], pkg__sub=[]), rules)
    one, waiting = stopped(machine, "pkg", Point(phase=Phase.CREATING, module="pkg"), "pkg.sub")
    assert waiting == Waiting(module="pkg")
    with pytest.raises(Deadlock) as caught:
        list(one)
    assert caught.value.module == "pkg.sub"


def test_the_cold_window_is_closed_in_3_15():
    machine = ImportSystem(program_of(pkg=[asks("pkg.sub")], pkg__sub=[]), ORDERED)
    one, waiting = stopped(machine, "pkg", Point(phase=Phase.CREATING, module="pkg"), "pkg.sub")
    assert waiting == Waiting(module="pkg")
    assert [step.module for step in one if isinstance(step, Point)] == ["pkg", "pkg.sub", "pkg.sub"]


def test_a_parent_that_runs_its_body_holds_its_child_back_only_since_gh_130094():
    for rules, held in ((CLASSIC, []), (WAITING, ["pkg.sub"]), (ORDERED, [])):
        machine = ImportSystem(program_of(pkg=[asks("pkg.sub")], pkg__sub=[]), rules)
        _, waiting = stopped(machine, "pkg", Point(phase=Phase.EXECUTING, module="pkg"), "pkg.sub")
        assert waiting == Waiting(module="pkg")
        assert machine.held_by("T2") == held
        assert (machine.phase("pkg.sub") is Phase.DONE) == (rules is CLASSIC)


@pytest.mark.parametrize(
    ("request_", "waits"),
    [
        (asks("p.sub"), True),  # import p.sub: its value is p
        (asks("p", "sub"), True),  # from p import sub: p has no such name yet
        (asks("p.sub", "name"), False),  # from p.sub import name: its value is p.sub
        (asks("p.sub", manner=Manner.BY_NAME), False),
    ],
)
def test_a_statement_ends_with_a_wait_for_the_outermost_package_unless_it_takes_names(request_, waits):
    program = program_of(p=[asks("m", manner=Manner.BY_NAME)], p__sub=[], m=[request_])
    machine = ImportSystem(program, CLASSIC)
    one, waiting = stopped(machine, "p", Point(phase=Phase.EXECUTING, module="p"), "m")
    # `from p import sub` waits for p before it looks for a name in it.
    assert waiting == (Waiting(module="p") if waits else None)
    if waits:
        assert machine.held_by("T2") == ["m"]
        with pytest.raises(Deadlock):
            list(one)


def test_a_cycle_closed_by_a_statement_returns_a_partially_initialized_module():
    program = program_of(a=[asks("b", "B", line=7)], b=[asks("a", "A", line=3)])
    machine = ImportSystem(program, CLASSIC)
    one, waiting = stopped(machine, "a", Point(phase=Phase.EXECUTING, module="a"), "b")
    assert waiting == Waiting(module="a")
    list(one)
    assert [(each.module, each.owner, each.request.line) for each in machine.handouts] == [("b", "T2", 7)]


def test_a_cycle_closed_by_name_is_an_error_up_to_3_14():
    program = program_of(a=[asks("b", manner=Manner.BY_NAME)], b=[asks("a", manner=Manner.BY_NAME)])
    for rules in (CLASSIC, WAITING):
        one, _ = stopped(ImportSystem(program, rules), "a", Point(phase=Phase.EXECUTING, module="a"), "b")
        with pytest.raises(Deadlock):
            list(one)
    machine = ImportSystem(program, ORDERED)
    one, _ = stopped(machine, "a", Point(phase=Phase.EXECUTING, module="a"), "b")
    list(one)
    assert [each.module for each in machine.handouts] == ["b"]


def test_a_thread_that_waits_goes_on_when_the_lock_is_free():
    machine = ImportSystem(program_of(a=[], b=[asks("a")]), CLASSIC)
    one, two = machine.start("T1", "a"), machine.start("T2", "b")
    next(step for step in one if step.phase is Phase.CREATING)
    assert next(step for step in two if isinstance(step, Waiting)) == Waiting(module="a")
    list(one)
    list(two)
    assert machine.phase("b") is Phase.DONE


def test_a_module_that_the_program_does_not_know_takes_no_lock():
    machine = ImportSystem(program_of(a=[asks("sys")]), CLASSIC)
    assert executed(machine.start("T1", "a")) == ["a"]
    assert machine.phase("sys") is Phase.DONE
