"""Read the source lines that a page shows around a frame.

A log may name any file of the machine, so lines are read only from regular files of bounded size below folders that
the user has named, or works in.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from python_tsan.storage import read_regular, real

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from python_tsan.render.registry import SourceLines

MOST_BYTES = 4 << 20
MOST_COLUMNS = 400
AROUND = 2


def source_reader(folders: Sequence[str | Path]) -> SourceLines:
    """Return a function that gives the numbered lines around a line of a file in ``folders``, which may be files too.

    It gives none for a file elsewhere, and for one that cannot be read.
    """
    roots = [real(folder) for folder in folders]

    @lru_cache(maxsize=16)
    def lines_of(file: str) -> tuple[str, ...]:
        try:
            path = real(file)
            if not any(path.is_relative_to(root) for root in roots):
                return ()
            text = read_regular(path, limit=MOST_BYTES).decode("utf-8", errors="replace")
        except (OSError, ValueError):  # ValueError: a NUL
            return ()
        return tuple(text.split("\n"))

    def source_lines(file: str, line: int) -> tuple[tuple[int, str], ...]:
        lines = lines_of(file) if file and line > 0 else ()
        first, last = max(1, line - AROUND), min(len(lines), line + AROUND)
        if line > len(lines):
            return ()
        return tuple((number, lines[number - 1].rstrip("\r")[:MOST_COLUMNS]) for number in range(first, last + 1))

    return source_lines
