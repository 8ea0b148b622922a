"""Own how results are laid out as plain text: paragraphs of 80 columns, tables, spans of time. No I/O."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 80
LINE_LENGTH = 300


def wrapped(text: str, *, head: str = "", indent: str = "", width: int = WIDTH) -> list[str]:
    """Break a text into lines: ``head`` begins the first, ``indent`` the others; no line for no text.

    Paths and commands are never cut: whoever copies one needs it whole.
    """
    return textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a table as lines: columns padded to their widest cell, two spaces apart, nothing after the last."""
    widths = [max(len(row[index]) for row in (columns, *rows)) for index in range(len(columns))]
    rule = ["-" * width for width in widths]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (columns, rule, *rows)
    ]


def duration(seconds: float) -> str:
    """Write a time span for people: ``0.4 s``, ``12 s``, ``3 min 05 s``."""
    if seconds < 10:  # noqa: PLR2004 -- two significant digits are what a person reads
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def remaining(elapsed: float, fraction: float | None) -> str:
    """Estimate the time to go from what has passed, as ``about 12 s to go``; empty while it cannot be known."""
    if fraction is None or fraction <= 0 or fraction >= 1 or elapsed < 1:
        return ""
    return f"about {duration(elapsed * (1 - fraction) / fraction)} to go"


def counted(number: int, noun: str) -> str:
    """Write a number with its noun: ``1 hazard``, ``1,200 modules``, ``0 entries``, ``2 processes``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def one_line(text: str) -> str:
    """Return a text of any length on one line of at most ``LINE_LENGTH`` characters."""
    line = " ".join(text[: 4 * LINE_LENGTH].split())
    return line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]}..."
