"""The detector's own test: a race that must be found and its safe twin that must be clean. It runs first."""

import pytest

pytestmark = pytest.mark.scenarios("canary")


def test_scenario(subject):
    """Every scenario of the group does as it says of itself."""
    subject.must_pass()
