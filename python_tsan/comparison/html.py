"""Own the page of a comparison: one file that needs no network; leave words to wording, looks to the template."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template

from python_tsan.comparison import wording
from python_tsan.comparison.model import ColumnVerdict

if TYPE_CHECKING:
    from python_tsan.comparison.model import Cell, Comparison, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class RowView:
    """A row ready to be shown, with a cell for each column, None where a run has none."""

    row: Row
    differs: bool
    cells: tuple[Cell | None, ...]


def render_html(comparison: Comparison) -> str:
    """Return the page."""
    differing = set(comparison.differing)
    return _template().render(
        comparison=comparison,
        headline=wording.headline(comparison),
        verdicts=wording.verdicts(comparison),
        shared=wording.shared(comparison),
        axes=wording.varying(comparison),
        tone=_tone(comparison),
        rows=[
            RowView(
                row=row,
                differs=row.id in differing,
                cells=tuple(column.cells.get(row.id) for column in comparison.columns),
            )
            for row in comparison.rows
        ],
        titles={row.id: row.title for row in comparison.rows},
        unmet=tuple(wording.unmet(comparison)),
        wording=wording,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("python_tsan.comparison"), PackageLoader("python_tsan.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("comparison.html.j2")


def _tone(comparison: Comparison) -> str:
    verdicts = {column.verdict for column in comparison.columns}
    if ColumnVerdict.NOT_CLEAN in verdicts:
        return "bad"
    return "doubt" if ColumnVerdict.COULD_NOT_JUDGE in verdicts or comparison.unreadable else "good"
