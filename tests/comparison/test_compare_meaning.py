from itertools import product

import pytest

from python_tsan.comparison.meaning import ANY, rule_for, rules
from python_tsan.comparison.model import Axis, Seen

JUDGED = [seen for seen in Seen if seen.compares]


@pytest.mark.parametrize("axis", Axis, ids=lambda axis: axis.name)
def test_no_change_is_without_a_word(axis):
    for before, after in product(JUDGED, JUDGED):
        rule = rule_for(axis, before, after, "any/check")
        assert rule.says.endswith((".", ":"))
        assert rule.do.endswith(".")


def test_every_rule_can_speak():
    """A rule that an earlier one always hides is a sentence that nobody reads."""
    checks = "gil/counter_guarded imports/cold_window numpy/import_releases objects/object_copied_unguarded"
    checks += " objects/reference_counted_unguarded"
    names = ["any/check", *checks.split()]
    spoken = {rule_for(axis, *pair, name) for axis in Axis for pair in product(JUDGED, JUDGED) for name in names}
    assert set(rules()) == spoken


def test_rules_name_things_that_there_are():
    names = {seen.name.lower() for seen in JUDGED} | {ANY}
    assert {word for rule in rules() for part in (rule.before, rule.after) for word in part.split("|")} <= names


def test_a_guard_that_excludes_nobody_gets_what_to_use_instead():
    rule = rule_for(Axis.THREADING, Seen.CLEAN, Seen.RACE, "gil/counter_guarded")
    assert "no longer excludes anyone" in rule.says
    assert "std::mutex" in rule.do
    assert "critical section" in rule.do
    others = ("counter_reacquired", "pygilstate_reacquired", "thread_state_attached", "guard_within_thread_state")
    assert all(rule_for(Axis.THREADING, Seen.CLEAN, Seen.RACE, f"gil/{name}") is rule for name in others)
    assert rule_for(Axis.THREADING, Seen.CLEAN, Seen.RACE, "gil/counter_unguarded") is not rule
    assert rule_for(Axis.PYTHON, Seen.CLEAN, Seen.RACE, "gil/counter_guarded") is not rule


def test_a_race_in_an_import_is_no_matter_of_import_locks():
    race = rule_for(Axis.PYTHON, Seen.CLEAN, Seen.RACE, "imports/cold_window")
    error = rule_for(Axis.PYTHON, Seen.CLEAN, Seen.ERROR, "imports/cold_window")
    assert "import locks" in error.says
    assert "import" not in race.says


def test_a_count_without_the_gil_that_crashes_in_the_newer_debug_build_has_words_of_its_own():
    rule = rule_for(Axis.PYTHON, Seen.RACE, Seen.CRASH, "objects/reference_counted_unguarded")
    assert "none is attached" in rule.says
    assert rule.link == "https://github.com/python/cpython/issues/102304"
    assert rule_for(Axis.PYTHON, Seen.RACE, Seen.CRASH, "objects/another") is not rule
