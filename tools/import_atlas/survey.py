"""Survey one package on one Python: install, scan, drive threads into each cycle, choose what to pre-import.

Time is bounded twice: the survey stops driving when its own time is up and reports what it has, and the process that
started it ends it at the deadline.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports.confirm import Answer, prove
from python_tsan.imports.model.probe import Probe
from python_tsan.imports.scan import scan
from python_tsan.imports.search.preimport_choice import choose
from python_tsan.plain_text import one_line
from tools.import_atlas.cell import UNFINISHED, Cell, CycleSeen
from tools.import_atlas.install import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from python_tsan.imports.confirm import Proof
    from python_tsan.imports.model.interpreter import Python
    from python_tsan.imports.scan import Scan
    from python_tsan.imports.search.schedules import Hazard
    from tools.import_atlas.install import Installed


PATIENCE = 30.0  # seconds that the import of one module may take


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far a survey goes: public ``modules`` of a package, directed ``runs`` a cycle, ``seconds`` for a package."""

    modules: int
    runs: int
    seconds: float


def survey(
    package: str, probe: Probe, folder: Path, bounds: Bounds, *, keep: Callable[[Cell], None] = lambda _: None
) -> Cell:
    """Install ``package`` into ``folder`` and return what is seen of it. What fails is the cell's ``problem``.

    ``keep`` is given what is known after each step, for the case that this process is ended.
    """
    started = time.monotonic()
    python = probe.python
    cell = Cell(package=package, python=python.text, date=datetime.now(UTC).strftime("%Y-%m-%d"))
    try:
        installed = install(package, folder, minor=".".join(str(part) for part in python.version[:2]))
        cell = _offered(replace(probe, path=(folder,)), replace(cell, version=installed.version), installed, bounds)
        for step in _steps(replace(probe, path=(folder,)), cell, bounds, until=started + bounds.seconds):
            cell = step
            keep(replace(cell, problem=UNFINISHED, seconds=round(time.monotonic() - started, 1)))
    except SubjectError as error:
        cell = replace(cell, problem=one_line(error.message))
    return replace(cell, seconds=round(time.monotonic() - started, 1))


def survey_privately(package: str, python: Python, bounds: Bounds, *, keep: Callable[[Cell], None]) -> Cell:
    """Survey a package in an environment that is gone afterwards; ``keep`` is as in :func:`survey`.

    It changes this process's own environment.
    """
    with tempfile.TemporaryDirectory(prefix="python-tsan-atlas-") as name:
        # What some packages write into the user's folders when they are imported goes away with the rest.
        for variable, folder in (("MPLCONFIGDIR", "mpl"), ("XDG_CONFIG_HOME", "config")):
            os.environ[variable] = str(Path(name, folder))
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        probe = Probe(python=python, patience=PATIENCE, bytecode=Path(name, "bytecode"))
        return survey(package, probe, Path(name, "packages"), bounds, keep=keep)


def _offered(probe: Probe, cell: Cell, installed: Installed, bounds: Bounds) -> Cell:
    """Choose the entries: the package's own modules, and one of each distribution that came with it."""
    own = probe.public_modules([cell.package], limit=bounds.modules)[0]
    if own.problem:
        raise SubjectError(own.problem)
    others = probe.public_modules(installed.others, limit=1) if installed.others else ()
    named = (module for other in others for module in other.modules if module not in own.modules)
    return replace(cell, entries=own.modules, left_out=own.left_out, others=tuple(dict.fromkeys(named)))


def _steps(probe: Probe, cell: Cell, bounds: Bounds, *, until: float) -> Iterator[Cell]:
    """Yield the cell as it grows: after the scan, after the directed runs, and with the list of what to pre-import."""
    # Several surveys are made at a time, and each has one core.
    found = scan(probe, [*cell.entries, *cell.others], jobs=1)
    cell = replace(
        cell,
        modules=found.modules,
        failed={entry: problem for entry, problem in found.problems.items() if entry in cell.entries},
    )
    hazards = _own(found, frozenset(cell.entries))
    cell = replace(cell, cycles=tuple(_seen(hazard, None, probe.path[0]) for hazard in hazards))
    yield cell
    cell = replace(cell, cycles=tuple(_drive(probe, hazards, bounds, until=until)))
    yield cell
    entries = tuple(entry for entry in found.entries if entry not in found.problems)
    modules = choose(found.model, entries, known=[finding.hazard for finding in found.findings])
    confirmed = [hazard for hazard, cycle in zip(hazards, cell.cycles, strict=True) if cycle.confirmed]
    yield replace(cell, preimport=modules, verified=_holds(probe, confirmed, modules, until=until))


def _own(found: Scan, own: frozenset[str]) -> list[Hazard]:
    """Return the hazards of which one import at least is the package's own, one for each two locks.

    A scan reports each also with the threads exchanged; then the other one loses.
    """
    hazards = (finding.hazard for finding in found.findings)
    mine = [hazard for hazard in hazards if not own.isdisjoint({hazard.first, hazard.second})]
    return list({frozenset({hazard.awaited, hazard.closing}): hazard for hazard in reversed(mine)}.values())[::-1]


def _drive(probe: Probe, hazards: Sequence[Hazard], bounds: Bounds, *, until: float) -> Iterator[CycleSeen]:
    """Drive two threads into each hazard while there is time."""
    for hazard in hazards:
        proof = prove(probe, hazard, bounds.runs) if time.monotonic() < until else None
        yield _seen(hazard, proof, probe.path[0])


def _seen(hazard: Hazard, proof: Proof | None, folder: Path) -> CycleSeen:
    cycle = CycleSeen(first=hazard.first, second=hazard.second, predicted=hazard.outcome)
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


def _holds(probe: Probe, confirmed: Sequence[Hazard], modules: tuple[str, ...], *, until: float) -> bool | None:
    """Return whether every confirmed hazard is gone behind ``modules``, None when there was no time or no hazard."""
    for hazard in confirmed:
        if time.monotonic() >= until:
            return None
        if prove(probe, hazard, 1, modules).answer is Answer.CONFIRMED:
            return False
    return True if confirmed else None
