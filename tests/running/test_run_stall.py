"""A run in which nothing moves is ended, and one that computes, prints or has just started is not."""

import pytest

from python_tsan.checking.execution import STDOUT_FILE
from python_tsan.detect import locks
from python_tsan.running.stall import Stall


class Machine:
    """A clock that each look sets on by a second, and the processor time that the program has used by then."""

    def __init__(self, share):
        self.now, self.share = 100.0, share

    def clock(self):
        self.now += 1.0
        return self.now

    def used(self, _pid):
        return self.share * self.now


@pytest.fixture
def looks(tmp_path, monkeypatch):
    """Return a function that looks at a run again and again; it returns at which look the run was ended."""
    monkeypatch.setattr(locks, "cycles", lambda _folder: frozenset())

    def look(*, share=0.0, seconds=5.0, pid=7, at_each=lambda _number: None):
        machine = Machine(share)
        stall = Stall(folder=tmp_path, seconds=seconds, pid=pid, clock=machine.clock, used=machine.used)
        for number in range(1, 30):
            at_each(number)
            if stall.ended():
                return number
        return None

    return look


def test_without_movement_it_ends_after_the_seconds(looks):
    assert looks() == 6  # the first look is the beginning
    assert looks(seconds=2.0) == 3


def test_a_thread_that_waits_for_the_gil_is_no_movement(looks):
    assert looks(share=0.02) == 6


def test_one_that_computes_goes_on(looks):
    assert looks(share=0.5) is None


def test_one_that_prints_goes_on_until_it_stops(looks, tmp_path):
    def at_each(number):
        if number < 10:
            (tmp_path / STDOUT_FILE).write_text("x" * number)

    assert looks(at_each=at_each) == 14


def test_without_a_limit_or_a_program_there_is_no_end(looks):
    assert looks(seconds=0.0) is None
    assert looks(pid=0) is None


def test_threads_that_wait_in_a_cycle_are_ended_although_another_computes(looks, monkeypatch):
    cycle = frozenset({("1.locks", ((1, 4), (2, 3)))})
    monkeypatch.setattr(locks, "cycles", lambda _folder: cycle)
    assert looks(share=0.9) == 6


def test_cycles_that_come_and_go_are_no_standstill(looks, monkeypatch):
    seen = iter(range(1000))
    monkeypatch.setattr(locks, "cycles", lambda _folder: frozenset({("1.locks", ((1, next(seen)),))}))
    assert looks(share=0.9) is None
