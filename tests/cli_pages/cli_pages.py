"""Write docs/cli.md and docs/python-tsan.1, both made of the parser that reads the command line; `nox -s cli_pages`."""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from python_tsan import __version__
from python_tsan.cli.layout import name_of, usage_of
from python_tsan.cli.main import EXIT_CODES, VERBS, build_parser

DOCS = Path(__file__).parents[2] / "docs"
MARKDOWN, MANUAL = DOCS / "cli.md", DOCS / "python-tsan.1"
SETTINGS = "settings"
MADE = "Made by `nox -s cli_pages` from the parser itself; a test compares them."


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An argument as it is typed, and what it means."""

    typed: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """One verb, or one of a verb's own verbs. ``settings`` says whether it takes the settings as well."""

    name: str
    usage: str
    text: str
    entries: tuple[Entry, ...]
    settings: bool


def pages():
    """Yield a page for each verb, each followed by its own verbs."""
    (verbs,) = (action for action in whole()._actions if isinstance(action, argparse._SubParsersAction))
    for name, parser in verbs.choices.items():
        yield from pages_of(f"python-tsan {name}", parser)


def whole():
    return build_parser(*(verb.name for verb in VERBS))


def pages_of(name, parser):
    own = [group for group in parser._action_groups if group.title != SETTINGS]
    actions = [action for group in own for action in group._group_actions if action.help != argparse.SUPPRESS]
    inner = [action for action in actions if isinstance(action, argparse._SubParsersAction)]
    entries = tuple(entry(action, parser) for action in actions if action not in inner and action.dest != "help")
    words = (parser.description or "", parser.epilog or "")
    yield Page(
        name=name,
        usage=(parser.usage or name).replace("%%", "%"),
        text="\n\n".join(word.strip() for word in words if word.strip()),
        entries=entries,
        settings=len(own) < len(parser._action_groups),
    )
    for action in inner:
        for verb, child in action.choices.items():
            yield from pages_of(f"{name} {verb}", child)


def entry(action, parser):
    value = "" if action.nargs == 0 else name_of(action)
    if not action.option_strings:
        return Entry(typed=usage_of(action).strip("[]"), text=meaning(action, parser))
    return Entry(typed=f"{', '.join(action.option_strings)} {value}".strip(), text=meaning(action, parser))


def meaning(action, parser):
    # What differs from machine to machine is named, not shown.
    default = "this Python" if str(action.default) == sys.executable else action.default
    return (action.help or "") % {**vars(action), "default": default, "prog": parser.prog}


def settings():
    """Return the settings as `build` takes them, which takes all."""
    (verbs,) = (action for action in whole()._actions if isinstance(action, argparse._SubParsersAction))
    parser = verbs.choices["build"]
    (group,) = (group for group in parser._action_groups if group.title == SETTINGS)
    return tuple(entry(action, parser) for action in group._group_actions)


def markdown():
    """Return the page for readers of the repository."""
    lines = ["# The command line", "", MADE, ""]
    lines += [f"- [{page.name}](#{page.name.replace(' ', '-')})" for page in pages()] + ["- [settings](#settings)"]
    for page in pages():
        lines += ["", f"## {page.name}", "", "```text", page.usage, "```", "", plain_markdown(page.text)]
        lines += table(page.entries)
        lines += ["", "Takes the [settings](#settings) too."] if page.settings else []
    sources = "`PYTHON_TSAN_<NAME>`, `python-tsan.toml` and `[tool.python-tsan]`"
    lines += ["", "## settings", "", f"Read also from {sources}.", *table(settings())]
    return "\n".join([*lines, "", "## exit codes", "", "```text", *EXIT_CODES.splitlines()[1:], "```", ""])


def table(entries):
    if not entries:
        return []
    rows = [f"| `{cell(each.typed)}` | {cell(each.text)} |" for each in entries]
    return ["", "| argument | means |", "|---|---|", *rows]


def cell(text):
    return text.replace("|", "\\|")


def plain_markdown(text):
    """Return text with what is laid out by hand, which holds indented or aligned lines, kept as it stands."""
    return "\n\n".join(f"```text\n{part}\n```" if laid_out(part) else part for part in text.split("\n\n"))


def laid_out(part):
    return re.search(r"^\s|\S {2,}\S", part, re.MULTILINE)


def manual():
    """Return the manual page, in roff's man macros."""
    lines = [f'.TH PYTHON-TSAN 1 "" "python-tsan {__version__}" "User Commands"']
    lines += [".SH NAME", f"python-tsan \\- {roff(whole().description.replace(chr(10), ' ').rstrip('.'))}"]
    lines += [".SH SYNOPSIS", r".B python\-tsan", "VERB [argument ...]", ".SH VERBS"]
    for page in pages():
        lines += [f".SS {roff(page.usage)}", *paragraphs(page.text), *tagged(page.entries)]
        lines += [".PP", "Takes the settings too."] if page.settings else []
    lines += [".SH SETTINGS", "Read also from PYTHON_TSAN_<NAME>, python\\-tsan.toml and [tool.python\\-tsan]."]
    lines += [*tagged(settings()), ".SH EXIT STATUS", ".nf", *map(roff, EXIT_CODES.splitlines()[1:]), ".fi"]
    return "\n".join([*lines, ""])


def paragraphs(text):
    for number, part in enumerate(text.split("\n\n")):
        lines = [roff(line) for line in part.splitlines()]
        # The first paragraph follows its heading at once.
        yield from [".PP"] if number else []
        yield from [".nf", *lines, ".fi"] if laid_out(part) else lines


def tagged(entries):
    for each in entries:
        yield from (".TP", f".B {roff(each.typed)}", roff(each.text) or "\\&")


def roff(text):
    """Escape what roff would read as its own: backslashes, hyphens, and a dot or quote that begins a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    for path, text in ((MARKDOWN, markdown()), (MANUAL, manual())):
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
