"""What replaces the GIL in a free-threaded build, clean in both kinds of build, and what enables the GIL again."""

import pytest

pytestmark = pytest.mark.scenarios("free_threading")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()
