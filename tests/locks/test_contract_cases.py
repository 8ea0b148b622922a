"""Small embedders, each with a mistake and without it: a stock Python shows the first, and is quiet for the second."""

import resource
import subprocess

import pytest

from python_tsan.detect.locks import LOOKUP
from python_tsan.locks.misuse import misuse_findings
from tests.locks.conftest import read_traces
from tools.contract_table.measure import NOT_SEEN, PROGRAM, RULES, Case
from tools.late_threads.measure import Target

pytestmark = [pytest.mark.compiler, pytest.mark.slow]

LINES = [line.strip() for line in PROGRAM.read_text().splitlines()]
NAMES = [line.split('"')[1] for line in LINES if line.startswith('{"') and line.count('"') >= 4]


@pytest.fixture(scope="module")
def program(compile_cpp, stock_flags):
    return compile_cpp(PROGRAM.read_text(), "-O1", *stock_flags, "-ldl", "-lrt")


@pytest.fixture(scope="module")
def listed(program):
    ended = subprocess.run([program], check=True, capture_output=True, text=True)
    rows = (line.split("\t") for line in ended.stdout.splitlines())
    return {name: Case(name=name, found=found, what=what) for name, found, what in rows}


def ended_traces(start_recorded, *command):
    """Run a program that may crash; returns its exit code and the traces."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    try:
        started, folder = start_recorded(*command)
        started.communicate(timeout=60)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    return started.returncode, read_traces(folder)


def test_the_table_is_read(listed):
    assert list(listed) == NAMES
    assert len(NAMES) > 60
    assert all(case.found in RULES or case.found.startswith(NOT_SEEN) for case in listed.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_is_found_and_its_twin_is_quiet(name, program, listed, stock, start_recorded):
    target = Target(version=stock[0].version, library=stock[0].library, home=stock[0].prefix)
    expected = listed[name].expected(target)
    _, wrong = ended_traces(start_recorded, program, name, "wrong")
    found = {misuse.rule for trace in wrong for misuse in trace.misuses}
    if expected.startswith(NOT_SEEN):
        assert not found
    else:
        assert found & RULES[expected]
    code, right = ended_traces(start_recorded, program, name, "right")
    assert code == 0
    assert right, "a program that was not recorded would be quiet as well"
    assert [misuse for trace in right for misuse in trace.misuses] == []


OWNERS = {
    "static": ("callback", "variable"),
    "static_in_function": ("inside", "variable"),
    "main_thread_local": ("mine", "thread_local variable"),
}


@pytest.mark.parametrize("name", OWNERS)
def test_the_variable_of_a_reference_that_is_released_too_late_is_named(name, program, start_recorded):
    _, (trace,) = ended_traces(start_recorded, program, name, "wrong")
    ((finding, _), *_) = misuse_findings(trace, "recorded", LOOKUP)
    (location,) = finding.locations
    variable, storage = OWNERS[name]
    assert location.name.rpartition("::")[2] == variable
    assert location.text.startswith(f"the object is that of the {storage} ")


def test_the_note_says_where_the_gil_was_released(program, start_recorded):
    _, (trace,) = ended_traces(start_recorded, program, "append", "wrong")
    ((finding, _),) = misuse_findings(trace, "recorded", LOOKUP)
    assert finding.notes[0].startswith("before, the thread called PyEval_SaveThread in ")
    assert "cases.cpp" in finding.notes[0] or "program.cpp" in finding.notes[0]
