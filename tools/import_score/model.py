"""Define a package tree of the corpus, and what became of one pair of its entries. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Files by path; ``pairs`` of entries, each a module or ``module:function``; ``main`` is imported before them.

    At most ``most`` schedules of a pair are tried, at the recursion limit ``recursion``. A tree is for Pythons from the
    version ``since``; ``lazy`` is the mode of lazy imports.
    """

    name: str
    files: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...] = (("a", "b"),)
    main: tuple[str, ...] = ()
    most: int = 60
    recursion: int = 1000
    since: tuple[int, ...] = ()
    lazy: str = "normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """One pair of entries of one tree on one interpreter. ``truth`` and the rest are outcomes other than ``ok``.

    ``broken`` is why the pair is not judged: its entries fail in one thread.
    """

    tree: str
    python: str
    pair: tuple[str, str]
    broken: str = ""
    truth: frozenset[str] = frozenset()
    predicted: frozenset[str] = frozenset()
    confirmed: frozenset[str] = frozenset()
    schedules: int = 0

    @property
    def version(self) -> tuple[int, ...]:
        """The numbers of the Python version."""
        return tuple(int(part) for part in self.python.split("+")[0].split("."))
