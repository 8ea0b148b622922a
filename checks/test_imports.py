"""Concurrent imports: each deadlock reproduced, with its text and the thread that loses, and gone with its mitigation.

What a scenario must show depends on the Python version; ``python_tsan/imports/outcomes.toml`` holds the table.
"""

import pytest

pytestmark = pytest.mark.scenarios("imports")


def test_scenario(subject):
    """Every scenario of the group does as it says of itself."""
    subject.must_pass()
