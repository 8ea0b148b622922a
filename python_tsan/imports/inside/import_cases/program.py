"""Own what a cure is given of the program that it is to mend."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .director import Director  # noqa: TC001 -- a named tuple keeps its annotations at run time

Import = Callable[[str], object]


class Program(NamedTuple):
    """``plain`` imports as the program's threads do by themselves; ``entries`` are the modules that they import."""

    director: Director
    plain: Import
    entries: tuple[str, ...]
