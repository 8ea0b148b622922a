import signal

import pytest
from msgspec.structs import replace
from observed import CLEAN, HUNG

from python_tsan.checking import deadlines, subjects
from python_tsan.checking.deadlines import CANARY_SECONDS, MOST, disturbance, slowness
from python_tsan.checking.subjects import LaneSetup, Subjects
from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.harness.registry import Scenario
from python_tsan.result.judge.check import judge_check
from python_tsan.result.model import Status

ENDS = Expectation(outcome=Outcome.CLEAN)
HANGS = Expectation(outcome=Outcome.HANG, waits=("T1 waits for the GIL, held by T2",))
BUSY = {"load": 9.0, "cores": 2}


@pytest.mark.parametrize(
    ("seconds", "factor"), [((), 1), ((0.2, 0.4), 1), ((0.2, 3 * CANARY_SECONDS), 3), ((1000 * CANARY_SECONDS,), MOST)]
)
def test_the_slowest_run_of_the_canary_scales_the_deadlines(seconds, factor):
    assert slowness(seconds) == factor


def test_a_run_that_reached_its_deadline_on_a_busy_machine_is_disturbed():
    assert disturbance(ENDS, HUNG, **BUSY) == "it reached its deadline of 4 s at load 9.0 on 2 cores"
    assert disturbance(HANGS, HUNG, **BUSY), "its wait-for graph was not complete"


def test_a_hang_that_the_dump_of_its_stacks_ended_is_disturbed_on_a_quiet_machine_too():
    aborted = replace(HUNG, exit_code=-signal.SIGABRT)
    assert disturbance(HANGS, aborted, load=0.1, cores=2) == "the dump of its Python stacks ended it"
    assert disturbance(ENDS, aborted, load=0.1, cores=2) == "", "it had to end by itself"
    assert disturbance(HANGS, replace(aborted, timed_out=False), load=0.1, cores=2) == "", "it ended by itself"


@pytest.mark.parametrize(
    ("expectation", "observation", "load"),
    [
        (ENDS, CLEAN, 9.0),
        (ENDS, HUNG, 2 * deadlines.BUSY - 0.1),
        (HANGS, replace(HUNG, waits=HANGS.waits), 9.0),
        (replace(HANGS, waits=()), HUNG, 9.0),
    ],
)
def test_a_run_that_ended_or_hung_as_expected_or_had_the_machine_is_not(expectation, observation, load):
    assert disturbance(expectation, observation, load=load, cores=2) == ""


def test_a_repeated_run_is_counted_in_the_verdict():
    again = replace(CLEAN, disturbed="it reached its deadline of 60 s at load 9.0 on 2 cores")
    verdict = judge_check("gil/x", Lane.FULL, ENDS, [CLEAN, again])
    assert verdict.status is Status.PASSED
    assert verdict.reason == "1 of 2 runs repeated: it reached its deadline of 60 s at load 9.0 on 2 cores"


@pytest.fixture
def run_one(monkeypatch, tmp_path):
    """Run one scenario whose process is replaced; return what was observed, and folder and deadline of each run."""

    def run(*outcomes, load, slowness=1.0):
        calls, left = [], list(outcomes)

        def observe(_command, *, folder, deadline, **_):
            calls.append((folder.name, deadline))
            return left.pop(0)

        monkeypatch.setattr(subjects, "observe", observe)
        monkeypatch.setattr(subjects.os, "getloadavg", lambda: (load, load, load))
        monkeypatch.setattr(subjects.os, "cpu_count", lambda: 2)
        one = Scenario(
            name="one",
            group="gil",
            summary="",
            file="",
            lanes=(Lane.FULL,),
            needs=(),
            deadline_seconds=60.0,
            repeats=1,
            twin="",
            case="",
            expect=ENDS,
        )
        setup = LaneSetup(
            lane=Lane.FULL,
            executable=tmp_path / "harness",
            scenarios=(one,),
            folder=tmp_path,
            variables={},
            expected=lambda scenario: scenario.expect,
        )
        made = Subjects(setup)
        made.slowness = slowness
        observations = made.observations("one")
        made.close()
        return observations, calls

    return run


def test_a_disturbed_run_is_repeated_once_with_more_time_in_its_own_folder(run_one):
    (observation,), calls = run_one(HUNG, CLEAN, load=9.0)
    assert calls == [("1", 60.0), ("1-again", 180.0)]
    assert observation.disturbed.startswith("it reached its deadline")
    assert not observation.timed_out


def test_a_hang_is_a_hang_on_a_busy_machine_too(run_one):
    (observation,), calls = run_one(HUNG, HUNG, load=9.0)
    assert len(calls) == 2
    assert observation.timed_out


def test_on_a_quiet_machine_nothing_is_repeated(run_one):
    (observation,), calls = run_one(HUNG, load=0.5, slowness=2.0)
    assert calls == [("1", 120.0)]
    assert observation.disturbed == ""
