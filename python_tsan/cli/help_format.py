"""Lay out a verb's help: a usage of one line, at most 80 columns, an example at the end; the verbs write its words.

``--quiet`` and ``--verbose`` are here, because a verb that reads no settings has them too.
"""

from __future__ import annotations

import argparse
import os

from python_tsan.plain_text import WIDTH

EXAMPLE = "example:"
_COLUMN = 26  # where the texts of options begin
_FEWEST = 40
_MANY = {"*", "+", argparse.REMAINDER}


def formatter(prog: str) -> argparse.RawDescriptionHelpFormatter:
    """Return the formatter of a verb's help."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=_COLUMN, width=width())


def width() -> int:
    """Return the value of COLUMNS, from 40 to 80."""
    named = os.environ.get("COLUMNS", "")
    return min(WIDTH, max(_FEWEST, int(named[:6]))) if named.isdecimal() and int(named[:6]) else WIDTH


def end_with(parser: argparse.ArgumentParser, example: str, *, before: str = "") -> None:
    """End the help with an example, after the paragraphs ``before``; a line that ends in a backslash continues."""
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    parser.epilog = f"{before.rstrip()}\n\n{EXAMPLE}\n{lines}".lstrip()


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="print results only, no progress")


def add_verbose(parser: argparse.ArgumentParser) -> None:
    """Add ``--verbose`` of the verbs that show a report."""
    parser.add_argument("--verbose", action="store_true", help="show whole stacks, and findings that do not fail")


def tidy(parser: argparse.ArgumentParser) -> None:
    """Give a parser and its verbs this width, and a usage that does not list every option."""
    for action in parser._actions:  # noqa: SLF001 -- argparse has no other way to a parser's arguments
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- as above
            summaries = {each.dest: each.help for each in action._choices_actions}  # noqa: SLF001 -- as above
            for name, child in action.choices.items():
                child.description = child.description or sentence(summaries.get(name) or "") or None
                child.formatter_class = formatter
                tidy(child)
        elif action.choices and action.metavar is None:
            action.metavar = "|".join(map(str, action.choices))
    if parser.usage is None:
        plain = (usage_of(action) for action in parser._actions if not action.option_strings)  # noqa: SLF001
        parser.usage = " ".join((parser.prog, "[options]", *plain)).replace("%", "%%")


def sentence(summary: str) -> str:
    """Return a line of a table of verbs as the first sentence of the verb's help."""
    return f"{summary[0].upper()}{summary[1:]}." if summary else ""


def usage_of(action: argparse.Action) -> str:
    """Return an argument without dashes as a usage shows it: ``[LOG...]``."""
    words = f"{name_of(action)}{'...' if action.nargs in _MANY else ''}"
    if isinstance(action.nargs, int):
        words = " ".join([words] * action.nargs)
    return f"[{words}]" if action.nargs in {"*", "?"} else words


def name_of(action: argparse.Action) -> str:
    """Return the placeholder of an argument's value: ``FILE``, ``fast|full``."""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    return action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
