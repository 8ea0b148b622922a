"""When a thread counts as asleep on a module's lock, and where a thread is held."""

import _frozen_importlib as bootstrap
from types import SimpleNamespace

import pytest

from python_tsan.imports.cases.import_cases import scheduler, wait_graph
from python_tsan.imports.cases.import_cases.case import EXEC, START, Hold, blocked, ended, reached


def lock(*, owner, waiters):
    return SimpleNamespace(name="pkg", owner=owner, waiters=waiters)


@pytest.mark.parametrize(
    ("entry", "asleep"),
    [
        (None, ""),
        (lock(owner=2, waiters=[None]), "pkg"),  # 3.12 and later count waiters in a list
        (lock(owner=2, waiters=1), "pkg"),  # up to 3.11 in a number
        (lock(owner=2, waiters=[]), ""),  # it may still find the deadlock, and be the victim
        (lock(owner=1, waiters=[None]), ""),  # re-entrant
        (lock(owner=None, waiters=[None]), ""),
        ([lock(owner=1, waiters=[]), lock(owner=2, waiters=[None])], "pkg"),
        ([], ""),
    ],
)
def test_a_thread_sleeps_only_when_it_can_no_longer_be_the_victim(entry, asleep, monkeypatch):
    monkeypatch.setitem(vars(bootstrap), "_blocking_on", {} if entry is None else {1: entry})
    assert wait_graph.sleeps_on(1) == asleep


def test_a_thread_is_held_until_one_of_its_conditions_is_true():
    stage = scheduler.Scheduler((Hold("T1", START, "", (ended("T2"), reached("T2", EXEC, "pkg"))),), frozenset())
    stage.act_for("T2")
    stage.pass_point(EXEC, "pkg")
    stage.enter("T1")
    assert stage.held() == {}
    assert stage.has_reached("T1", START, "")


def test_a_dead_threads_identifier_is_forgotten():
    stage = scheduler.Scheduler((), frozenset())
    stage.enter("T1")
    stage.leave("T1")
    assert stage.has_ended("T1")
    assert not blocked("T1")(stage)
    assert stage.name_of(scheduler.get_ident()) != "T1"
