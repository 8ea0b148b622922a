"""Define what was seen of one package on one Python, and keep it in a file; leave seeing it to ``survey``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from python_tsan.imports.confirm import Answer

# msgspec reads these from the annotations when it decodes.
from python_tsan.imports.outcomes import ImportOutcome

if TYPE_CHECKING:
    from pathlib import Path

UNFINISHED = "the survey was ended before it was through"
_BADNESS = (ImportOutcome.HANG, ImportOutcome.ERROR, ImportOutcome.PARTIAL, ImportOutcome.OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleSeen:
    """One cycle of module locks, by the first pair of imports that closes it.

    ``answer`` is None when no directed run was made, as beyond the time for a package. ``where`` is the statement at
    which the losing thread failed, below the folder of packages.
    """

    first: str
    second: str
    predicted: ImportOutcome
    answer: Answer | None = None
    seen: int = 0
    runs: int = 0
    outcome: ImportOutcome | None = None
    error: str = ""
    where: str = ""

    @property
    def confirmed(self) -> bool:
        """True when a directed run went wrong."""
        return self.answer is Answer.CONFIRMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One package on one Python. ``problem`` says in one line why nothing, or not everything, was seen.

    ``entries`` are its own modules that were scanned and ``others`` those of its dependencies; ``left_out`` is how many
    public modules are beyond the limit, ``failed`` has a line for each entry that could not be imported. ``preimport``
    removes the cycles; it is ``verified`` when threads were driven into each confirmed one again behind it and none
    went wrong, False when one did, None when that was not tried.
    """

    package: str
    python: str
    date: str
    version: str = ""
    entries: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    left_out: int = 0
    modules: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    cycles: tuple[CycleSeen, ...] = ()
    preimport: tuple[str, ...] = ()
    verified: bool | None = None
    seconds: float = 0.0
    problem: str = ""

    @property
    def scanned(self) -> bool:
        """True when at least one module of the package was imported."""
        return len(self.failed) < len(self.entries)

    @property
    def confirmed(self) -> tuple[CycleSeen, ...]:
        """The cycles that directed runs have confirmed, the worst first."""
        found = [cycle for cycle in self.cycles if cycle.confirmed]
        return tuple(sorted(found, key=lambda cycle: _BADNESS.index(cycle.outcome or cycle.predicted)))

    @property
    def tried(self) -> int:
        """How many cycles were driven into."""
        return sum(cycle.answer is not None for cycle in self.cycles)


def cell_file(folder: Path, package: str, python: str) -> Path:
    """Return where a cell is kept."""
    return folder / f"{package}-{python}.json"


def save_cell(folder: Path, cell: Cell) -> None:
    """Write a cell by rename, so that a run that is killed leaves whole cells only."""
    keep_cell(folder, cell.package, cell.python, msgspec.json.format(msgspec.json.encode(cell), indent=1) + b"\n")


def keep_cell(folder: Path, package: str, python: str, data: bytes) -> None:
    """Write a cell that was saved on another machine, as :func:`save_cell` does."""
    folder.mkdir(parents=True, exist_ok=True)
    target = cell_file(folder, package, python)
    partial = target.with_suffix(".partial")
    partial.write_bytes(data)
    partial.rename(target)


def load_cell(folder: Path, package: str, python: str) -> Cell | None:
    """Return a cell that was kept, None if it is missing or not readable any more."""
    try:
        return msgspec.json.decode(cell_file(folder, package, python).read_bytes(), type=Cell)
    except (OSError, msgspec.DecodeError):
        return None
