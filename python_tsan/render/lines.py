"""Hold lines of a terminal with their look, which is shown only where there is colour."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from python_tsan.plain_text import harmless, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Style(StrEnum):
    """How a line looks, in the console's words."""

    PLAIN = ""
    TITLE = "bold"
    BAD = "bold red"
    GOOD = "green"
    FAINT = "dim"


class Line(NamedTuple):
    """One line without its line feed."""

    text: str
    style: Style = Style.PLAIN


def styled(text: str, style: Style = Style.PLAIN, *, indent: str = "") -> Iterator[Line]:
    """Yield ``text`` as lines of a terminal's width, the first behind ``indent``; no line for no text."""
    for line in wrapped(text, head=indent, indent=indent + "  "):
        yield Line(line, style)


def as_text(lines: Iterable[Line]) -> str:
    """Return lines without their look, each with its line feed, with nothing in them that a terminal obeys."""
    return "".join(f"{harmless(line.text, keep='')}\n" for line in lines)
