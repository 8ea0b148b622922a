"""What a scenario must show and may need, by the build that it runs on."""

from dataclasses import replace
from pathlib import Path

import pytest
from staged import CLEAN, RACES, scenario

from python_tsan.binding import DEFAULT
from python_tsan.checking.lane import expectation_for, lane_setup
from python_tsan.cpython.manifest import Interpreter
from python_tsan.expectation import Expectation, Outcome
from python_tsan.harness.build import Harness
from python_tsan.toolchain.model import Candidate, Family, Toolchain

PLACE = Path("/nowhere")
TOOLCHAIN = Toolchain(
    candidate=Candidate(family=Family.GCC, cc=PLACE, cxx=PLACE, version="12", target="x86_64-linux-gnu"),
    runtime=None,
    runtime_id="7a",
    symbolizer=None,
    linker=None,
)


def build(*, free_threaded, version="3.13.5"):
    return Interpreter(
        key="k",
        instrumented=True,
        version=version,
        free_threaded=free_threaded,
        debug=True,
        prefix=PLACE,
        executable=PLACE,
        library=PLACE,
        include=PLACE,
        cc=PLACE,
        cxx=PLACE,
        toolchain="gcc-12",
        runtime=None,
        runtime_id="7a",
    )


def harness_of(folder, scenario, *, free_threaded):
    return Harness(
        key="h",
        executable=folder / "h",
        scenarios=(scenario,),
        interpreter=build(free_threaded=free_threaded),
        binding=DEFAULT,
    )


GUARDED = replace(scenario("guarded", "gil"), expect_free_threaded=RACES)


@pytest.mark.parametrize(("free_threaded", "expected"), [(False, CLEAN), (True, RACES)])
def test_one_scenario_has_an_expectation_for_each_kind_of_build(free_threaded, expected):
    assert expectation_for(GUARDED, interpreter=build(free_threaded=free_threaded)) is expected


@pytest.mark.parametrize("free_threaded", [False, True])
def test_most_must_show_the_same_on_both(free_threaded):
    assert expectation_for(scenario("atomic", "gil"), interpreter=build(free_threaded=free_threaded)) is CLEAN


def test_imports_go_by_their_table_on_both_kinds():
    row = replace(scenario("row", "imports", case="cold_window"), expect_free_threaded=RACES)
    for free_threaded in (False, True):
        expected = expectation_for(row, interpreter=build(free_threaded=free_threaded))
        assert expected.outcome is Outcome.ERROR


@pytest.mark.parametrize(
    ("free_threaded", "gil", "threading"), [(False, "", "needs a free-threaded build"), (True, "needs a GIL", "")]
)
def test_a_build_has_a_gil_or_is_free_threaded(free_threaded, gil, threading, tmp_path):
    harness = harness_of(tmp_path, GUARDED, free_threaded=free_threaded)
    setup, _ = lane_setup(harness, toolchain=TOOLCHAIN, folder=tmp_path, base={}, jobs=1)
    assert setup.missing(replace(GUARDED, needs=("gil",))) == gil
    assert setup.missing(replace(GUARDED, needs=("free_threading",))) == threading
    assert setup.runs_of(GUARDED) == (3 if free_threaded else 1)


@pytest.mark.parametrize(("free_threaded", "seconds"), [(False, 4.0), (True, 60.0)])
def test_a_hangs_short_deadline_is_not_for_a_build_on_which_it_ends(free_threaded, seconds, tmp_path):
    hang = Expectation(outcome=Outcome.HANG)
    hanging = replace(scenario("order", "locks", hang, deadline=4.0), expect_free_threaded=CLEAN)
    harness = harness_of(tmp_path, hanging, free_threaded=free_threaded)
    setup, _ = lane_setup(harness, toolchain=TOOLCHAIN, folder=tmp_path, base={}, jobs=1)
    assert setup.deadline_of(hanging) == seconds
    assert setup.deadline_of(GUARDED) == GUARDED.deadline_seconds
