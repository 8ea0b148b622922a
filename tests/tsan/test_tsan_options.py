from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_tsan.tsan.options import Options, merge_options, parse_options


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("halt_on_error=0:exitcode=66", {"halt_on_error": "0", "exitcode": "66"}),
        ("a=1 b=2,c=3\nd=4\te=5", {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}),
        ("log_path='/a b/c:d':x=1", {"log_path": "/a b/c:d", "x": "1"}),
        ('log_path="/it\'s"', {"log_path": "/it's"}),
        ("a=1:a=2", {"a": "2"}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_parse(text, values):
    options = parse_options(text)
    assert options.values == values
    assert options.wrong == ()


def test_words_without_a_value_are_reported():
    assert parse_options("verbose:a=1").wrong == ("verbose",)


def test_theirs_wins_and_is_reported():
    options, overrides = merge_options({"exitcode": "66", "halt_on_error": "0", "same": "1"}, "exitcode=0:same=1:own=x")
    assert options.values == {"exitcode": "0", "halt_on_error": "0", "same": "1", "own": "x"}
    (told,) = overrides
    assert (told.name, told.ours, told.theirs) == ("exitcode", "66", "0")
    assert str(told) == "TSAN_OPTIONS: exitcode=0 is yours and stays; exitcode=66 is not used"


def test_a_value_that_cannot_be_reported():
    with pytest.raises(ValueError, match="both kinds of quotes"):
        str(Options(values={"log_path": "a b'\""}))


NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
VALUES = st.text(st.characters(codec="ascii", exclude_characters="\"'", exclude_categories=["Cc"]), max_size=12)


@given(values=st.dictionaries(NAMES, VALUES))
def test_what_is_printed_is_read_back(values):
    assert parse_options(str(Options(values=values))).values == values


@given(text=st.text())
def test_any_text_is_read(text):
    parse_options(text)
