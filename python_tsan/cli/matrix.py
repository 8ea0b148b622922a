"""Own the verb ``matrix``: what is planned, each combination as a run of its own, and their comparison at the end."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.binding import parse_binding
from python_tsan.cli import verification
from python_tsan.cli.compare import View, comparison_of, rendered, show
from python_tsan.cli.options import Context, open_context
from python_tsan.errors import ExitCode, Interrupted, PythonTsanError, SubjectError, UsageError
from python_tsan.expectation import Lane
from python_tsan.matrix.available import look
from python_tsan.matrix.model import Combination, Plan, Wish
from python_tsan.matrix.outcomes import MATRIX_FILE, Outcome, Record, decode_record, encode_record, worst
from python_tsan.matrix.plan import plan_matrix
from python_tsan.plain_text import duration, plain_table
from python_tsan.process import keeping
from python_tsan.render.store import open_run, storage_errors, write_whole
from python_tsan.setting_values import Kind, convert

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from python_tsan.comparison.model import Comparison
    from python_tsan.console import Console

_THREADING = {"gil": (False,), "free-threaded": (True,), "both": ()}
_PAGES = {View.JSON: "comparison.json", View.HTML: "comparison.html", View.MARKDOWN: "comparison.md"}
_ENOUGH_TO_COMPARE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``matrix``. Its axes take several values where other verbs' settings take one."""
    add = parser.add_argument
    several = "; may be repeated or comma-separated"
    add("--python", dest="pythons", action="append", default=[], metavar="VERSION", help=f"only this one{several}")
    add("--gil", choices=_THREADING, default="both", help="with the GIL, without it, or both (both)")
    add("--toolchain", dest="toolchains", action="append", default=[], metavar="NAME", help=f"only this{several}")
    add("--binding", dest="bindings", action="append", default=[], metavar="NAME==VERSION", help=f"only this{several}")
    add("--whole", action="store_true", help="all combinations, not only those one step apart")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--list", dest="listed", action="store_true", help="show what would be run, and run nothing")
    choice.add_argument("--json", action="store_true", help="print that for GitHub's strategy.matrix, and run nothing")
    add("--resume", type=Path, metavar="DIR", help="go on in the folder of an earlier matrix, or add to it")
    add("--page", type=Path, metavar="DIR", help="write the comparison there as well, as Markdown and HTML")
    add("-k", dest="keyword", metavar="EXPR", default="", help="run the checks that match, as in pytest")
    add("--repeats", type=int, metavar="N", help="runs of each subject (default: its own number)")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Plan; then print the plan, or run it. One combination that fails costs none of the others."""
    wish = wish_of(arguments)
    context = open_context(arguments)
    plan = plan_matrix(look(context.settings, wish, layout=context.layout, console=context.console), wish)
    if arguments.json:
        context.console.say(github_matrix(plan))
        _tell_left_out(plan, context.console.warn)
        return _code(plan, ())
    if arguments.listed:
        _list(plan, context.console)
        return _code(plan, ())
    request = verification.Request(lanes=(Lane.FULL,), keyword=arguments.keyword, repeats=arguments.repeats)
    return carry_out(plan, context, request, resume=arguments.resume, page=arguments.page)


def wish_of(arguments: argparse.Namespace) -> Wish:
    """Return what the command line asks for; raises :class:`UsageError` for a version that is none."""
    pythons = _split(arguments.pythons)
    for version in pythons:
        if convert(Kind.VERSION, version, Path.cwd()) is None:
            raise UsageError(f"--python {version}: that is not {Kind.VERSION.value}", page="matrix")
    bindings = {text: parse_binding(text) for text in _split(arguments.bindings)}
    for text, binding in bindings.items():
        if binding is None:
            raise UsageError(f"--binding {text}: that is not {Kind.BINDING.value}", page="matrix")
    return Wish(
        pythons=pythons,
        threading=_THREADING[arguments.gil],
        toolchains=_split(arguments.toolchains),
        bindings=tuple(dict.fromkeys(filter(None, bindings.values()))),
        whole=arguments.whole,
    )


def _split(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for each in given for word in each.split(",") if word.strip()))


def github_matrix(plan: Plan) -> str:
    """Return the combinations as one line of JSON, to be read by ``fromJSON`` into ``strategy.matrix``."""
    include = [
        {
            "name": each.name,
            "slug": each.slug,
            "python": each.python,
            "free-threaded": each.free_threaded,
            "toolchain": each.toolchain,
            "binding": each.binding.requirement,
        }
        for each in plan.combinations
    ]
    return json.dumps({"include": include}, separators=(",", ":"))


def _list(plan: Plan, console: Console) -> None:
    for each in plan.combinations:
        console.say(each.name)
    _tell_left_out(plan, console.say)


def _tell_left_out(plan: Plan, tell: Callable[[str], None]) -> None:
    for each in plan.left_out:
        tell(f"left out: {each.what} ({each.reason})")


def carry_out(
    plan: Plan,
    context: Context,
    request: verification.Request,
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
    _tell_left_out(plan, context.console.note)

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
    return _code(plan, outcomes)


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
    request: verification.Request
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


def _code(plan: Plan, outcomes: Sequence[Outcome]) -> ExitCode:
    """Return the worst of the runs; what was asked for by name and cannot be had counts too."""
    asked = [each.code for each in plan.left_out if each.code is not None]
    return worst([*(each.code for each in outcomes), *asked])
