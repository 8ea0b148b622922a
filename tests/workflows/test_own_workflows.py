"""The project's own workflows, every job with every value of its matrix. `nox` is stood in; its words are checked."""

import pytest
from runner import ROOT, load, run_job

WORKFLOWS = {name: load(ROOT / ".github" / "workflows" / f"{name}.yml") for name in ("ci", "verify")}


def legs(matrix):
    """Return as many legs as it takes to have each value of each axis once."""
    for number in range(max(map(len, matrix.values()))):
        yield {axis: values[number % len(values)] for axis, values in matrix.items()}


@pytest.fixture
def own_place(place):
    """Return a function that makes machines with the scripts that the project's own workflows run."""

    def machine(name="machine"):
        made = place(name)
        (made.workspace / ".ci").symlink_to(ROOT / ".ci")
        return made

    return machine


LEGS = [
    (workflow, job, leg)
    for workflow, whole in WORKFLOWS.items()
    for job, parts in whole["jobs"].items()
    for leg in legs(parts["strategy"]["matrix"])
]


@pytest.mark.parametrize(("workflow", "job", "leg"), LEGS, ids=lambda each: str(each) if isinstance(each, str) else "")
def test_every_step_runs_with_every_value_of_the_matrix(own_place, asked, workflow, job, leg):
    machine = own_place()
    result, _ = run_job(machine, WORKFLOWS[workflow]["jobs"][job], matrix=leg)
    assert result == "success", [step.said for step in machine.steps]
    left_out = [step.name for step in machine.steps if step.outcome != "success"]
    full_lane = ("cache@", "from an archive")
    assert [name for name in left_out if not any(each in name for each in full_lane)] == []
    assert ["nox[uv]"] in [line[-1:] for line in asked("pip")]
    assert asked("nox")


def test_the_build_is_cached_under_its_content_key_in_the_full_lane_alone(own_place):
    job = WORKFLOWS["verify"]["jobs"]["verify"]
    for lane in job["strategy"]["matrix"]["lane"]:
        machine = own_place(lane)
        run_job(machine, job, matrix={"lane": lane, "python": "3.13.5", "toolchain": "gcc-13"})
        (cache,) = (step for step in machine.steps if "cache@" in step.name)
        assert (cache.outcome == "success") is (lane == "full")


def test_what_nox_does_not_know_is_red(own_place):
    """The stand-in itself: a session that is not there, and an option that its verb does not take."""
    from runner import run_steps  # noqa: PLC0415 -- of this one test

    for words, result in (
        ("-s verify -- --lane fast", "success"),
        ("-s verfy", "failure"),
        ("-s verify -- --lane slow", "failure"),
        ("-s verify -- --nonsense", "failure"),
    ):
        machine = own_place(words)
        assert run_steps(machine, [{"run": f"nox {words}"}], machine.contexts()) == result


def test_the_full_lane_restores_the_interpreter_of_each_compiler_elsewhere(own_place, asked):
    job = WORKFLOWS["verify"]["jobs"]["verify"]
    assert {each.rpartition("-")[0] for each in job["strategy"]["matrix"]["toolchain"]} == {"clang", "gcc"}
    for lane in job["strategy"]["matrix"]["lane"]:
        machine = own_place(lane)
        run_job(machine, job, matrix={"lane": lane, "python": "3.13.5", "toolchain": "gcc-13"})
        (step,) = (step for step in machine.steps if "from an archive" in step.name)
        assert (step.outcome == "success") is (lane == "full")
    export, restore, canary = [words for words in asked("nox") if {"--export", "--from", "canary"} & set(words)]
    assert export[export.index("--export") + 1] == restore[restore.index("--from") + 1]
    assert "--lane" in canary
