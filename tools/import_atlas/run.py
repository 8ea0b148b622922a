"""Run the whole list: what is kept already, one process for each cell, and its end at the deadline."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from python_tsan.errors import ExitCode
from python_tsan.plain_text import one_line
from python_tsan.process import in_parallel, run
from tools.import_atlas.cell import UNFINISHED, Cell, cell_file, load_cell, save_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from python_tsan.imports.model.interpreter import Python
    from tools.import_atlas.survey import Bounds

# Installing comes before a survey's own time begins to matter, and its last directed run may begin at its end.
GRACE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """A run over packages and interpreters. Cells are kept in ``folder``; those that are there are not made again."""

    folder: Path
    bounds: Bounds
    jobs: int
    again: bool = False

    def kept(self, packages: Iterable[str], pythons: Iterable[Python]) -> Iterator[Cell]:
        """Yield the cells that earlier runs have kept, without surveying anything."""
        names = tuple(packages)
        for package, python in ((package, python) for python in pythons for package in names):
            cell = load_cell(self.folder, package, python.text)
            if cell is not None and cell.problem != UNFINISHED:
                yield cell

    def cells(
        self, packages: Iterable[str], pythons: Iterable[Python], *, on_cell: Callable[[Cell, bool], None]
    ) -> list[Cell]:
        """Return one cell for each package on each Python; ``on_cell`` receives each, and whether it was kept."""
        missing = [(package, python) for python in pythons for package in packages]
        made = in_parallel(
            lambda each: self._cell(*each),
            missing,
            jobs=self.jobs,
            on_result=lambda made: on_cell(made[0], made[1]),
        )
        return [cell for cell, _ in made]

    def _cell(self, package: str, python: Python) -> tuple[Cell, bool]:
        kept = None if self.again else load_cell(self.folder, package, python.text)
        if kept is not None and kept.problem != UNFINISHED:
            return kept, True
        cell_file(self.folder, package, python.text).unlink(missing_ok=True)
        ended = run(self._command(package, python), env=os.environ, timeout=self.bounds.seconds + GRACE_SECONDS)
        cell = load_cell(self.folder, package, python.text)
        if not ended.ok or cell is None:
            # A survey that was ended has kept what it knew until then.
            if ended.exit_code == ExitCode.INTERRUPTED:
                return Cell(package=package, python=python.text, date="", problem=UNFINISHED), False
            known = cell or Cell(package=package, python=python.text, date=datetime.now(UTC).strftime("%Y-%m-%d"))
            why = _why(ended.timed_out, ended.seconds, ended.exit_code, ended.stderr)
            cell = replace(known, problem=why, seconds=round(ended.seconds, 1))
            save_cell(self.folder, cell)
        return cell, False

    def _command(self, package: str, python: Python) -> list[str | Path]:
        bounds = self.bounds
        limits = [f"--modules={bounds.modules}", f"--repeat={bounds.runs}", f"--timeout={bounds.seconds}"]
        survey = [sys.executable, "-m", "tools.import_atlas", *limits]
        return [*survey, "--keep", self.folder, "--python", *python.command, f"--survey={package}"]


def _why(timed_out: bool, seconds: float, exit_code: int, text: str) -> str:  # noqa: FBT001 -- facts of one end
    if timed_out:
        return f"did not end within {seconds:.0f} s"
    return one_line(f"the survey ended with exit code {exit_code}: {text.strip().rpartition(chr(10))[2]}")
