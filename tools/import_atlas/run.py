"""Run the whole list: what is kept already, one process for each cell, and its end at the deadline."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.cluster import FOLDER, Task
from python_tsan.errors import ExitCode, SubjectError
from python_tsan.plain_text import one_line
from python_tsan.process import in_parallel, run
from tools.import_atlas.cell import UNFINISHED, Cell, cell_file, keep_cell, load_cell, save_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from python_tsan.cli.cluster import Cluster, Ended
    from python_tsan.imports.model.interpreter import Python
    from tools.import_atlas.survey import Bounds

# Installing comes before a survey's own time begins to matter, and its last directed run may begin at its end.
GRACE_SECONDS = 60.0
REPOSITORY = Path(__file__).parents[2]


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
            if cell := self._kept(package, python):
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

    def cells_on(
        self,
        cluster: Cluster,
        packages: Iterable[str],
        pythons: Iterable[Python],
        *,
        on_cell: Callable[[Cell, bool], None],
        on_problem: Callable[[str], None],
    ) -> list[Cell]:
        """Return the cells that are kept and those that the workers of a cluster make, of the same surveys.

        A survey that no worker could make has no cell, and ``on_problem`` receives the reason.
        """
        names, found, tasks, subjects = tuple(packages), [], [], {}
        for package, python in ((package, python) for python in pythons for package in names):
            cell = None if self.again else self._kept(package, python)
            if cell:
                found.append(cell)
                on_cell(cell, True)  # noqa: FBT003 -- as the callback has it
            else:
                tasks.append(self._task(package, python))
                subjects[tasks[-1].name] = package, python
        try:
            with closing(cluster.ended(tasks)) as ends:
                for ended in ends:
                    cell = self._made(ended, *subjects[ended.task.name])
                    if cell:
                        found.append(cell)
                        on_cell(cell, False)  # noqa: FBT003 -- as above
                    else:
                        on_problem(f"{ended.task.name}: {ended.problem}")
        except SubjectError as error:  # no worker is left
            on_problem(error.message)
        return found

    def _task(self, package: str, python: Python) -> Task:
        return Task(
            name=f"{package} on {python.text}",
            words=("tools.import_atlas", *self._options(FOLDER, package, python)),
            files=("*.json",),
            cwd=str(REPOSITORY),
            seconds=self.bounds.seconds + GRACE_SECONDS,
        )

    def _made(self, ended: Ended, package: str, python: Python) -> Cell | None:
        """Keep the cell that a worker has made; one of a survey that was ended says so."""
        for data in ended.files.values():
            keep_cell(self.folder, package, python.text, data)
        cell = load_cell(self.folder, package, python.text) if ended.files else None
        if cell and ended.problem:
            cell = replace(cell, problem=ended.problem)
            save_cell(self.folder, cell)
        return cell

    def _kept(self, package: str, python: Python) -> Cell | None:
        kept = load_cell(self.folder, package, python.text)
        return kept if kept is not None and kept.problem != UNFINISHED else None

    def _cell(self, package: str, python: Python) -> tuple[Cell, bool]:
        if not self.again and (kept := self._kept(package, python)):
            return kept, True
        cell_file(self.folder, package, python.text).unlink(missing_ok=True)
        command = [sys.executable, "-m", "tools.import_atlas", *self._options(str(self.folder), package, python)]
        ended = run(command, env=os.environ, timeout=self.bounds.seconds + GRACE_SECONDS)
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

    def _options(self, folder: str, package: str, python: Python) -> list[str]:
        bounds = self.bounds
        limits = [f"--modules={bounds.modules}", f"--repeat={bounds.runs}", f"--timeout={bounds.seconds}"]
        return [*limits, f"--keep={folder}", "--python", *python.command, f"--survey={package}"]


def _why(timed_out: bool, seconds: float, exit_code: int, text: str) -> str:  # noqa: FBT001 -- facts of one end
    if timed_out:
        return f"did not end within {seconds:.0f} s"
    return one_line(f"the survey ended with exit code {exit_code}: {text.strip().rpartition(chr(10))[2]}")
