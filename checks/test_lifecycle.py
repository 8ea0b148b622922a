"""Short-lived threads, and repeated initialization and finalization of the interpreter."""

import pytest

pytestmark = pytest.mark.scenarios("lifecycle")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()
