import gil_samples as samples

from python_tsan.gil.engine_diff import COLUMNS, LOCKS, calls, compare
from python_tsan.gil.trace import Event, GilCall
from python_tsan.symbols import CFunction, Site

STAT, READ = samples.EVENTS[0], samples.EVENTS[1]


def test_what_an_engine_saw_agrees_with_itself():
    (main,) = compare(samples.process(), samples.process())
    assert (main.thread, main.first, main.second, main.equal) == ("main", 3, 3, 3)
    assert main.holds
    assert main.frames


def test_forced_switches_and_waits_for_locks_are_left_out():
    lock = Site(library="/l.so", offset=9, functions=(CFunction("_PySemaphore_Wait"), CFunction("join_thread")))
    waiting = samples.process(sites=(samples.SITES[0], lock), events=(STAT,))
    assert calls(waiting) == []
    assert len(calls(samples.process())) == 3, "the worker's end is no call"
    assert "_PySemaphore_Wait" in LOCKS


def test_the_first_difference_is_named():
    (main,) = compare(samples.process(events=(STAT, READ)), samples.process(events=(STAT, STAT)))
    assert (main.equal, main.holds) == (1, False)
    assert main.difference.startswith("release 2: _Py_read_impl at libpython.so+0x200 from FileLoader.get_data < ")
    assert " / posix_do_stat at libpython.so+0x100 from _path_stat < _find_and_load(alpha)" in main.difference


def test_a_release_that_one_engine_missed_is_a_difference():
    (main,) = compare(samples.process(events=(STAT, READ)), samples.process(events=(STAT,)))
    assert (main.first, main.second) == (2, 1)
    assert main.difference.endswith(" / nothing")


def test_a_thread_that_one_engine_missed_is_a_difference():
    worker = Event(5, 6, 7, 1, 0, 1, GilCall.SAVE_RESTORE, GilCall.SAVE_RESTORE)
    agreements = compare(samples.process(events=(STAT, worker)), samples.process(events=(STAT,)))
    assert [one.holds for one in agreements] == [True, False]


def test_without_frames_the_places_are_compared():
    bare = samples.process(nodes=samples.NODES[:1], events=(STAT._replace(node=0),))
    (main,) = compare(samples.process(events=(STAT,)), bare)
    assert main.holds
    assert not main.frames


def test_a_row_has_the_columns_of_the_table():
    (main,) = compare(samples.process(), samples.process())
    assert dict(zip(COLUMNS, main.cells, strict=True)) == {
        "thread": "main",
        "first": "3",
        "second": "3",
        "equal": "3",
        "compared": "call site and Python frames",
    }


def test_threads_are_paired_by_their_order_and_not_by_the_kernels_number():
    other = samples.record(threads=(samples.record().threads[0],))
    agreements = compare(samples.process(events=(STAT,)), samples.process(record=other, events=(STAT,)))
    assert [one.difference for one in agreements] == [""]
