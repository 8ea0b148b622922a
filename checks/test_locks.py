"""Native locks and the GIL: the right order is clean, the wrong one hangs and is ended with every thread's stack."""

import pytest

pytestmark = pytest.mark.scenarios("locks")

WORKERS = ("T1", "T2")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()


def _waits_inside(subject, function):
    """Assert that the Python stacks name both workers and show the function in which one of them waits."""
    for observation in subject.observations:
        python = next((path for path in observation.stacks if path.name == "stacks-python.txt"), None)
        assert python, "no Python stacks were saved"
        text = python.read_text(encoding="utf-8")
        assert all(f" is {worker}\n" in text for worker in WORKERS), "a worker is missing from the stacks"
        assert f" in {function}\n" in text, f"no thread waits in {function}"


@pytest.mark.scenarios("locks", name="mutex_wrong_order", needs=["gil"])
def test_stacks_show_who_waits_for_the_mutex(subject):
    """The Python stacks of the hang lead to the wrong line."""
    _waits_inside(subject, "take_mutex_with_gil_held")


@pytest.mark.scenarios("locks", name="call_once_wrong_order", needs=["gil"])
def test_stacks_show_who_waits_at_call_once(subject):
    """The Python stacks of the hang lead to the wrong line."""
    _waits_inside(subject, "call_once_with_gil_held")


@pytest.mark.scenarios("locks", name="mutex_against_stopped_world")
def test_stacks_show_who_keeps_the_world_from_stopping(subject):
    """The Python stacks of the hang lead to the wrong line, with a GIL and without."""
    _waits_inside(subject, "take_mutex_while_attached")
