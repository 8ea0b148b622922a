"""A death that the runtime brought about is named, with what helps; any other is left as it is."""

import pytest

from python_tsan.result.deaths import explain_death
from python_tsan.result.judge.process import doubt_about, failure_of
from python_tsan.result.model import Observation
from python_tsan.tsan.parser import parse_log

POLARS = "/v/site-packages/_polars_runtime_32/_polars_runtime.abi3.so"
GREENLET = "/v/site-packages/greenlet/_greenlet.cpython-313-x86_64-linux-gnu.so"
BARE = """\
==7==ERROR: ThreadSanitizer: SEGV on unknown address 0x605d (pc 0x7f9c bp 0x10 sp 0x7ffd T7)
==7==The signal is caused by a READ memory access.
"""
WITH_STACK = (
    BARE + "    #0 main /home/me/main.cpp:4:5 (prog+0xe7e43)\n\nThreadSanitizer can not provide additional info.\n"
)
CHECK = 'ThreadSanitizer: CHECK failed: tsan_symbolize.cpp:26 "((!thr->in_symbolizer)) != (0)" (0x0, 0x0) (tid=7)\n'


def explained(code, log="", mapped=()):
    return explain_death(code, parse_log(log, "tsan.7").fatal, silent=not log, mapped=mapped)


def test_a_death_without_a_word_is_mostly_of_a_thread_that_the_runtime_does_not_know():
    words = explained(-11)
    assert "a thread that it does not know" not in words
    assert "one that it does not know: an allocator's background thread" in words
    assert "_RJEM_MALLOC_CONF=background_thread:false" in words
    assert "known for it" not in words


def test_a_loaded_library_that_is_known_for_it_is_named():
    assert "_polars_runtime.abi3.so, which is loaded, is known for it" in explained(-11, mapped=["/x/y.so", POLARS])
    assert "_greenlet.cpython-313-x86_64-linux-gnu.so, which is loaded" in explained(66, BARE, [POLARS, GREENLET])


@pytest.mark.parametrize("code", [0, 1, 66, -2, -6, -9, -15])
def test_other_ends_without_a_word_are_not_the_runtimes(code):
    assert explained(code) == ""


@pytest.mark.parametrize("log", [BARE, BARE + CHECK])
def test_a_crash_without_a_stack_is_mostly_that_of_the_runtimes_own_stack(log):
    assert "a recursion deeper than 65,536" in explained(66, log)


@pytest.mark.parametrize("log", [WITH_STACK, CHECK])
def test_a_crash_with_a_stack_and_a_failure_of_the_runtime_alone_speak_for_themselves(log):
    assert explained(66, log) == ""
    assert explained(-11, log) == ""


def observation(**parts):
    return Observation(exit_code=-11, timed_out=False, seconds=1.0, **parts)


def test_the_verdict_has_the_explanation():
    assert failure_of(observation(explained="because")) == "ended by signal 11 (because)"
    assert failure_of(observation(crashes=("SEGV",), explained="because")) == "crashed: SEGV (because)"
    assert doubt_about(observation(fatal=(CHECK,), explained="because")).endswith("(tid=7) (because)")
    assert "newer compiler" in doubt_about(observation(fatal=(CHECK,)))
