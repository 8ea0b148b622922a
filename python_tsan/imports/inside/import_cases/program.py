"""Own what a cure is given of the program that it is to mend, and the putting of a lock round every import of it."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .director import Director  # noqa: TC001 -- a named tuple keeps its annotations at run time
from .schedules import LOCK

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

Import = Callable[[str], object]


class Program(NamedTuple):
    """``plain`` imports as the program's threads do by themselves; ``entries`` are the modules that they import."""

    director: Director
    plain: Import
    entries: tuple[str, ...]


def round_import(program: Program, lock: AbstractContextManager[object]) -> Import:
    """Put ``lock`` round ``builtins.__import__`` and tell the director when a thread comes to it."""
    original = builtins.__import__

    def guarded(name: str, *arguments: object, **keywords: object) -> object:
        program.director.mark(LOCK)
        with lock:
            return original(name, *arguments, **keywords)  # type: ignore[arg-type]

    builtins.__import__ = guarded  # type: ignore[assignment]
    return program.plain
