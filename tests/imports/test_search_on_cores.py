"""A search on several cores finds what one of all pairs finds, in its order, also when a process of it ends early."""

import os
import signal
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_whole_search import NAMES, models, written

from python_tsan.imports import search_on_cores
from python_tsan.imports.search.prediction import Part, in_order, predict
from python_tsan.process import fork

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
RING = {"a": ["by name b"], "b": ["by name c"], "c": ["by name d", "import a"], "d": ["by name a", "by name b"]}
ENTRIES = tuple(RING)


@settings(deadline=None, max_examples=40)
@given(models(), st.integers(1, 4))
def test_the_parts_together_are_the_whole(model, parts):
    entries = NAMES[:7]
    whole = list(predict(model, entries))
    found = chain.from_iterable(predict(model, entries, part=Part(number, parts)) for number in range(parts))
    assert in_order(found, entries) == whole


class Limit:
    """A limit that is over from the start, or never."""

    left_out = 0

    def __init__(self, *, over=False):
        self.over = over

    def is_over(self, pairs):
        self.left_out = pairs if self.over else 0
        return self.over


@pytest.fixture
def cores(monkeypatch):
    """Let a search of few entries use processes; return the number of those that were made."""
    made = []

    class Counted(fork.Fork):
        def __init__(self, make):
            super().__init__(make)
            made.append(self)

    monkeypatch.setattr(search_on_cores, "Fork", Counted)
    monkeypatch.setattr(search_on_cores, "may_fork", lambda: True)
    monkeypatch.setattr(search_on_cores, "FEWEST_ENTRIES", 2)
    return made


def searched(model, entries=ENTRIES, *, limit=None, jobs=3):
    into = []
    problems = search_on_cores.search(
        model, entries, into, jobs=jobs, limit=limit or Limit(), advance=lambda _fraction: None
    )
    return into, problems


@pytest.fixture(scope="module")
def model():
    made = written((3, 12, 0), RING)
    assert len(list(predict(made, ENTRIES))) > 2
    return made


def test_processes_find_what_one_finds(cores, model):
    assert searched(model)[0] == list(predict(model, ENTRIES))
    assert len(cores) == 2


def test_a_small_search_and_one_job_use_no_process(cores, model, monkeypatch):
    assert searched(model, jobs=1)[0] == list(predict(model, ENTRIES))
    monkeypatch.setattr(search_on_cores, "FEWEST_ENTRIES", len(ENTRIES) + 1)
    searched(model)
    assert cores == []


def test_the_part_of_a_process_that_died_is_made_here(cores, model, monkeypatch):
    here, real = os.getpid(), predict

    def dies(*words, part, **more):
        if os.getpid() != here and part.number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, part=part, **more)

    monkeypatch.setattr(search_on_cores, "predict", dies)
    assert searched(model)[0] == list(real(model, ENTRIES))
    assert len(cores) == 2


def test_without_a_further_process_this_one_does_all(cores, model, monkeypatch):
    def full(*_):
        raise BlockingIOError

    monkeypatch.setattr(search_on_cores, "Fork", full)
    assert searched(model)[0] == list(predict(model, ENTRIES))
    assert cores == []


def children():
    """Return the processes that this one has started and not waited for."""
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


def test_what_was_found_before_an_interrupt_is_there_and_no_process_is_left(cores, model, monkeypatch):
    here, real, before = os.getpid(), predict, children()

    def interrupted(*words, **more):
        yield from real(*words, **more)
        if os.getpid() == here:
            raise KeyboardInterrupt

    monkeypatch.setattr(search_on_cores, "predict", interrupted)
    into = []
    with pytest.raises(KeyboardInterrupt):
        search_on_cores.search(model, ENTRIES, into, jobs=2, limit=Limit(), advance=lambda _fraction: None)
    own = in_order(real(model, ENTRIES, part=Part(0, 2)), ENTRIES)
    assert {each.locks for each in own} <= {each.locks for each in into}
    assert children() == before
    assert len(cores) == 1


def test_pairs_that_are_left_out_are_counted_over_all_processes(cores, model):
    calls = ("a:f", "b:f", "c:f")
    limit = Limit(over=True)
    found, _ = searched(model, (*ENTRIES, *calls), limit=limit)
    assert found == list(predict(model, ENTRIES))
    assert limit.left_out == 7 * 6 - 4 * 3
    assert len(cores) == 2


def test_a_process_ends_without_the_one_that_waits_for_it():
    reader, writer = os.pipe()
    between = os.fork()
    if not between:
        try:

            def forever(end_as_orphan):
                os.write(writer, str(os.getpid()).encode())
                while True:
                    end_as_orphan()

            fork.Fork(forever)
        finally:
            os._exit(0)
    os.waitpid(between, 0)
    pid = int(os.read(reader, 100))
    os.close(writer)
    assert os.read(reader, 1) == b"", "its end of the pipe is closed"
    os.close(reader)
    assert pid != between


def test_an_error_in_a_process_makes_its_results_incomplete():
    def breaks(_end_as_orphan):
        yield 1
        raise ValueError

    made = fork.Fork(breaks)
    assert made.results() == ([1], False)
    whole = fork.Fork(lambda _end_as_orphan: iter([1, 2]))
    assert whole.results() == ([1, 2], True)
