"""The runner itself: that it fails where GitHub would."""

import pytest
from runner import UnknownActionError, read_pairs, run_steps


def steps(machine, *given):
    return run_steps(machine, list(given), machine.contexts())


def test_a_step_that_fails_stops_the_rest_but_not_what_always_runs(place):
    machine = place()
    made = steps(
        machine,
        {"name": "one", "run": "false\necho not reached"},
        {"name": "two", "run": "echo two"},
        {"name": "three", "if": "always()", "run": "echo three"},
    )
    assert made == "failure"
    assert [(step.name, step.outcome, step.said) for step in machine.steps] == [
        ("one", "failure", ""),
        ("two", "skipped", ""),
        ("three", "success", "three\n"),
    ]


def test_only_a_named_bash_has_pipefail(place):
    machine = place()
    assert steps(machine, {"run": "false | true"}) == "success"
    assert steps(machine, {"run": "false | true", "shell": "bash"}) == "failure"


def test_outputs_environment_and_path_reach_later_steps(place):
    machine = place()
    steps(
        machine,
        {"id": "one", "run": 'echo "a=1" >>"$GITHUB_OUTPUT"; echo "B=2" >>"$GITHUB_ENV"; echo /x >>"$GITHUB_PATH"'},
        {"name": "two", "run": 'echo "$A $B ${PATH%%:*}"', "env": {"A": "${{ steps.one.outputs.a }}"}},
    )
    assert machine.step("two").said == "1 2 /x\n"


def test_an_output_that_github_cannot_read_is_an_error():
    assert read_pairs("a=1=2\nb<<END\nx\ny\nEND\nc=\n") == {"a": "1=2", "b": "x\ny", "c": ""}
    with pytest.raises(ValueError, match="cannot read"):
        read_pairs("a=1\nsecond line of a value\n")


def test_an_action_without_a_stand_in_is_an_error(place):
    with pytest.raises(UnknownActionError):
        steps(place(), {"uses": "someone/else@" + "0" * 40})
