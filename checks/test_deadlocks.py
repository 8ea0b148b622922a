"""Locks that can deadlock although nothing hangs, and their safe twins: found, or quiet."""

import pytest

pytestmark = pytest.mark.scenarios("deadlocks")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()
