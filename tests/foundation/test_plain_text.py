"""Lists of names that are cut, and the line of an output that says why it ended."""

import pytest

from python_tsan.plain_text import last_line, some_of


@pytest.mark.parametrize(
    ("text", "line"),
    [("", ""), (" \n\n", ""), ("one", "one"), ("one\n  two \n\n", "two"), ("error: a\nb: not found\n", "b: not found")],
)
def test_the_last_line_that_is_not_blank(text, line):
    assert last_line(text) == line


@pytest.mark.parametrize(
    ("count", "words"), [(1, "a"), (2, "a, b"), (3, "a, b, c"), (4, "a, b, c and 1 more"), (6, "a, b, c and 3 more")]
)
def test_a_long_list_says_how_many_are_left_out(count, words):
    assert some_of(list("abcdef")[:count], 3) == words
