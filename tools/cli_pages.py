"""Write docs/cli.md, docs/python-tsan.1 and the table of docs/settings.md; `nox -s cli_pages`.

The first two come from the parser that reads the command line, the table from the list of settings.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import __version__
from python_tsan.cli.help_format import name_of, usage_of
from python_tsan.cli.main import EXIT_CODES, VERBS, build_parser
from python_tsan.config import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# ruff: noqa: SLF001 -- argparse has no other way to a parser's arguments

DOCS = Path(__file__).parents[1] / "docs"
MARKDOWN, MANUAL, SETTINGS_PAGE = DOCS / "cli.md", DOCS / "python-tsan.1", DOCS / "settings.md"
SETTINGS = "settings"
GENERATED = "`nox -s cli_pages` writes this page from the parser; a test compares them."


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An argument as the user types it, and its meaning."""

    typed: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A verb, or a verb of a verb. ``settings`` are the settings that it takes."""

    name: str
    usage: str
    text: str
    entries: tuple[Entry, ...]
    settings: tuple[Entry, ...]


def pages() -> Iterator[Page]:
    """Yield a page for each verb, each followed by its own verbs."""
    for name, parser in subparsers(whole()).items():
        yield from _pages_of(f"python-tsan {name}", parser)


def whole() -> argparse.ArgumentParser:
    """Return the parser with all verbs loaded."""
    return build_parser(*(verb.name for verb in VERBS))


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the verbs of a parser by name; empty if it has none."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: child for action in inner for name, child in action.choices.items()}


def _pages_of(name: str, parser: argparse.ArgumentParser) -> Iterator[Page]:
    entries: dict[bool, list[Entry]] = {True: [], False: []}
    for group in parser._action_groups:
        for action in group._group_actions:
            shown = action.help != argparse.SUPPRESS and action.dest != "help"
            if shown and not isinstance(action, argparse._SubParsersAction):
                entries[group.title == SETTINGS].append(_entry(action, parser))
    texts = (parser.description or "", parser.epilog or "")
    yield Page(
        name=name,
        usage=(parser.usage or name).replace("%%", "%"),
        text="\n\n".join(text.strip() for text in texts if text.strip()),
        entries=tuple(entries[False]),
        settings=tuple(entries[True]),
    )
    for verb, child in subparsers(parser).items():
        yield from _pages_of(f"{name} {verb}", child)


def _entry(action: argparse.Action, parser: argparse.ArgumentParser) -> Entry:
    # What differs from machine to machine is named, not shown.
    default = "this Python" if str(action.default) == sys.executable else action.default
    text = (action.help or "") % {**vars(action), "default": default, "prog": parser.prog}
    if not action.option_strings:
        return Entry(typed=usage_of(action).strip("[]"), text=text)
    value = "" if action.nargs == 0 else name_of(action)
    return Entry(typed=f"{', '.join(action.option_strings)} {value}".strip(), text=text)


def settings() -> tuple[Entry, ...]:
    """Return the settings of all verbs, each once."""
    return tuple(dict.fromkeys(entry for page in pages() for entry in page.settings))


def markdown() -> str:
    """Return the page for readers of the repository."""
    lines = ["# The command line", "", GENERATED, ""]
    lines += [f"- [{page.name}](#{page.name.replace(' ', '-')})" for page in pages()]
    lines += ["", "[Settings](settings.md) and [exit codes](exit-codes.md) have pages of their own."]
    for page in pages():
        lines += ["", f"## {page.name}", "", "```text", page.usage, "```", "", _markdown_text(page.text)]
        lines += _markdown_table(page.entries)
        lines += ["", f"[Settings](settings.md): {', '.join(_names(page))}."] if page.settings else []
    return "\n".join([*lines, ""])


def settings_page() -> str:
    """Return the page of the settings with its table, which stands between two comments."""
    before, rest = SETTINGS_PAGE.read_text(encoding="utf-8").split("<!-- settings:")
    mark, _ = rest.split("-->\n", 1)
    after = rest.split("<!-- end of settings -->", 1)[1]
    rows = [f"| `{option.name}` | {option.default} | {option.summary} |" for option in OPTIONS]
    table = "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])
    return f"{before}<!-- settings:{mark}-->\n{table}\n<!-- end of settings -->{after}"


def _names(page: Page) -> list[str]:
    return [f"`{entry.typed.split()[0]}`" for entry in page.settings]


def _markdown_table(entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return []
    rows = ["| `{}` | {} |".format(*(text.replace("|", "\\|") for text in (each.typed, each.text))) for each in entries]
    return ["", "| argument | meaning |", "|---|---|", *rows]


def _markdown_text(text: str) -> str:
    return "\n\n".join(f"```text\n{part}\n```" if _is_laid_out(part) else part for part in text.split("\n\n"))


def _is_laid_out(part: str) -> bool:
    """Return whether a paragraph has indented or aligned lines, which must stay as they are."""
    return bool(re.search(r"^\s|\S {2,}\S", part, re.MULTILINE))


def manual() -> str:
    """Return the manual page, in roff's man macros."""
    description = (whole().description or "").replace("\n", " ").rstrip(".")
    lines = [f'.TH PYTHON-TSAN 1 "" "python-tsan {__version__}" "User Commands"']
    lines += [".SH NAME", f"python-tsan \\- {roff(description)}"]
    lines += [".SH SYNOPSIS", r".B python\-tsan", "VERB [argument ...]", ".SH VERBS"]
    for page in pages():
        lines += [f".SS {roff(page.usage)}", *_roff_text(page.text), *_roff_entries(page.entries)]
        lines += [".PP", roff(f"Settings: {', '.join(_names(page))}.".replace("`", ""))] if page.settings else []
    lines += [".SH SETTINGS", "Also read from PYTHON_TSAN_<NAME>, python\\-tsan.toml and [tool.python\\-tsan]."]
    lines += [*_roff_entries(settings()), ".SH EXIT STATUS", ".nf", *map(roff, EXIT_CODES.splitlines()[1:]), ".fi"]
    return "\n".join([*lines, ""])


def _roff_text(text: str) -> Iterator[str]:
    for number, part in enumerate(text.split("\n\n")):
        lines = [roff(line) for line in part.splitlines()]
        # The first paragraph follows its heading at once.
        yield from [".PP"] if number else []
        yield from [".nf", *lines, ".fi"] if _is_laid_out(part) else lines


def _roff_entries(entries: Iterable[Entry]) -> Iterator[str]:
    for each in entries:
        yield from (".TP", f".B {roff(each.typed)}", roff(each.text) or "\\&")


def roff(text: str) -> str:
    """Escape what roff interprets: backslashes, hyphens, and a dot or quote at the start of a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    for path, text in ((MARKDOWN, markdown()), (MANUAL, manual()), (SETTINGS_PAGE, settings_page())):
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
