"""Record the outcome of each combination in ``matrix.json``, so that a matrix can be resumed; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.errors import ExitCode
from python_tsan.matrix.model import Combination, LeftOut  # noqa: TC001 -- msgspec resolves the annotations at run time
from python_tsan.versioned_json import Format

if TYPE_CHECKING:
    from collections.abc import Iterable

    from python_tsan.matrix.model import Plan

MATRIX_FILE = "matrix.json"
SCHEMA = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of one combination: its run's folder, empty without a run, its exit code, its error in words.

    ``seconds`` is wall time, builds included.
    """

    combination: Combination
    code: ExitCode
    run: str = ""
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A matrix so far."""

    schema: int = SCHEMA
    outcomes: tuple[Outcome, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def of(self, combination: Combination) -> Outcome | None:
        """Return what became of a combination; None for one that has no run yet, which is then made again."""
        return next((each for each in self.outcomes if each.combination == combination and each.run), None)


FORMAT = Format(
    kind=Record,
    what=MATRIX_FILE,
    schema=SCHEMA,
    page="matrix",
    advice="name the folder of an earlier matrix, or start it again",
)


def exit_code(plan: Plan, outcomes: Iterable[Outcome]) -> ExitCode:
    """Return the worst of the runs: a finding outweighs everything; then the first thing that failed.

    What was requested by name and is unavailable counts too.
    """
    codes = [*(each.code for each in outcomes), *(each.code for each in plan.left_out)]
    return ExitCode.FINDINGS if ExitCode.FINDINGS in codes else next(filter(None, codes), ExitCode.CLEAN)
