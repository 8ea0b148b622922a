"""Own the survey of one package on one Python: install, scan, drive threads into each cycle, choose what to pre-import.

Time is bounded twice: the survey stops driving when its own time is up and tells what it has, and whoever started its
process ends it at the deadline.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports.atlas.cell import Cell, CycleSeen
from python_tsan.imports.atlas.install import install, public_modules, top_modules
from python_tsan.imports.choice import choose
from python_tsan.imports.proof import Answer
from python_tsan.imports.scan import one_line, prove, scan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from python_tsan.imports.hazards import Hazard
    from python_tsan.imports.probe import Probe
    from python_tsan.imports.proof import Proof
    from python_tsan.imports.scan import Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far a survey goes: public ``modules`` of a package, directed ``runs`` a cycle, ``seconds`` for a package."""

    modules: int
    runs: int
    seconds: float


def survey(package: str, probe: Probe, folder: Path, bounds: Bounds) -> Cell:
    """Install ``package`` into ``folder`` and return what is seen of it. Whatever fails is the cell's ``problem``."""
    started = time.monotonic()
    python = probe.python
    cell = Cell(package=package, python=python.text, date=datetime.now(UTC).strftime("%Y-%m-%d"))
    try:
        installed = install(package, folder, minor=".".join(str(part) for part in python.version[:2]))
        cell = replace(cell, version=installed.version, others=top_modules(folder, installed.others))
        cell = _scan(replace(probe, path=(folder,)), cell, bounds, until=started + bounds.seconds)
    except SubjectError as error:
        cell = replace(cell, problem=one_line(error.message))
    return replace(cell, seconds=round(time.monotonic() - started, 1))


def _scan(probe: Probe, cell: Cell, bounds: Bounds, *, until: float) -> Cell:
    own, left_out = public_modules(probe.path[0], cell.package, limit=bounds.modules)
    if not own:
        return replace(cell, problem="has no public module")
    found = scan(probe, [*own, *cell.others])
    cell = replace(
        cell,
        entries=own,
        left_out=left_out,
        modules=found.modules,
        failed={entry: problem for entry, problem in found.problems.items() if entry in own},
    )
    cycles = _cycles(found, frozenset(own))
    cell = replace(cell, hazards=sum(map(len, cycles)))
    seen = tuple(_drive(probe, cycles, bounds, until=until))
    modules = choose(found.model, tuple(entry for entry in found.entries if entry not in found.problems))
    confirmed = [group[0] for group, cycle in zip(cycles, seen, strict=True) if cycle.confirmed]
    return replace(cell, cycles=seen, preimport=modules, verified=_holds(probe, confirmed, modules, until=until))


def _cycles(found: Scan, own: frozenset[str]) -> list[list[Hazard]]:
    """Return the hazards with an entry of the package's own, by the two locks of their cycle."""
    groups: dict[frozenset[str], list[Hazard]] = {}
    for finding in found.findings:
        hazard = finding.hazard
        if not own.isdisjoint({hazard.first, hazard.second}):
            groups.setdefault(frozenset({hazard.awaited, hazard.closing}), []).append(hazard)
    return list(groups.values())


def _drive(probe: Probe, cycles: Sequence[list[Hazard]], bounds: Bounds, *, until: float) -> Iterator[CycleSeen]:
    """Drive two threads into the first pair of each cycle while there is time."""
    for group in cycles:
        proof = prove(probe, group[0], bounds.runs) if time.monotonic() < until else None
        yield _seen(group, proof, probe.path[0])


def _seen(group: Sequence[Hazard], proof: Proof | None, folder: Path) -> CycleSeen:
    cycle = CycleSeen(first=group[0].first, second=group[0].second, predicted=group[0].outcome, pairs=len(group))
    if proof is None:
        return cycle
    return replace(
        cycle,
        answer=proof.answer,
        seen=proof.seen,
        runs=proof.runs,
        outcome=proof.outcome,
        error=one_line(proof.error),
        where=proof.where.removeprefix(f"{folder}/"),
    )


def _holds(probe: Probe, confirmed: Sequence[Hazard], modules: tuple[str, ...], *, until: float) -> bool:
    """Tell whether every confirmed cycle is gone behind ``modules``; False also when the time was too short."""
    for hazard in confirmed:
        if time.monotonic() >= until or prove(probe, hazard, 1, modules).answer is Answer.CONFIRMED:
            return False
    return bool(confirmed)
