"""Sub-interpreters with a GIL of their own, or a shared one: which threads exclude each other, and which do not."""

import pytest

pytestmark = pytest.mark.scenarios("subinterpreters")


def test_scenario(subject):
    """Every scenario of the group does as it says of itself."""
    subject.must_pass()
