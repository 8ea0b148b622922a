"""The workflow for other repositories, job by job, as GitHub hands outputs and artifacts from one to the next."""

import json

import pytest
from expressions import fill
from runner import ROOT, load, run_job

WORKFLOW = load(ROOT / ".github" / "workflows" / "reusable-verify.yml")
CALL = WORKFLOW["on"]["workflow_call"]
JOBS = WORKFLOW["jobs"]
# Racy on one of its builds only, as a program may be that relied on the GIL.
BUILD = """\
source=racy.cpp
if [[ $PYTHON_TSAN_FREE_THREADED != true ]]; then
  source=safe.cpp
  echo 'int main() {}' >"$source"
fi
"$PYTHON_TSAN_CXX" -std=c++17 -fsanitize=thread -g -O1 -pthread "$source" -o program
"""


def called(**given):
    """Return the inputs of a call, with the workflow's own defaults."""
    assert set(given) <= set(CALL["inputs"])
    return {name: each.get("default", "") for name, each in CALL["inputs"].items()} | given


def plan(machine, inputs):
    result, outputs = run_job(machine, JOBS["plan"], inputs=inputs)
    return result, {"plan": {"result": result, "outputs": outputs}}


def legs(needs):
    """Return what `strategy.matrix` makes of the plan."""
    matrix = fill(JOBS["verify"]["strategy"]["matrix"], {"needs": needs})
    return [{"combination": one, "shard": shard} for one in matrix["combination"] for shard in matrix["shard"]]


def verify(place, needs, inputs, racy, *, skip=()):
    """Run each leg on a machine of its own; return their results."""
    results = []
    for number, leg in enumerate(legs(needs)):
        machine = place(f"leg{number}")
        racy(machine)
        if number not in skip:
            results.append(run_job(machine, JOBS["verify"], inputs=inputs, matrix=leg, needs=needs)[0])
    needs["verify"] = {"result": "failure" if "failure" in results else "success", "outputs": {}}
    return results


@pytest.mark.compiler
def test_a_matrix_is_planned_run_added_up_and_compared(place, asked, racy, with_compiler):
    inputs = called(command="./program", build=BUILD, python="3.13", binding="pybind11==2.13.6", repeat=2, shards=2,
                    toolchain=with_compiler.name)  # fmt: skip
    first = place("plan")
    result, needs = plan(first, inputs)
    assert result == "success", first.steps
    assert json.loads(needs["plan"]["outputs"]["shards"]) == ["1", "2"]
    assert [leg["combination"]["slug"] + " " + leg["shard"] for leg in legs(needs)] == [
        f"3.13.5-{with_compiler.name}-pybind11-2.13.6 1",
        f"3.13.5-{with_compiler.name}-pybind11-2.13.6 2",
        f"3.13.5t-{with_compiler.name}-pybind11-2.13.6 1",
        f"3.13.5t-{with_compiler.name}-pybind11-2.13.6 2",
    ]
    assert any("install" in line and "clang-18" in line for line in asked("sudo"))

    assert verify(place, needs, inputs, racy) == ["success", "success", "failure", "failure"]
    runs = [line for line in asked("python-tsan") if line[0] == "run"]
    assert [line[line.index("--shard") + 1] for line in runs] == ["1/2", "2/2", "1/2", "2/2"]

    last = place("compare")
    result, outputs = run_job(last, JOBS["compare"], inputs=inputs, needs=needs)
    step = last.step("Add up the shards, and compare")
    assert (result, step.code, outputs["verdict"]) == ("failure", 1, "not clean"), step.said
    kept = last.store / "artifacts" / "python-tsan-comparison"
    compared = json.loads((kept / "comparison.json").read_text())
    # Columns that are alike in all that decides their order stand as their runs began.
    assert sorted(column["verdict"] for column in compared["columns"]) == ["NOT clean", "clean"]
    assert "2 runs" in (kept / "comparison.html").read_text()
    assert "python-tsan, compared" in last.summary


@pytest.mark.compiler
def test_a_job_that_left_no_run_is_no_green(place, racy, with_compiler):
    inputs = called(command="./program", build="echo 'int main(){}' >s.cpp; " + BUILD, python="3.13", threading="gil",
                    binding="pybind11==2.13.6", shards=2, repeat=2, toolchain=with_compiler.name)  # fmt: skip
    _, needs = plan(place("plan"), inputs)
    verify(place, needs, inputs, racy, skip=(1,))
    last = place("compare")
    result, outputs = run_job(last, JOBS["compare"], inputs=inputs, needs=needs)
    step = last.step("Add up the shards, and compare")
    assert (result, step.code, outputs["verdict"]) == ("failure", 6, "not clean")
    assert "of 2 shards, these are missing: 2" in step.said


def test_nothing_from_any_job_is_no_green(place):
    matrix = json.dumps({"include": [{"slug": "3.13.5-x"}]})
    needs = {"plan": {"result": "success", "outputs": {"matrix": matrix}}, "verify": {"result": "failure"}}
    last = place("compare")
    _, outputs = run_job(last, JOBS["compare"], inputs=called(command="x"), needs=needs)
    step = last.step("Add up the shards, and compare")
    assert (step.code, outputs["verdict"]) == (6, "not clean")
    assert "::error title=python-tsan::no run of 3.13.5-x: see its job" in step.said


def test_an_invalid_version_ends_the_plan(place):
    machine = place("plan")
    result, _ = plan(machine, called(command="x", python="2.7"))
    assert result == "failure"
    assert "must be a CPython version" in machine.step("Compute the combinations").said


def test_without_packages_nothing_is_installed(place, asked):
    plan(place("plan"), called(command="x", packages="", python="2.7"))
    assert asked("sudo") == []


def test_the_call_hands_every_input_of_the_action_on():
    action = load(ROOT / ".github" / "actions" / "run" / "action.yml")["inputs"]
    (given,) = (step["with"] for step in JOBS["verify"]["steps"] if step.get("uses", "").startswith("$/"))
    # Code scanning would need a permission of every caller; a repository that needs it calls the action.
    assert set(action) - set(given) == {"upload-sarif"}
    assert set(given) <= set(action)


def test_no_run_block_of_any_workflow_holds_an_expression():
    blocks = [
        (path.name, step["run"])
        for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
        for job in load(path)["jobs"].values()
        for step in job.get("steps", [])
        if "run" in step
    ]
    assert len(blocks) > 5
    assert [name for name, run in blocks if "${{" in run] == []
