"""Sum up the surveys in sentences made from their figures and nothing else. Pure, no I/O."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from python_tsan.imports.confirm import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.import_atlas.cell import Cell, CycleSeen


def analyse(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield a few sentences: how many packages by Python, what the predictions were worth, which shape, which fix."""
    for python in dict.fromkeys(cell.python for cell in cells):
        yield _by_python(python, [cell for cell in cells if cell.python == python])
    driven = [cycle for cell in cells for cycle in cell.cycles if cycle.answer]
    if driven:
        yield _answers(driven)
    confirmed = [cycle for cycle in driven if cycle.confirmed]
    if confirmed:
        yield _shape(confirmed)
        yield _fixes([cell for cell in cells if cell.confirmed])


def _by_python(python: str, cells: Sequence[Cell]) -> str:
    surveyed = [cell for cell in cells if not cell.problem and cell.scanned]
    hazardous = [cell for cell in surveyed if cell.confirmed]
    left = len(cells) - len(surveyed)
    more = f" ({left} could not be surveyed)" if left else ""
    return (
        f"On Python {python}, {len(hazardous)} of {len(surveyed)} packages{more} have at least one confirmed hazard "
        f"between their own imports."
    )


def _answers(driven: Sequence[CycleSeen]) -> str:
    counts = Counter(cycle.answer for cycle in driven)
    return (
        f"Of {len(driven)} hazards that were driven into, {counts[Answer.CONFIRMED]} were confirmed, "
        f"{counts[Answer.REFUTED]} refuted and {counts[Answer.NOT_REACHED]} not reached."
    )


def _shape(confirmed: Sequence[CycleSeen]) -> str:
    family = sum(_is_family(cycle.first, cycle.second) for cycle in confirmed)
    siblings = sum(
        cycle.first.partition(".")[0] == cycle.second.partition(".")[0] and not _is_family(cycle.first, cycle.second)
        for cycle in confirmed
    )
    kinds = Counter(cycle.outcome.value for cycle in confirmed if cycle.outcome)
    outcomes = ", ".join(f"{number} end in {kind}" for kind, number in kinds.most_common())
    strangers = len(confirmed) - family - siblings
    return (
        f"In {family} of the {len(confirmed)} confirmed hazards a package is imported against a module of its own, in "
        f"{siblings} two modules of one package, in {strangers} two modules of two packages; {outcomes}."
    )


def _is_family(one: str, other: str) -> bool:
    return one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _fixes(cells: Sequence[Cell]) -> str:
    single = sum(len(cell.preimport) == 1 for cell in cells)
    verified = sum(bool(cell.verified) for cell in cells)
    failed = sum(cell.verified is False for cell in cells)
    return (
        f"Importing one module first, on the main thread, is enough in {single} of these {len(cells)} surveys; "
        f"the list was tried in {verified + failed} of them and held in {verified}."
    )
