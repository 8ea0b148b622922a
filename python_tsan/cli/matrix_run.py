"""Own a matrix under way: each combination as a run of its own, and their comparison at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli import verification
from python_tsan.cli.compare import View, comparison_of, rendered, show
from python_tsan.errors import ExitCode, Interrupted, PythonTsanError, SubjectError
from python_tsan.matrix.outcomes import (
    MATRIX_FILE,
    Outcome,
    Record,
    decode_record,
    encode_record,
    exit_code,
)
from python_tsan.plain_text import duration, plain_table
from python_tsan.process import keeping
from python_tsan.result.store import open_run
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from python_tsan.cli.options import Context
    from python_tsan.comparison.model import Comparison
    from python_tsan.console import Console
    from python_tsan.matrix.model import Combination, Plan

_PAGES = {View.JSON: "comparison.json", View.HTML: "comparison.html", View.MARKDOWN: "comparison.md"}
_ENOUGH_TO_COMPARE = 2


def tell_left_out(plan: Plan, tell: Callable[[str], None]) -> None:
    """Tell in a line each what could be run elsewhere, and why not here."""
    for each in plan.left_out:
        tell(f"left out: {each.what} ({each.reason})")


def carry_out(
    plan: Plan,
    context: Context,
    request: verification.CheckRequest,
    *,
    resume: Path | None = None,
    page: Path | None = None,
) -> ExitCode:
    """Run every combination of ``plan``, compare what there is, and return the worst of it.

    Raises :class:`SubjectError` when there is nothing to run, or the folder cannot be written or gone on with.
    """
    if not plan.combinations:
        reasons = "; ".join(f"{each.what}: {each.reason}" for each in plan.left_out)
        raise SubjectError(f"there is nothing to run: {reasons}", advice="see `python-tsan doctor`", page="matrix")
    folder = resume.absolute() if resume else open_run(context.settings.output).path
    record = _resumed(folder) if resume else Record(left_out=plan.left_out)
    going = _Going(context=context, request=request, folder=folder, record=record)
    tell_left_out(plan, context.console.note)

    def interrupted() -> Interrupted:
        # A page that was asked for stays what it was: it is one of a whole matrix.
        _conclude(going.record.outcomes, folder, context.console, page=None)
        done = sum(bool(going.record.of(each)) for each in plan.combinations)
        message = f"{done} of {len(plan.combinations)} combinations had been run"
        return Interrupted(message, evidence=folder, advice=f"the same command with --resume {folder}")

    with keeping(interrupted):
        for number, combination in enumerate(plan.combinations, start=1):
            context.console.say(f"\n== {number} of {len(plan.combinations)}: {combination.name}")
            going.one(combination)
    outcomes = going.record.outcomes  # those of earlier parts too: a matrix may be run piece by piece
    _conclude(outcomes, folder, context.console, page=page)
    return exit_code(plan, outcomes)


def _resumed(folder: Path) -> Record:
    file = folder / MATRIX_FILE
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SubjectError(
            f"cannot read {file}: {error.strerror}", advice="name the folder of an earlier matrix", page="matrix"
        ) from error
    return decode_record(data, name=str(file))


@dataclass(kw_only=True)
class _Going:
    """A matrix under way; what each combination came to is on disk before the next one begins."""

    context: Context
    request: verification.CheckRequest
    folder: Path
    record: Record = field(default_factory=Record)

    def one(self, combination: Combination) -> None:
        """Run one combination, unless it has been run."""
        if done := self.record.of(combination):
            self.context.console.say(f"done before: {self.folder / done.run}")
            return
        started = time.monotonic()
        try:
            made = verification.verify(self._context(combination), self.request)
            outcome = Outcome(combination=combination, code=made.exit_code, run=made.id)
        except PythonTsanError as error:
            self.context.console.warn(f"{combination.name}: {error.message}")
            outcome = Outcome(combination=combination, code=error.exit_code, error=error.message)
        self._keep(replace(outcome, seconds=time.monotonic() - started))

    def _context(self, combination: Combination) -> Context:
        settings = replace(
            self.context.settings,
            python=combination.python,
            free_threaded=combination.free_threaded,
            toolchain=combination.toolchain,
            binding=combination.binding,
            output=self.folder,
        )
        return replace(self.context, settings=settings)

    def _keep(self, outcome: Outcome) -> None:
        if (self.folder / MATRIX_FILE).is_file():  # another process may be going on with the same matrix
            self.record = _resumed(self.folder)
        others = tuple(each for each in self.record.outcomes if each.combination != outcome.combination)
        self.record = replace(self.record, outcomes=(*others, outcome))
        with storage_errors(self.folder):
            write_whole(self.folder / MATRIX_FILE, encode_record(self.record))


def _conclude(outcomes: Sequence[Outcome], folder: Path, console: Console, *, page: Path | None) -> None:
    """Show every combination with its end, and compare those that came to a run; ``page`` receives what is for docs."""
    rows = [(each.combination.name, _word(each), duration(each.seconds)) for each in outcomes]
    console.say("")
    for line in plain_table(("combination", "verdict", "time"), rows):
        console.say(line)
    if sum(bool(each.run) for each in outcomes) < _ENOUGH_TO_COMPARE:
        return
    comparison = _relative(comparison_of([str(folder / each.run) for each in outcomes if each.run]), folder)
    with storage_errors(folder):
        for view, name in _PAGES.items():
            write_whole(folder / name, rendered(comparison, view))
    if page:
        with storage_errors(page, option="--page"):
            for view in (View.MARKDOWN, View.HTML):
                write_whole(page.absolute() / _PAGES[view], rendered(comparison, view))
    console.say("")
    show(comparison, View.TERMINAL, console)
    console.say(f"\ncomparison: {folder / _PAGES[View.HTML]}")


def _relative(comparison: Comparison, folder: Path) -> Comparison:
    """Name the runs as seen from the matrix's folder, which may be moved, or shown to others, as a whole."""
    columns = (replace(column, file=str(Path(column.file).relative_to(folder))) for column in comparison.columns)
    return replace(comparison, columns=tuple(columns))


def _word(outcome: Outcome) -> str:
    if outcome.error:
        return f"failed: {outcome.code.name.lower()}"
    return {ExitCode.CLEAN: "clean", ExitCode.FINDINGS: "NOT clean"}.get(outcome.code, "could not judge")
