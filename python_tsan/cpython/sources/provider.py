"""Define what all providers of CPython sources have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.cpython.manifest import SourceRecord
    from python_tsan.cpython.pins import Release


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """An unpacked source. ``path`` holds ``configure``; nothing builds inside it, so that it stays what was checked."""

    path: Path
    record: SourceRecord


class Unavailable(Exception):  # noqa: N818 -- an answer of one place, not an error of the run
    """One place cannot give one release: the search goes on with the next.

    ``evidence`` is the quarantined file when bytes came but were not the right ones. ``whole`` means that the place
    itself cannot be used, so that asking it for another release is a waste of time.
    """

    def __init__(self, reason: str, *, evidence: Path | None = None, whole: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.evidence = evidence
        self.whole = whole


class SourceProvider(Protocol):
    """A place that gives releases."""

    @property
    def name(self) -> str:
        """What a message calls the place."""

    def provide(self, release: Release) -> SourceTree:
        """Return the checked, unpacked source of ``release`` or raise :class:`Unavailable`."""
