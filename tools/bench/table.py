"""Define what a bench shows: rows that may have a limit, and the table of them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement: the figure without and with what is measured, its cost, the limit, and whether that is met."""

    what: str
    before: str = ""
    measured: str = ""
    cost: str = ""
    limit: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        verdict = "" if self.met is None else "yes" if self.met else "no"
        return (self.what, self.before, self.measured, self.cost, self.limit, verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What was measured, as text. ``missed`` says that a limit was exceeded, ``complaints`` those that no cell shows.

    ``kept_in`` names the file that holds the figures, empty if there is no such file.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    missed: bool = False
    complaints: Sequence[str] = ()
    kept_in: str = ""


def judged(title: str, columns: Sequence[str], rows: Iterable[Row]) -> Table:
    """Return the table of rows that hold their own limits."""
    made = list(rows)
    missed = any(row.met is False for row in made)
    return Table(title=title, columns=columns, rows=[row.cells for row in made], missed=missed)
