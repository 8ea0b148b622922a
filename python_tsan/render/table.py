"""Lay out tables as Markdown. Text has :func:`plain_text.text_table`, a page the macro ``table``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


def markdown_table(
    columns: Iterable[str], rows: Iterable[Iterable[str]], *, right: Collection[int] = ()
) -> Iterator[str]:
    """Yield the lines of a table of cells that are Markdown already."""
    headings = list(columns)
    yield f"| {' | '.join(headings)} |"
    yield f"| {' | '.join('---:' if index in right else '---' for index in range(len(headings)))} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)
