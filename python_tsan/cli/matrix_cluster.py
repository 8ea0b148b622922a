"""Let the workers of a cluster run the combinations of a matrix, each by the same verb."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from python_tsan.cli.cluster import FOLDER, Task, variables
from python_tsan.errors import ExitCode, SubjectError
from python_tsan.matrix.outcomes import FORMAT, MATRIX_FILE, Outcome
from python_tsan.plain_text import counted
from python_tsan.result.model import RUN_FILE
from python_tsan.running.record import relevant_variables
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.cli.cluster import Cluster, Ended
    from python_tsan.console import Console
    from python_tsan.matrix.model import Combination


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCluster:
    """A cluster, and the ``words`` of the command line that every combination shares."""

    cluster: Cluster
    words: tuple[str, ...]

    def task(self, combination: Combination) -> Task:
        """Return the command for one combination; of its evidence, ``run.json`` travels back."""
        axes = {
            "python": combination.python,
            "threading": "free-threaded" if combination.free_threaded else "gil",
            "toolchain": combination.toolchain,
            "binding": combination.binding.requirement,
        }
        named = (f"--{axis}={value}" for axis, value in axes.items())
        return Task(
            name=combination.name,
            words=("python_tsan", "matrix", *named, *self.words, "--quiet", f"--output={FOLDER}"),
            files=(f"*/{MATRIX_FILE}", f"*/[0-9]*/{RUN_FILE}"),
            cwd=str(Path.cwd()),
            env=variables(relevant_variables(os.environ)),
        )

    def outcomes(self, combinations: Sequence[Combination], folder: Path, console: Console) -> Iterator[Outcome]:
        """Yield outcomes as combinations end, with their runs below ``folder``.

        One that could not be run has its reason as error, and that of all that are left if no worker is left.
        """
        left = {each.name: each for each in combinations}
        try:
            workers = counted(len(self.cluster.workers()), "worker")
            console.say(f"\n{counted(len(left), 'combination')} for {workers}")
            with closing(self.cluster.ended(map(self.task, combinations))) as ends:
                for ended in ends:
                    yield _outcome(ended, left.pop(ended.task.name), folder)
        except SubjectError as error:
            reason = error.message
            yield from (Outcome(combination=each, code=error.exit_code, error=reason) for each in left.values())


def _outcome(ended: Ended, combination: Combination, folder: Path) -> Outcome:
    """Return what a worker's matrix of one combination says, and keep its run."""
    record = next((data for path, data in ended.files.items() if PurePath(path).name == MATRIX_FILE), None)
    if record is None:
        return Outcome(combination=combination, code=ExitCode.SUBJECT, error=ended.problem)
    (outcome,) = FORMAT.decode(record, name=f"{MATRIX_FILE} of {combination.name}").outcomes
    for path, data in ended.files.items():
        if PurePath(path).name == RUN_FILE:
            target = folder / outcome.run / RUN_FILE
            with storage_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                write_whole(target, data)
    return replace(outcome, combination=combination)
