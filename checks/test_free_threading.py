"""What takes the GIL's place on a free-threaded build, clean on both kinds, and what brings the GIL back."""

import pytest

pytestmark = pytest.mark.scenarios("free_threading")


def test_scenario(subject):
    """Every scenario of the group does as it says of itself."""
    subject.must_pass()
