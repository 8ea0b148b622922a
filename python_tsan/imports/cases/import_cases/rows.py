"""List the rows of the outcome table in its order: the package, the schedule, the hazard and its fixes.

What each Python version does with a row is left to the outcome table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .further_locks import CREATE_CYCLE, FORK, FORK_OTHER, IMPORTING_FINDER, LOCK_THEN_IMPORT, USER_LOCK
from .lazy_rows import (
    LAZY_FINALIZER,
    LAZY_FORK,
    LAZY_FROM_EACH_OTHER,
    LAZY_IN_BODIES,
    LAZY_JOINING_BODY,
    LAZY_READ,
    LAZY_SAME_NAME,
    LAZY_SIGNAL,
    LAZY_USER_LOCK,
)
from .module_locks import (
    BARREL,
    BY_NAME,
    COLD_WINDOW,
    FROM_EACH_OTHER,
    FROM_PARENT,
    IMPORT_MODULE,
    JOINING_BODY,
    JOINING_OTHER,
    LAZY_CYCLE,
    WARM_WINDOW,
)
from .schedules import HAZARD, LOCK

if TYPE_CHECKING:
    from .case import Row

__all__ = ["HAZARD", "LAZY_ROWS", "LOCK", "ROWS", "row"]

ROWS = (
    COLD_WINDOW,
    WARM_WINDOW,
    BARREL,
    FROM_PARENT,
    BY_NAME,
    FROM_EACH_OTHER,
    IMPORT_MODULE,
    LAZY_CYCLE,
    JOINING_BODY,
    JOINING_OTHER,
    USER_LOCK,
    LOCK_THEN_IMPORT,
    FORK,
    FORK_OTHER,
    IMPORTING_FINDER,
    CREATE_CYCLE,
)


# These need the syntax of Python 3.15.
LAZY_ROWS = (
    LAZY_READ,
    LAZY_IN_BODIES,
    LAZY_FROM_EACH_OTHER,
    LAZY_USER_LOCK,
    LAZY_JOINING_BODY,
    LAZY_FORK,
    LAZY_SIGNAL,
    LAZY_FINALIZER,
    LAZY_SAME_NAME,
)


def row(name: str) -> Row:
    """Return the row of that name. Raises ``LookupError`` with the names that exist."""
    for each in (*ROWS, *LAZY_ROWS):
        if each.name == name:
            return each
    raise LookupError(f"no row {name!r}; there are {[each.name for each in (*ROWS, *LAZY_ROWS)]}")
