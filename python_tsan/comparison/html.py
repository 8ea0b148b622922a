"""Render a comparison as one offline page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.comparison import wording
from python_tsan.comparison.model import ColumnVerdict
from python_tsan.render.page import page_template

if TYPE_CHECKING:
    from python_tsan.comparison.model import Cell, Comparison, Row
    from python_tsan.render.registry import Context


_TONES = {ColumnVerdict.CLEAN: "good", ColumnVerdict.NOT_CLEAN: "bad", ColumnVerdict.COULD_NOT_JUDGE: "doubt"}


class RowView(Struct, frozen=True, kw_only=True):
    """A row ready to be shown, with a cell for each column, None where a run has none."""

    row: Row
    differs: bool
    cells: tuple[Cell | None, ...]


def render(comparison: Comparison, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the page."""
    differing = set(comparison.differing)
    return page_template("python_tsan.comparison", "comparison.html.j2").render(
        comparison=comparison,
        headline=wording.headline(comparison),
        verdicts=wording.verdicts(comparison),
        shared=wording.shared(comparison),
        axes=wording.varying(comparison),
        tone=_TONES[comparison.verdict],
        rows=[
            RowView(
                row=row,
                differs=row.id in differing,
                cells=tuple(column.cells.get(row.id) for column in comparison.columns),
            )
            for row in comparison.rows
        ],
        titles={row.id: row.title for row in comparison.rows},
        wording=wording,
    )
