"""List the known races of CPython itself, by version, as suppressions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.tsan.suppressions import parse_suppressions
from python_tsan.version import minor_of

if TYPE_CHECKING:
    from python_tsan.tsan.suppressions import Suppression

SHIPPED = Path(__file__).parent / "shipped"
# Entries of races that no scenario shows in each run; the project's tests have programs that do.
SHOWN_BY_TESTS = frozenset(
    {"race:_PyMem_SetDefaultAllocator", "race_top:Py_IsInitialized", "race:_Py_DumpTracebackThreads"}
)


def shipped_file(version: str, *, free_threaded: bool = False) -> Path | None:
    """Return the list that comes with this package for a CPython version such as ``3.13.5``, None if no list exists.

    Only defects of CPython itself that have an issue of their own are listed; nothing is known of most versions.
    """
    file = SHIPPED / f"cpython-{minor_of(version)}{'t' if free_threaded else ''}.txt"
    return file if file.is_file() else None


def known_races(version: str, *, free_threaded: bool = False) -> tuple[Suppression, ...]:
    """Return the entries of that list; each entry's ``reason`` names upstream's issue."""
    file = shipped_file(version, free_threaded=free_threaded)
    return parse_suppressions(file.read_text(encoding="utf-8")).entries if file else ()
