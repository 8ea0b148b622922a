"""List the detectors. A new one is a module with the functions of :class:`Detector` and a name in :data:`DETECTORS`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from msgspec import Struct

from python_tsan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from python_tsan.detect.reading import Reading
    from python_tsan.result.model import Unparsed
    from python_tsan.tsan.finding import Fatal, Finding

DETECTORS = ("races", "locks", "capi")
# These read what the preloaded recorder leaves, which needs no instrumented code.
RECORDED = frozenset({"locks", "capi"})


class Evidence(Struct, frozen=True, kw_only=True):
    """What a detector found in one process: every block by itself, in the order of the files."""

    findings: tuple[Finding, ...] = ()
    fatal: tuple[Fatal, ...] = ()
    unparsed: Unparsed


class Detector(Protocol):
    """What the module of a detector provides. ``folder`` is that of one process, and new for each."""

    def prepare(self, folder: Path, env: Mapping[str, str]) -> dict[str, str]:
        """Make the places that the detector writes to, and return the variables that the process needs for it.

        Raises ``FileExistsError`` when the evidence of another process is there.
        """

    def files(self, folder: Path) -> tuple[Path, ...]:
        """Return the files with raw evidence that the process left, by name."""

    def problem(self, folder: Path, stderr: str) -> str:
        """Return why the files prove nothing, or an empty string. ``stderr`` is what the process printed there."""

    def read(self, files: Sequence[Path]) -> Evidence:
        """Return every finding by itself, for an expectation that counts them."""

    def gaps(self, folders: Iterable[Path], *, alone: bool) -> Iterator[str]:
        """Yield sentences that say what of some processes could not be judged, each once.

        ``alone``: no other one judges the processes as a whole, so that it is a gap if there was nothing to look at.
        """

    def digest(self, files: Sequence[Path], reading: Reading) -> None:
        """Add the findings to ``reading``, each distinct one once; memory does not grow with the files."""


def detectors_of(given: Sequence[str]) -> tuple[str, ...]:
    """Return the detectors of repeated or comma-separated options. Raises UsageError for an unknown one."""
    names = [name.strip() for each in given for name in each.split(",") if name]
    for name in names:
        if name not in DETECTORS:
            raise UsageError(f"unknown detector {name!r}", advice=f"detectors: {', '.join(DETECTORS)}")
    return tuple(name for name in DETECTORS if name in names)


def detectors(names: Iterable[str] | None = None) -> tuple[Detector, ...]:
    """Return the detectors of these names, in this order; every one by default."""
    chosen = DETECTORS if names is None else names
    return tuple(cast("Detector", import_module(f"{__package__}.{name}")) for name in chosen)
