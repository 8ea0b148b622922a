"""The wait-for graph, read from made-up tables of CPython's and made-up frames."""

import _frozen_importlib as bootstrap
from types import SimpleNamespace

import pytest

from python_tsan.imports.cases.import_cases import wait_graph
from python_tsan.imports.cases.import_cases.tracer import _absolute, _brings_in

BOOTSTRAP = "<frozen importlib._bootstrap>"


def lock(name, owner, waiters=(None,)):
    return SimpleNamespace(name=name, owner=owner, waiters=list(waiters))


def stack(*frames):
    """Return the innermost of frames, which are pairs of file and function, the outermost first."""
    frame = None
    for file, function in frames:
        frame = SimpleNamespace(f_back=frame, f_code=SimpleNamespace(co_filename=file, co_name=function))
    return frame


@pytest.fixture
def tables(monkeypatch):
    def set_to(**awaited):
        blocking = {int(thread[1:]): locks for thread, locks in awaited.items()}
        monkeypatch.setitem(vars(bootstrap), "_blocking_on", blocking)
        monkeypatch.setattr(wait_graph, "all_frames", lambda: dict.fromkeys([1, 2, 3]))

    return set_to


def edges():
    return [(ident, each.name) for ident, each in wait_graph.waits()]


def test_a_thread_that_takes_the_lock_of_another_one_is_an_edge(tables):
    tables(t1=lock("a", 2), t2=[lock("b", 2), lock("c", 1)], t3=[])
    assert edges() == [(1, "a"), (2, "c")]


@pytest.mark.parametrize("owner", [None, 1])
def test_a_free_lock_and_an_own_lock_are_no_edge(tables, owner):
    tables(t1=lock("a", owner))
    assert edges() == []
    assert wait_graph.locks_awaited(1) == []
    assert len(wait_graph.requested_locks(1)) == 1


def test_a_thread_that_may_still_be_the_victim_does_not_sleep(tables):
    tables(t1=[lock("a", 2, waiters=()), lock("b", 2)])
    assert wait_graph.sleeps_on(1) == "b"
    tables(t1=lock("a", 2, waiters=()))
    assert wait_graph.sleeps_on(1) == ""


def test_a_cycle_has_each_thread_once_and_a_chain_is_no_cycle(tables):
    tables(t1=lock("b", 2), t2=lock("a", 1))
    assert [(ident, each.name) for ident, each in wait_graph.cycle_from(1)] == [(1, "b"), (2, "a")]
    tables(t1=lock("b", 2), t2=lock("c", 3))
    assert wait_graph.cycle_from(1) == []
    tables(t1=lock("b", 2), t2=lock("c", 3), t3=lock("b", 2))
    assert wait_graph.cycle_from(1) == []


@pytest.mark.parametrize(
    ("frames", "wants", "holds"),
    [
        ([("main.py", "f"), (BOOTSTRAP, "_get_module_lock")], True, False),
        ([("main.py", "f"), (BOOTSTRAP, "__enter__")], True, False),
        ([("main.py", "__enter__")], False, False),
        ([(BOOTSTRAP, "_find_spec"), ("finder.py", "find_spec")], False, True),
        ([("other.py", "_find_spec"), ("finder.py", "find_spec")], False, False),
        # It is about to take the lock that it is to call the finder with.
        ([(BOOTSTRAP, "_find_spec"), (BOOTSTRAP, "__enter__")], True, False),
        ([], False, False),
    ],
)
def test_a_stack_shows_who_waits_for_the_global_import_lock_and_who_holds_it(frames, wants, holds):
    top = stack(*frames)
    assert wait_graph.waits_for_global_lock(top) is wants
    assert wait_graph.holds_global_lock(top) is holds


@pytest.mark.parametrize(
    ("file", "machinery"),
    [
        (BOOTSTRAP, True),
        ("<frozen importlib._bootstrap_external>", True),
        ("/usr/lib/python3.13/importlib/__init__.py", True),
        ("<frozen zipimport>", False),
        ("/app/importlib_metadata/__init__.py", False),
    ],
)
def test_the_import_systems_frames_are_no_place_of_the_program(file, machinery):
    assert wait_graph.is_machinery(stack((file, "f"))) is machinery


def test_the_locks_that_exist_are_those_whose_references_live(monkeypatch):
    alive = lock("a", 1)
    monkeypatch.setitem(vars(bootstrap), "_module_locks", {"a": lambda: alive, "gone": lambda: None})
    assert wait_graph.module_locks() == [alive]


@pytest.mark.parametrize(
    ("module", "names", "name", "explained"),
    [
        ("a", [], "a", True),
        ("a.b", [], "a", True),
        ("a", ["b"], "a.b", True),
        ("a", ["b.c"], "a.b", True),
        ("a", [], "a.b", False),
        ("ab", [], "a", False),
        ("b", ["a"], "a", False),
    ],
)
def test_a_request_explains_what_it_names_and_its_parents(module, names, name, explained):
    assert _brings_in({"module": module, "names": names}, name) is explained


@pytest.mark.parametrize(
    ("name", "names", "level", "absolute"),
    [
        ("x", {"__package__": "p.q"}, 1, "p.q.x"),
        ("x", {"__package__": "p.q"}, 2, "p.x"),
        ("", {"__package__": "p.q"}, 1, "p.q"),
        ("x", {"__name__": "p.m"}, 1, "p.x"),
        ("x", {"__name__": "p", "__path__": []}, 1, "p.x"),
        ("x", {"__package__": ""}, 1, ""),
    ],
)
def test_a_relative_name_is_resolved_as_importlib_does(name, names, level, absolute):
    assert _absolute(name, names, level) == absolute
