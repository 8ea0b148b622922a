"""The verb ``explain``: explain a kind of finding, a word of a report, an error, or one finding of a report."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.help_format import end_with
from python_tsan.cli.report import load_report
from python_tsan.console import make_console
from python_tsan.errors import ExitCode, UsageError
from python_tsan.plain_text import did_you_mean, wrapped
from python_tsan.render.explain import Answer, explain_kind, explain_word, kind_text, known_words
from python_tsan.tsan.finding import Kind

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from python_tsan.console import Console

LATEST = Path("runs", "latest")
_FINGERPRINT = re.compile(r"[0-9a-f]{4,16}$")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``explain``."""
    parser.add_argument("word", nargs="?", metavar="WORD", help="a kind, a fingerprint, an error or a word of a report")
    parser.add_argument(
        "--log",
        dest="paths",
        action="append",
        default=[],
        metavar="PATH",
        help=f"where to find a fingerprint: a log, a folder or a run ({LATEST}); may be repeated",
    )
    end_with(parser, "python-tsan explain data-race")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the explanation; without a word, everything that can be explained."""
    console = make_console()
    if arguments.word is None:
        for line in _contents():
            console.say(line)
    elif answer := explain_word(arguments.word):
        _say(answer, console)
    else:
        _explain_finding(arguments.word, arguments.paths, console)
    return ExitCode.CLEAN


def _contents() -> Iterator[str]:
    slugs = {kind_text(kind).slug: kind for kind in Kind}
    yield "kinds of findings:"
    for slug, kind in slugs.items():
        yield f"  {slug:<30} {textwrap.shorten(kind.value, 46, placeholder=' ...')}"
    yield ""
    yield "words and errors:"
    words = ", ".join(word for word in known_words() if word not in slugs)
    yield from wrapped(words, head="  ", indent="  ")


def _say(answer: Answer, console: Console) -> None:
    console.lines([(answer.title, "bold"), *((line, "") for line in wrapped(answer.short))])
    for heading, text in answer.paragraphs:
        console.lines([("", ""), *([(heading, "bold")] if heading else []), *((line, "") for line in wrapped(text))])


def _explain_finding(word: str, paths: list[str], console: Console) -> None:
    if not _FINGERPRINT.match(word):
        listing = "`python-tsan explain` lists all words"
        raise UsageError(f"unknown word {word!r}", advice=did_you_mean(word, known_words(), most=3, otherwise=listing))
    places = paths or ([str(LATEST)] if LATEST.exists() else [])
    if not places:
        raise UsageError(f"no run to find {word} in", advice="name the log or the run with --log")
    report = load_report(places)
    found = [finding for finding in report.findings if finding.fingerprint.startswith(word)]
    if not found:
        raise UsageError(f"no finding {word} in {', '.join(places)}", advice="`python-tsan report` lists the findings")
    from python_tsan.render.terminal import render_finding  # noqa: PLC0415 -- not needed for words

    for finding in found:
        console.lines(render_finding(finding))
        console.say("")
        _say(explain_kind(finding.kind), console)
