"""Small embedders on a stock Python, without any instrumentation: each bad one is found, each safe twin is quiet."""

import re
import subprocess
from pathlib import Path

import pytest

from python_tsan.harness.cases import case_of, read_cases
from python_tsan.locks.cycles import find_cycles
from python_tsan.locks.findings import deadlock_findings
from python_tsan.locks.model import GilSight
from python_tsan.locks.naming import Lookup
from python_tsan.symbols import symbolise, variable_names
from python_tsan.tsan.fingerprint import fingerprint

pytestmark = pytest.mark.compiler

SOURCE = Path(__file__).parents[2] / "native" / "deadlocks" / "cases.cpp"
LOOKUP = Lookup(functions=symbolise, variables=variable_names)
# The table of the cases: {"mutex_inverted", "deadlock", "mutex_released", "One thread takes ...", mutex_inverted},
CASES = dict(re.findall(r'^    \{"(\w+)",\s+"(deadlock|nothing)",', SOURCE.read_text(), re.MULTILINE))
NEEDS_SUBINTERPRETERS = ("one_gil", "own_gils")


@pytest.fixture(scope="session")
def cases(compile_cpp, stock_flags):
    return compile_cpp(SOURCE.read_text(), "-O1", *stock_flags)


@pytest.fixture
def found(cases, record):
    """Run a case under the recorder, and return its findings by fingerprint."""

    def run(name):
        (trace,) = record(cases, name)
        assert trace.gil is GilSight.RECOGNISED
        assert trace.not_seen == {}
        search = find_cycles(trace)
        assert search.complete
        return {fingerprint(each): each for each in deadlock_findings(trace, search.cycles, name, LOOKUP)}

    return run


def test_the_table_is_read():
    assert set(CASES.values()) == {"deadlock", "nothing"}
    assert len(CASES) > 30


def test_the_program_lists_the_table(cases, stock):
    listed = subprocess.run([cases], check=True, capture_output=True, text=True).stdout
    expected = dict(CASES)
    if stock[0].release < (3, 12):
        expected = {name: each for name, each in CASES.items() if name not in NEEDS_SUBINTERPRETERS}
    assert {case_of(each) for each in read_cases(listed, source=cases)} == expected.keys()
    assert dict(line.split("\t")[:2] for line in listed.splitlines()) == expected


@pytest.mark.parametrize("name", CASES)
def test_a_case_shows_what_its_table_says(found, stock, name):
    if name in NEEDS_SUBINTERPRETERS and stock[0].release < (3, 12):
        pytest.skip("sub-interpreters with a GIL of their own came with 3.12")
    findings = found(name)
    assert len(findings) == (1 if CASES[name] == "deadlock" else 0), [each.raw for each in findings.values()]


LOCKS = {
    "mutex_inverted": [("GIL", "GIL"), ("mutex", "log_mutex")],
    "shared_mutex_writer": [("GIL", "GIL"), ("rwlock", "table_mutex")],
    "static_guard": [("GIL", "GIL"), ("static guard", "decimal")],
    "condition_with_gil": [("GIL", "GIL"), ("condition", "changed")],
    "barrier_with_gil": [("GIL", "GIL"), ("barrier", "barrier")],
    "thread_lock_with_gil": [("GIL", "GIL"), ("PyThread lock", "")],
    "thread_lock_given_with_gil": [("GIL", "GIL"), ("semaphore", "")],
    "three_locks": [("GIL", "GIL"), ("mutex", "log_mutex"), ("mutex", "second_mutex")],
    "stream_locked_with_gil": [("GIL", "GIL"), ("stream lock", "the lock of stderr")],
    "two_mutexes": [("mutex", "log_mutex"), ("mutex", "second_mutex")],
    "server_destroyed_with_gil": [("GIL", "GIL"), ("thread", "")],
}


@pytest.mark.parametrize("name", LOCKS)
def test_locks_have_their_names(found, name):
    (finding,) = found(name).values()
    assert [(mutex.kind, mutex.name.rpartition("::")[2]) for mutex in finding.mutexes] == LOCKS[name]


def test_the_places_are_those_of_the_program(found):
    (finding,) = found("mutex_inverted").values()
    by_lock = {finding.mutexes[edge.mutex].kind: edge for edge in finding.acquisitions}
    assert by_lock["GIL"].call == "PyGILState_Ensure"
    for kind, function in (("GIL", "mutex_then_gil"), ("mutex", "gil_then_mutex")):
        symbols = [frame.symbol for frame in by_lock[kind].stack.frames]
        assert any(function in symbol for symbol in symbols), symbols
        held = [frame.symbol for frame in by_lock[kind].holding_stack.frames]
        assert any(function in symbol for symbol in held), held


def test_two_runs_have_the_same_fingerprints(found):
    assert found("python_sink").keys() == found("python_sink").keys()
