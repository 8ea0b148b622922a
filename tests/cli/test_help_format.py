"""How a verb's help is laid out."""

import argparse

import pytest

from python_tsan.cli.help_format import end_with, formatter, name_of, sentence, tidy, usage_of, width


@pytest.fixture
def parser():
    return argparse.ArgumentParser(prog="python-tsan verb", formatter_class=formatter)


@pytest.mark.parametrize(
    ("columns", "expected"), [("", 80), ("many", 80), ("0", 80), ("-3", 80), ("5", 40), ("60", 60), ("200", 80)]
)
def test_the_width_is_what_columns_says_within_bounds(columns, expected, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert width() == expected


@pytest.mark.parametrize(
    ("given", "usage"),
    [
        ({"nargs": "*", "metavar": "LOG"}, "[LOG...]"),
        ({"nargs": "+", "metavar": "RUN"}, "RUN..."),
        ({"nargs": "?", "metavar": "TRACE"}, "[TRACE]"),
        ({"nargs": 2, "metavar": "ENTRY"}, "ENTRY ENTRY"),
        ({"nargs": argparse.REMAINDER, "metavar": "COMMAND"}, "COMMAND..."),
        ({}, "THING"),
        ({"choices": ("bash", "zsh")}, "bash|zsh"),
    ],
)
def test_the_usage_of_an_argument(parser, given, usage):
    assert usage_of(parser.add_argument("thing", **given)) == usage


def test_the_name_of_a_value(parser):
    assert name_of(parser.add_argument("--lane", choices=("fast", "full"))) == "fast|full"
    assert name_of(parser.add_argument("--pair", nargs=2, metavar=("A", "B"))) == "A B"
    assert name_of(parser.add_argument("--some-file")) == "SOME_FILE"


def test_the_usage_names_no_options(parser):
    parser.add_argument("--long-option", metavar="50%%")
    parser.add_argument("logs", nargs="+", metavar="LOG")
    tidy(parser)
    assert parser.format_usage() == "usage: python-tsan verb [options] LOG...\n"


def test_a_usage_of_its_own_stays(parser):
    parser.usage = "python-tsan verb -- COMMAND"
    tidy(parser)
    assert parser.format_usage() == "usage: python-tsan verb -- COMMAND\n"


def test_inner_verbs_are_described_by_their_line_of_the_table(parser):
    verbs = parser.add_subparsers(metavar="VERB")
    plain = verbs.add_parser("scan", help="predict hazards")
    described = verbs.add_parser("show", help="show", description="Another text.")
    tidy(parser)
    assert (plain.description, described.description) == ("Predict hazards.", "Another text.")
    assert plain.usage == "python-tsan verb scan [options]"
    assert parser.usage == "python-tsan verb [options] VERB"


def test_the_example_ends_the_help(parser):
    end_with(parser, "python-tsan verb --quiet", before="How it works.\n")
    assert parser.format_help().endswith("How it works.\n\nexample:\n  python-tsan verb --quiet\n")
    end_with(parser, "python-tsan verb \\\n  --quiet")
    assert parser.epilog == "example:\n  python-tsan verb \\\n    --quiet"


@pytest.mark.parametrize(("summary", "text"), [("build it", "Build it."), ("", ""), ("CPython", "CPython.")])
def test_a_summary_becomes_a_sentence(summary, text):
    assert sentence(summary) == text
