"""What the GIL orders and what it does not: each guarded behaviour and its racy twin."""

import pytest

pytestmark = pytest.mark.scenarios("gil")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()


@pytest.mark.scenarios("gil", name="counter_unguarded")
def test_race_has_a_reading_and_a_writing_side_in_two_threads(subject):
    """The race is between two workers, and not between a worker and the main thread."""
    for observation in subject.observations:
        (finding,) = observation.findings
        first, second = finding.accesses
        assert {first.side, second.side} == {"read", "write"}
        assert first.thread != second.thread, "both accesses come from one thread"
        assert 0 not in {first.thread, second.thread}, "an access comes from the main thread, not from a worker"
