"""Python objects changed from many threads under the GIL: clean, and with the right values at the end."""

import pytest

pytestmark = pytest.mark.scenarios("objects")


def test_scenario(subject):
    """Every scenario of the group does as it says of itself."""
    subject.must_pass()
