"""Define what a mitigation gets, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from python_tsan.imports.cases.import_cases.scheduler import Scheduler


Import = Callable[[str], object]


class Program(NamedTuple):
    """``plain`` imports as the threads do by themselves; ``entries`` are their modules."""

    scheduler: Scheduler
    plain: Import
    entries: tuple[str, ...]


Mitigation = Callable[[Program], Import]
