import gil_samples as samples
import pytest

from python_tsan.gil.spool import python_version
from python_tsan.gil.trace import Event, GilCall, Thread
from python_tsan.symbols import CFunction, Site


def test_an_event_begins_at_its_release_or_else_at_its_acquisition():
    assert Event(5, 6, 7, 0, 0, 0, GilCall.SAVE_RESTORE, GilCall.SAVE_RESTORE).time == 5
    assert Event(0, 6, 7, 0, 0, 0, GilCall.NONE, GilCall.GIL_STATE).time == 7


@pytest.mark.parametrize(
    ("functions", "name", "chain"),
    [
        ((), "libpython.so+0x1f", "libpython.so+0x1f"),
        ((CFunction("f"),), "f", "f"),
        ((CFunction("f", "a/b.c", 3),), "f", "f (b.c:3)"),
        ((CFunction("f", "b.c", 3), CFunction("g", "c.c", 4), CFunction("h")), "f", "f (b.c:3) < g < h"),
    ],
)
def test_a_site_is_named_by_its_innermost_function_or_its_offset(functions, name, chain):
    site = Site(library="/usr/lib/libpython.so", offset=0x1F, functions=functions)
    assert (site.name, site.chain) == (name, chain)


def test_a_thread_is_shown_as_main_or_by_number_and_name():
    threads = (Thread(ordinal=0, tid=10, name="python"), Thread(ordinal=1, tid=11, name="pool"))
    process = samples.process(record=samples.record(threads=threads))
    assert [process.thread_name(number) for number in (0, 1, 2)] == ["main", "thread 1 (pool)", "thread 2"]


def test_in_a_forked_child_the_main_thread_is_that_with_the_childs_pid():
    process = samples.process(record=samples.record(pid=11))
    assert [process.thread_name(number) for number in (0, 1)] == ["thread 0 (python)", "main"]


@pytest.mark.parametrize(("number", "text"), [(0, ""), (0x030B02F0, "3.11.2"), (0x030D0CF0, "3.13.12")])
def test_the_version_is_read_from_its_hexadecimal_digits(number, text):
    assert python_version(number) == text


@pytest.mark.parametrize(("text", "release"), [("", ()), ("3.13.5", (3, 13)), ("3.9.1", (3, 9))])
def test_a_release_is_the_first_two_numbers(text, release):
    assert samples.record(python=text).release == release


def test_a_stack_is_built_once():
    process = samples.process()
    assert process.stack(3) is process.stack(3)
    assert [node.function for node in process.stack(3)] == ["_path_stat", "_find_and_load", "<module>"]
    assert process.stack(0) == ()
