"""Own how a verb's help is laid out: a usage of one line and 80 columns at most; leave its words to the verb."""

from __future__ import annotations

import argparse
import os
from functools import partial

from python_tsan.plain_text import WIDTH

_COLUMN = 26  # where the words about an option begin
_FEWEST = 40
_MANY = {"*", "+", argparse.REMAINDER}


def formatter(prog: str) -> argparse.RawDescriptionHelpFormatter:
    """Return what lays out a verb's help."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=_COLUMN, width=width())


def width() -> int:
    """Return the columns that COLUMNS names; more than 80 make long lines, not better help, and few make none."""
    named = os.environ.get("COLUMNS", "")
    return min(WIDTH, max(_FEWEST, int(named))) if named.isdecimal() and int(named) else WIDTH


def tidy(parser: argparse.ArgumentParser) -> None:
    """Give a parser, and those of a verb's own verbs, this width and a usage without every option that it takes."""
    for action in parser._actions:  # noqa: SLF001 -- argparse offers no other way to a parser's arguments
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- as above
            summaries = {each.dest: each.help for each in action._choices_actions}  # noqa: SLF001 -- as above
            for name, child in action.choices.items():
                child.description = child.description or sentence(summaries.get(name) or "") or None
                child.formatter_class = partial(child.formatter_class, max_help_position=_COLUMN, width=width())
                tidy(child)
    if parser.usage is None:
        plain = (usage_of(action) for action in parser._actions if not action.option_strings)  # noqa: SLF001
        parser.usage = " ".join((parser.prog, "[options]", *plain)).replace("%", "%%")


def sentence(summary: str) -> str:
    """Return a line of a table of verbs as it stands above the verb's own help."""
    return f"{summary[0].upper()}{summary[1:]}." if summary else ""


def usage_of(action: argparse.Action) -> str:
    """Return an argument without dashes as it stands in a usage: ``[LOG...]``."""
    words = f"{name_of(action)}{'...' if action.nargs in _MANY else ''}"
    if isinstance(action.nargs, int):
        words = " ".join([words] * action.nargs)
    return f"[{words}]" if action.nargs in {"*", "?"} else words


def name_of(action: argparse.Action) -> str:
    """Return what stands for an argument's value: ``FILE``, ``fast|full``."""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    return action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
