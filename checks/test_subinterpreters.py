"""Sub-interpreters with their own or a shared GIL: which threads exclude each other, and which do not."""

import pytest

pytestmark = pytest.mark.scenarios("subinterpreters")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()
