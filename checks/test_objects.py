"""Python objects changed by many threads under the GIL: clean, with the expected values at the end."""

import pytest

pytestmark = pytest.mark.scenarios("objects")


def test_scenario(subject):
    """Every scenario of the group shows what it expects."""
    subject.must_pass()
