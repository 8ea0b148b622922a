"""Lay out plain text: paragraphs of 80 columns, tables, spans of time, and text that is safe to print. No I/O."""

from __future__ import annotations

import re
import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

WIDTH = 80
LINE_LENGTH = 300
# What a terminal obeys, and what changes the direction of text around it (https://trojansource.codes): control
# characters, U+061C, U+200E, U+200F, U+2028 to U+202E and U+2066 to U+2069.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
# GitHub obeys `::name::` at the start of a line of a job's log, and `##[name]` anywhere in it
# (https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs). Azure Pipelines obeys `##vso[name]`
# anywhere, TeamCity `##teamcity[name]`.
COMMAND = re.compile(r"^\s*:(?=:)|#(?=#\w*\[)", re.MULTILINE)


def printable(text: str, *, keep: str = "") -> str:
    """Return ``text`` with its control characters, save those in ``keep``, as hexadecimal codes."""
    return re.sub(_CONTROL, lambda found: found[0] if found[0] in keep else _code(found[0]), text)


def harmless(text: str, *, keep: str = "\n\t") -> str:
    """Return ``text`` with nothing in it that a terminal or a build server would obey, save the characters ``keep``."""
    shown = printable(text, keep=keep)
    return COMMAND.sub(lambda found: found[0][:-1] + _code(found[0][-1]), shown)


def _code(letter: str) -> str:
    return f"\\x{ord(letter):02x}" if ord(letter) <= 0xFF else f"\\u{ord(letter):04x}"  # noqa: PLR2004 -- one byte


def wrapped(text: str, *, head: str = "", indent: str = "", width: int = WIDTH) -> list[str]:
    """Break a text into lines: ``head`` begins the first, ``indent`` the others; no line for no text.

    Paths and commands are never cut: a reader copies them whole.
    """
    return textwrap.wrap(
        text, width, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )


def text_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    rule: bool = False,
    width: int = sys.maxsize,
) -> Iterator[list[str]]:
    """Yield the lines of the heading, with a ``rule`` below it and of each row.

    Columns are two spaces apart, those in ``right`` aligned at their right end; the last one is wrapped at ``width``.
    """
    *widths, longest = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    left = sum(widths) + 2 * len(widths)
    for number, (*cells, last) in enumerate((columns, *rows)):
        padded = (
            cell.rjust(room) if index in right else cell.ljust(room)
            for index, (cell, room) in enumerate(zip(cells, widths, strict=True))
        )
        start = "".join(f"{cell}  " for cell in padded)
        first, *more = [last] if left + len(last) <= width else wrapped(last, width=width - left)
        lines = [(start + first).rstrip(), *(" " * left + line for line in more)]
        yield [*lines, "  ".join("-" * room for room in (*widths, longest))] if rule and not number else lines


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
    """Write a number with its noun: ``1 hazard``, ``1,200 modules``, ``0 entries``, ``2 surveys``, ``2 processes``."""
    changes = noun.endswith("y") and noun[-2:-1] not in set("aeiou")
    plural = f"{noun[:-1]}ies" if changes else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def did_you_mean(word: str, known: Iterable[str], *, most: int = 1, otherwise: str = "") -> str:
    """Return a question that suggests the known words most like ``word``, or ``otherwise`` if none is like it."""
    from difflib import get_close_matches  # noqa: PLC0415 -- only errors need it

    near = get_close_matches(word.lower(), list(known), n=most, cutoff=0.6 if most == 1 else 0.4)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def last_line(text: str) -> str:
    """Return the last line of a text that is not blank, without the blanks around it; empty for no such line."""
    return text.strip().rpartition("\n")[2].strip()


def cause_line(text: str) -> str:
    """Return the line in which CPython says why it ends the process, the last line of the text for none.

    What follows it are stacks: ``Fatal Python error: Py_EndInterpreter: thread is not current``.
    """
    fatal = (line.strip() for line in text.splitlines() if line.startswith("Fatal Python error: "))
    return next(fatal, last_line(text))


def some_of(names: Sequence[str], most: int) -> str:
    """List names, or the first ``most`` and how many there are besides: ``a, b and 3 more``."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def one_line(text: str) -> str:
    """Return a text of any length on one line of at most ``LINE_LENGTH`` characters."""
    line = " ".join(text[: 4 * LINE_LENGTH].split())
    return line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]}..."


def span(nanoseconds: int) -> str:
    """Return a time span as text: ``950 ns``, ``12.3 µs``, ``4.56 ms``, ``1.20 s``."""
    for unit, size, digits in (("s", 1_000_000_000, 2), ("ms", 1_000_000, 2), ("µs", 1000, 1)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.{digits}f} {unit}"
    return f"{nanoseconds} ns"
