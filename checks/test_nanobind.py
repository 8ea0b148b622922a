"""What only a harness compiled with nanobind can show: its locks, its leak report, its FREE_THREADED option."""

import pytest

TICKETS = 2

pytestmark = pytest.mark.scenarios("nanobind")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()


@pytest.mark.scenarios("nanobind", name="nanobind_leak", needs=["gil"])
def test_the_leaks_are_named_by_their_class(subject):
    """The report names the class of each object that outlived the interpreter."""
    for observation in subject.observations:
        output = (observation.folder / "stderr.txt").read_text(encoding="utf-8")
        assert output.count('of type "__main__.Ticket"') == TICKETS, "a ticket is not named"
