"""The pages made of the parser are those of this parser, and what is read in a terminal fits into it."""

import argparse
import shutil
import subprocess

import pytest

from tools import cli_pages

MESSAGE = "{} differs from the parser; run `nox -s cli_pages`"


@pytest.mark.parametrize(
    ("path", "make"),
    [(cli_pages.MARKDOWN, "markdown"), (cli_pages.MANUAL, "manual"), (cli_pages.SETTINGS_PAGE, "settings_page")],
)
def test_the_page_is_current(path, make):
    assert path.read_text(encoding="utf-8") == getattr(cli_pages, make)(), MESSAGE.format(path.name)


def test_a_changed_option_is_seen(monkeypatch):
    whole = cli_pages.whole()
    (verbs,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    verbs.choices["report"].add_argument("--new|one", metavar="N", help="of 50%% weight. -x")
    monkeypatch.setattr(cli_pages, "whole", lambda: whole)
    assert "| `--new\\|one N` | of 50% weight. -x |" in cli_pages.markdown()
    assert ".B \\-\\-new|one N\nof 50% weight. \\-x\n" in cli_pages.manual()


def parsers(parser):
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


def test_every_help_fits_into_80_columns_and_says_what_each_argument_means(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for parser in parsers(cli_pages.whole()):
        wide = [line for line in parser.format_help().splitlines() if len(line) > 80]
        assert wide == [], parser.prog
        mute = [action.dest for action in parser._actions if not action.help and not action.choices]
        assert mute == [], parser.prog


def test_the_manual_is_well_formed():
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    command = ["mandoc", "-T", "lint", "-W", "warning", str(cli_pages.MANUAL)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stdout.splitlines() if "missing date" not in line]  # a date would go stale
    assert complaints == []


def test_what_roff_reads_as_its_own_is_escaped():
    assert cli_pages.roff("'so -x .TH") == "\\&'so \\-x .TH"
    assert cli_pages.roff("a\\b") == "a\\eb"
