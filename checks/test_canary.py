"""The detector's own test, which runs first: a race that must be found and its safe twin that must be clean."""

import pytest

pytestmark = pytest.mark.scenarios("canary")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()
