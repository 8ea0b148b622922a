"""Lay out tables as text and as Markdown; pages lay out theirs with the macro ``table`` of ``pieces.html.j2``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.plain_text import WIDTH, wrapped

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence


def text_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = (), width: int = WIDTH
) -> Iterator[list[str]]:
    """Yield the lines of the heading and of each row: columns two spaces apart, the last wrapped into what is left.

    ``right`` are the columns whose cells are aligned at their right end.
    """
    *others, _ = zip(columns, *rows, strict=True)
    widths = [max(map(len, cells)) for cells in others]
    left = sum(widths) + 2 * len(widths)
    for row in (columns, *rows):
        *cells, last = row
        start = "".join(
            f"{cell.rjust(width) if index in right else cell.ljust(width)}  "
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        first, *more = wrapped(last, width=width - left) or [""]
        yield [(start + first).rstrip(), *(" " * left + line for line in more)]


def markdown_table(
    columns: Iterable[str], rows: Iterable[Iterable[str]], *, right: Collection[int] = ()
) -> Iterator[str]:
    """Yield the lines of a table of cells that are Markdown already."""
    headings = list(columns)
    yield f"| {' | '.join(headings)} |"
    yield f"| {' | '.join('---:' if index in right else '---' for index in range(len(headings)))} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)
