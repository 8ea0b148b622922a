"""List the rows of the outcome table: the package, the schedule, the hazard and its fixes.

What each Python version does with a row is left to the outcome table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import further_locks, lazy_rows, module_locks
from .case import Row

if TYPE_CHECKING:
    from types import ModuleType


def _rows_of(module: ModuleType) -> tuple[Row, ...]:
    """Return the rows that a module defines, in its order; it may import none."""
    return tuple(each for each in vars(module).values() if isinstance(each, Row))


ROWS = (*_rows_of(module_locks), *_rows_of(further_locks))
LAZY_ROWS = _rows_of(lazy_rows)  # these need the syntax of Python 3.15


def row(name: str) -> Row:
    """Return the row of that name. Raises ``LookupError`` with the names that exist."""
    for each in (*ROWS, *LAZY_ROWS):
        if each.name == name:
            return each
    raise LookupError(f"no row {name!r}; there are {[each.name for each in (*ROWS, *LAZY_ROWS)]}")
