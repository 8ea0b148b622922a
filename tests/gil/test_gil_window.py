import gil_samples as samples
import pytest
from gil_samples import BOOTSTRAP, EXTERNAL

from python_tsan.gil.analysis import explain_trace, find_window, imports_around
from python_tsan.gil.trace import Event, GilCall, Node

# pkg.sub, whose parent pkg is found and run first; another thread imports pkg.
NODES = (
    Node(0, "", "", 0, "", ""),
    Node(0, BOOTSTRAP, "_find_and_load", 1, "", "pkg.sub"),
    Node(1, BOOTSTRAP, "_find_and_load", 1, "", "pkg"),
    Node(2, EXTERNAL, "_path_stat", 1, "", ""),
    Node(0, "worker.py", "<module>", 1, "__main__", ""),
    Node(4, BOOTSTRAP, "_find_and_load", 1, "", "pkg"),
    Node(5, EXTERNAL, "_path_stat", 1, "", ""),
)


def release(start, end, node, thread=0):
    return Event(start, end, end, 1, node, thread, GilCall.SAVE_RESTORE, GilCall.SAVE_RESTORE)


def explained(*events):
    ordered = tuple(sorted(events))
    return explain_trace(samples.trace(processes=(samples.process(nodes=NODES, events=ordered),)))


def test_the_release_after_which_another_thread_imports_opened_the_window():
    found = explained(release(10, 12, 3), release(20, 40, 3), release(15, 25, 4, 1), release(30, 50, 6, 1))
    window = find_window(found, ["pkg.sub", "pkg"])
    assert window.release.event.released == 20
    assert (window.intruder.event.thread, window.intruder.meaning.module) == (1, "pkg")
    assert window.entered
    assert window.releases == 2


def test_a_thread_that_ran_without_importing_did_not_enter():
    window = find_window(explained(release(20, 40, 3), release(1, 25, 4, 1), release(30, 50, 4, 1)), ["pkg"])
    assert (window.release.event.released, window.intruder.event.released) == (20, 30)
    assert not window.entered


def test_alone_the_first_release_would_have_let_another_in():
    window = find_window(explained(release(10, 12, 1), release(20, 22, 3)), ["pkg.sub"])
    assert (window.release.event.released, window.intruder, window.releases) == (10, None, 2)


@pytest.mark.parametrize("function", ["_get_module_lock", "_ModuleLock.acquire"])
def test_who_is_still_taking_the_lock_does_not_hold_it_but_may_be_the_intruder(function):
    waiter = (*NODES, Node(5, BOOTSTRAP, function, 1, "", ""))
    events = tuple(sorted([release(10, 60, 7, 1), release(20, 40, 3), release(30, 50, 7, 1)]))
    process = samples.process(nodes=waiter, events=events)
    window = find_window(explain_trace(samples.trace(processes=(process,))), ["pkg"])
    assert (window.release.event.released, window.releases) == (20, 1)
    assert find_window(explain_trace(samples.trace(processes=(process,))), ["pkg"]).release.event.thread == 0


@pytest.mark.parametrize("chain", [["pkg", "pkg.sub"], ["pkg.sub", "pkg", "pkg"], ["other"], []])
def test_a_chain_in_another_order_has_no_window(chain):
    assert find_window(explained(release(10, 12, 3)), chain) is None


def test_the_imports_around_come_outermost_first():
    (one,) = explained(release(10, 12, 3))
    assert imports_around(one) == ("pkg.sub", "pkg")
