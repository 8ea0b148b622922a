"""Which traces can be deadlocks: every row of the table of cases, and the rules behind it."""

import pytest
from lock_samples import Recorded

from python_tsan.locks.cycles import find_cycles
from python_tsan.locks.model import Strength


def cycles_of(recorded, **more):
    """Return the cycles as sorted tuples of lock names, and whether each is weak."""
    trace = recorded.trace(**more)
    names = {lock.id: lock.name for lock in trace.locks}
    search = find_cycles(trace)
    assert search.complete
    return [
        (tuple(sorted(names[lock] for lock in cycle.locks)), cycle.strength is Strength.WEAK) for cycle in search.cycles
    ]


def test_two_threads_that_ask_in_opposite_orders():
    assert cycles_of(Recorded().ask(0, "gil", "m").ask(1, "m", "gil")) == [(("gil", "m"), False)]


def test_the_gil_released_first():
    assert cycles_of(Recorded().ask(0, "", "m").ask(1, "m", "gil")) == []


def test_one_thread_in_both_orders_is_no_deadlock():
    assert cycles_of(Recorded().ask(0, "gil", "m").ask(0, "m", "gil")) == []


def test_a_gate_lock_round_both():
    assert cycles_of(Recorded().ask(0, "gate, gil", "m").ask(1, "gate, m", "gil")) == []


def test_a_gate_that_only_one_takes():
    assert cycles_of(Recorded().ask(0, "gate, gil", "m").ask(1, "m", "gil")) == [(("gil", "m"), False)]


def test_a_gate_that_both_only_read_keeps_nobody_apart():
    assert cycles_of(Recorded().ask(0, "rw.r, gil", "m").ask(1, "rw.r, m", "gil")) == [(("gil", "m"), False)]


def test_a_gate_that_one_writes_and_one_reads():
    assert cycles_of(Recorded().ask(0, "rw, gil", "m").ask(1, "rw.r, m", "gil")) == []


def test_readers_do_not_wait_for_each_other():
    assert cycles_of(Recorded().ask(0, "gil", "rw.r").ask(1, "rw.r", "gil")) == []


def test_readers_of_locks_that_prefer_writers_can_wait_for_each_other():
    """A writer that waits for one reader keeps the next one out."""
    assert cycles_of(Recorded().ask(0, "gil", "wfirst.r").ask(1, "wfirst.r", "gil")) == [(("gil", "wfirst"), False)]
    assert cycles_of(Recorded().ask(0, "rw.r", "wfirst.r").ask(1, "wfirst.r", "rw.r")) == []
    # They keep each other out of nothing: readers both pass this gate.
    gated = Recorded().ask(0, "wfirst.r, gil", "m").ask(1, "wfirst.r, m", "gil")
    assert cycles_of(gated) == [(("gil", "m"), False)]


@pytest.mark.parametrize(("requested", "held"), [("rw", "rw.r"), ("rw.r", "rw"), ("rw", "rw")])
def test_a_writer_and_a_reader_do(requested, held):
    assert cycles_of(Recorded().ask(0, "gil", requested).ask(1, held, "gil")) == [(("gil", "rw"), False)]


def test_a_reader_at_the_start_of_the_cycle():
    recorded = Recorded()
    recorded.lock("rw")  # the least lock, at which the search starts
    assert cycles_of(recorded.ask(0, "rw.r", "gil").ask(1, "gil", "rw.r")) == []


def test_three_locks():
    recorded = Recorded().ask(0, "a", "b").ask(1, "b", "c").ask(2, "c", "a")
    assert cycles_of(recorded) == [(("a", "b", "c"), False)]


def test_three_locks_of_two_threads_are_no_deadlock():
    assert cycles_of(Recorded().ask(0, "a", "b").ask(1, "b", "c").ask(0, "c", "a")) == []


def test_segments_that_are_ordered_by_creation():
    recorded = Recorded()
    before, child = recorded.segment(0), recorded.segment(1)
    recorded.ask(0, "gil", "m", segment=before).ask(1, "m", "gil", segment=child)
    assert cycles_of(recorded) == [(("gil", "m"), False)]
    assert cycles_of(recorded.order(before, child)) == []


def test_segments_that_are_ordered_by_a_join_and_another_thread():
    recorded = Recorded()
    child, parent, second = recorded.segment(1), recorded.segment(0), recorded.segment(2)
    recorded.order(child, parent).order(parent, second)
    assert cycles_of(recorded.ask(1, "gil", "m", segment=child).ask(2, "m", "gil", segment=second)) == []


def test_a_later_segment_of_the_parent_is_not_ordered():
    recorded = Recorded()
    before, child, after = recorded.segment(0), recorded.segment(1), recorded.segment(0)
    recorded.order(before, child)
    assert cycles_of(recorded.ask(0, "gil", "m", segment=after).ask(1, "m", "gil", segment=child)) != []


def test_a_lock_that_cpython_waits_for_without_its_gil():
    assert cycles_of(Recorded().ask(0, "gil", "module").ask(1, "module", "gil")) == []
    assert cycles_of(Recorded().ask(0, "gil", "python").ask(1, "python", "gil")) == []


def test_a_module_lock_against_a_mutex():
    recorded = Recorded().ask(0, "m, gil", "module").ask(1, "module, gil", "m")
    assert cycles_of(recorded) == [(("m", "module"), False)]


def test_a_join_with_the_gil_held():
    recorded = Recorded().ask(1, "", "gil").ask(0, "gil", "thread 1")
    assert cycles_of(recorded) == [(("gil", "thread 1"), False)]


def test_a_join_with_the_gil_held_of_a_thread_that_needed_it_to_end():
    recorded = Recorded().ask(1, "", "gil").ask(0, "gil", "thread 1").end(1, "m, gil")
    assert cycles_of(recorded) == [(("gil", "thread 1"), False)]


def test_a_join_with_the_gil_held_of_a_worker_that_has_waited_for_its_next_task_since_it_needed_it():
    assert cycles_of(Recorded().ask(1, "", "gil").ask(0, "gil", "thread 1").end(1, "m")) == []


def test_a_join_after_the_gil_was_released():
    assert cycles_of(Recorded().ask(1, "", "gil").ask(0, "", "thread 1")) == []


def test_the_join_of_another_thread():
    assert cycles_of(Recorded().ask(1, "", "gil").ask(0, "gil", "thread 2")) == []


@pytest.mark.parametrize("signal", ["cond", "future"])
def test_a_wait_for_a_signal_with_the_gil_that_the_waker_needs(signal):
    recorded = Recorded().ask(0, "gil", signal).wake(1, signal, needed="gil")
    assert cycles_of(recorded) == [(tuple(sorted(("gil", signal))), True)]


def test_a_wait_for_a_signal_without_the_gil():
    assert cycles_of(Recorded().ask(0, "", "cond").wake(1, "cond", needed="gil")) == []


def test_a_waker_that_needs_nothing():
    assert cycles_of(Recorded().ask(0, "gil", "cond").wake(1, "cond")) == []


def test_another_waker_that_needs_nothing():
    assert cycles_of(Recorded().ask(0, "gil", "cond").wake(1, "cond", needed="gil").wake(2, "cond")) == []


def test_the_waiter_cannot_wake_itself():
    recorded = Recorded().ask(0, "gil", "cond").wake(1, "cond", needed="gil").wake(0, "cond")
    assert cycles_of(recorded) == [(("cond", "gil"), True)]


def test_a_wait_with_an_end_is_no_deadlock_but_may_be_repeated_for_a_signal():
    assert cycles_of(Recorded().ask(0, "gil", "m", timed=True).ask(1, "m", "gil")) == []
    recorded = Recorded().ask(0, "gil", "cond", timed=True).wake(1, "cond", needed="gil")
    assert cycles_of(recorded) == [(("cond", "gil"), True)]


def test_a_call_that_may_ask_for_the_gil_is_weak():
    assert cycles_of(Recorded().ask(0, "gil", "m").ask(1, "m", "gil", weak=True)) == [(("gil", "m"), True)]


def test_a_call_that_may_release_the_gil_and_ask_for_it_again_is_weak():
    call = Recorded().ask(0, "gil", "m").ask(1, "gil, m", "gil", weak=True)
    assert cycles_of(call) == [(("gil", "m"), True)]
    assert cycles_of(Recorded().ask(0, "gil", "m").ask(1, "gil, m", "gil")) == []


def test_a_strong_cycle_hides_the_weak_one_whichever_was_seen_first():
    recorded = Recorded().ask(1, "m", "gil", weak=True).ask(0, "gil", "m").ask(1, "m", "gil", at_place="later:7")
    assert cycles_of(recorded) == [(("gil", "m"), False)]


def test_a_longer_cycle_with_the_locks_of_a_shorter_one_is_left_out():
    recorded = Recorded().ask(0, "gil", "m").ask(1, "m", "gil").ask(2, "m", "n").ask(3, "n", "gil")
    assert cycles_of(recorded) == [(("gil", "m"), False)]


def test_other_places_for_the_same_locks_are_findings_of_their_own():
    recorded = Recorded().ask(0, "gil", "m", at_place="a:1").ask(1, "m", "gil", at_place="b:2")
    assert len(cycles_of(recorded)) == 1
    recorded.ask(2, "gil", "m", at_place="a:1")
    assert len(cycles_of(recorded)) == 1
    recorded.ask(0, "gil", "m", at_place="c:3")
    assert len(cycles_of(recorded)) == 2


def test_each_place_comes_once_not_every_pair_of_places():
    recorded = Recorded()
    for number in range(5):
        recorded.ask(0, "gil", "m", at_place=f"a:{number + 1}").ask(1, "m", "gil", at_place=f"b:{number + 1}")
    assert 5 <= len(cycles_of(recorded)) <= 9


def test_a_lock_that_is_held_already_is_no_edge():
    assert cycles_of(Recorded().ask(0, "gil, m", "m").ask(1, "m", "gil")) == []


def test_two_interpreters_with_a_gil_each():
    assert cycles_of(Recorded().ask(0, "gil 1", "m").ask(1, "m", "gil 2")) == []


def test_module_locks_alone_are_no_deadlock_because_importlib_notices_it():
    recorded = Recorded().ask(0, "module 1", "module 2").ask(1, "module 2", "module 1")
    assert find_cycles(recorded.trace()).cycles == ()
    recorded.ask(2, "module 1", "m1").ask(3, "m1", "module 1")
    (cycle,) = find_cycles(recorded.trace()).cycles
    assert len(cycle.locks) == 2


def test_the_gil_asked_for_at_two_places_under_one_lock_is_one_cycle():
    recorded = Recorded()
    recorded.ask(0, "m1", "gil", at_place="first.cpp:1").ask(0, "m1", "gil", at_place="second.cpp:2")
    recorded.ask(1, "gil", "m1")
    assert len(find_cycles(recorded.trace()).cycles) == 1
