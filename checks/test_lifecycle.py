"""Threads that come and go, and an interpreter that does."""

import pytest

pytestmark = pytest.mark.scenarios("lifecycle")


def test_scenario(subject):
    """Every scenario of the group does as it says of itself."""
    subject.must_pass()
