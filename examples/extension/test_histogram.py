"""Tests of the extension. It is imported inside the tests: only their own processes hold ThreadSanitizer's runtime."""

import pytest

TEXT = "abracadabra" * 200
A_IN_TEXT = 1000


@pytest.mark.tsan
def test_count_safe():
    import histogram

    assert histogram.count_safe(TEXT, ord("a")) == A_IN_TEXT


@pytest.mark.tsan
def test_count_racy():
    import histogram

    histogram.count_racy(TEXT, ord("a"))
