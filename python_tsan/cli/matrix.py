"""The verb ``matrix``: run every check on each combination, each as a run of its own, and compare them."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from python_tsan.binding import parse_binding
from python_tsan.cli.cluster import connected, refuse_address
from python_tsan.cli.compare import comparison_of, show
from python_tsan.cli.help_format import end_with
from python_tsan.cli.options import INTERPRETER, NUMPY, add_settings, given_settings, open_context
from python_tsan.cli.output import words_of
from python_tsan.cli.verify import CheckRequest, add_check_options, verify
from python_tsan.comparison.renderings import HTML, MARKDOWN, RENDERINGS
from python_tsan.errors import ExitCode, Interrupted, PythonTsanError, SubjectError, UsageError
from python_tsan.expectation import Lane
from python_tsan.matrix.available import find_available
from python_tsan.matrix.model import Axes
from python_tsan.matrix.outcomes import FORMAT, MATRIX_FILE, Outcome, Record, exit_code
from python_tsan.matrix.plan import plan_matrix
from python_tsan.plain_text import duration
from python_tsan.process import keeping
from python_tsan.render.registry import JSON, TERMINAL
from python_tsan.result.shard import parse_shard, part_of
from python_tsan.result.store import open_run
from python_tsan.setting_values import Kind, convert
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from python_tsan.cli.matrix_cluster import OnCluster
    from python_tsan.cli.options import VerbContext
    from python_tsan.console import Console
    from python_tsan.matrix.model import Combination, Plan

_THREADING = {"gil": (False,), "free-threaded": (True,), "both": ()}
_PAGES = (JSON, HTML, MARKDOWN)
_ENOUGH_TO_COMPARE = 2
# Options that take several values here.
_AXES = ("python", "free-threaded", "toolchain")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``matrix``. Its axes take several values where other verbs' settings take one."""
    add = parser.add_argument
    several = "; may be repeated or comma-separated"
    add("--python", dest="pythons", action="append", default=[], metavar="VERSION", help=f"only this version{several}")
    add("--threading", choices=_THREADING, default="both", help="with the GIL, without it, or both (both)")
    add("--toolchain", dest="toolchains", action="append", default=[], metavar="NAME", help=f"only this{several}")
    add("--binding", dest="bindings", action="append", default=[], metavar="NAME==VERSION", help=f"only this{several}")
    add("--all", dest="whole", action="store_true", help="run all combinations, not only those one step apart")
    add("--list", dest="listed", action="store_true", help="print the combinations, run nothing")
    add("--shard", default="", metavar="I/N|auto", help="only part I of N of the combinations, or this job's part")
    add("--cluster", default="", metavar="dask://HOST:PORT", help="let the workers of a dask cluster run them")
    add(
        "--format",
        choices=("terminal", "json"),
        default="terminal",
        help="with --list: json prints them for GitHub's strategy.matrix (terminal)",
    )
    add("--resume", type=Path, metavar="DIR", help="resume an interrupted matrix, or add to one")
    add_check_options(parser)
    add_settings(parser, *(name for name in INTERPRETER if name not in _AXES), *NUMPY, "output")
    end_with(parser, "python-tsan matrix --python 3.12,3.13 --threading gil --list")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Plan; then print the plan, or run it. A combination that fails does not stop the others."""
    if arguments.format != "terminal" and not arguments.listed:
        raise UsageError("--format needs --list", advice="`python-tsan compare` shows a matrix in other formats")
    axes = axes_of(arguments)
    if arguments.cluster:
        refuse_address(arguments.cluster)
    context = open_context(arguments)
    if arguments.resume:  # a wrong folder is reported before the search
        FORMAT.load(arguments.resume / MATRIX_FILE)
    plan = plan_matrix(find_available(context.settings, axes, layout=context.layout, console=context.console), axes)
    if arguments.shard:
        shard = parse_shard(arguments.shard, os.environ)
        plan = replace(plan, combinations=part_of(plan.combinations, shard, "combination"))
    if arguments.listed:
        _list(plan, arguments.format, context.console)
        return exit_code(plan, ())
    request = CheckRequest(lanes=(Lane.FULL,), keyword=arguments.keyword, repeat=arguments.repeat)
    with _cluster_of(arguments, context.console) as cluster:
        return run_all(plan, context, request, resume=arguments.resume, cluster=cluster)


@contextlib.contextmanager
def _cluster_of(arguments: argparse.Namespace, console: Console) -> Iterator[OnCluster | None]:
    if not arguments.cluster:
        yield None
        return
    from python_tsan.cli.matrix_cluster import OnCluster  # noqa: PLC0415 -- rarely used

    checks = {"-k": arguments.keyword, "--repeat": arguments.repeat}
    words = (f"{option}={value}" for option, value in checks.items() if value)
    settings = given_settings(arguments, without=("cache", "output"))
    with connected(arguments.cluster, console) as cluster:
        yield OnCluster(cluster=cluster, words=(*words, *settings))


def axes_of(arguments: argparse.Namespace) -> Axes:
    """Return the requested axes. Raises :class:`UsageError` for an invalid version or binding."""
    pythons = words_of(arguments.pythons)
    for version in pythons:
        if convert(Kind.VERSION, version, Path.cwd()) is None:
            raise UsageError(f"--python {version}: must be {Kind.VERSION.value}", page="matrix")
    bindings = {text: parse_binding(text) for text in words_of(arguments.bindings)}
    for text, binding in bindings.items():
        if binding is None:
            raise UsageError(f"--binding {text}: must be {Kind.BINDING.value}", page="matrix")
    return Axes(
        pythons=pythons,
        threading=_THREADING[arguments.threading],
        toolchains=words_of(arguments.toolchains),
        bindings=tuple(dict.fromkeys(filter(None, bindings.values()))),
        whole=arguments.whole,
    )


def github_matrix(plan: Plan) -> str:
    """Return the combinations as one line of JSON, which ``fromJSON`` reads into ``strategy.matrix``."""
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


def _list(plan: Plan, form: str, console: Console) -> None:
    if form == "json":
        console.data(github_matrix(plan))
        _show_unavailable(plan, console.warn)
        return
    for each in plan.combinations:
        console.say(each.name)
    _show_unavailable(plan, console.say)


def _show_unavailable(plan: Plan, show_line: Callable[[str], None]) -> None:
    for each in plan.left_out:
        show_line(f"not run: {each.what} ({each.reason})")


def run_all(
    plan: Plan,
    context: VerbContext,
    request: CheckRequest,
    *,
    resume: Path | None = None,
    cluster: OnCluster | None = None,
) -> ExitCode:
    """Run every combination of ``plan``, here or on a cluster, compare all, and return the worst code.

    Raises :class:`SubjectError` when there is nothing to run, or the folder cannot be written or resumed.
    """
    if not plan.combinations:
        reasons = "; ".join(f"{each.what}: {each.reason}" for each in plan.left_out)
        raise SubjectError(f"no combination can run here: {reasons}", advice="see `python-tsan doctor`", page="matrix")
    folder = resume.absolute() if resume else open_run(context.settings.output).path
    record = FORMAT.load(folder / MATRIX_FILE) if resume else Record(left_out=plan.left_out)
    matrix = _Matrix(context=context, request=request, folder=folder, record=record)
    _show_unavailable(plan, context.console.note)

    def interrupted() -> Interrupted:
        _conclude(matrix.record.outcomes, folder, context.console)
        done = sum(bool(matrix.record.of(each)) for each in plan.combinations)
        message = f"{done} of {len(plan.combinations)} combinations finished"
        return Interrupted(message, evidence=folder, advice=f"the same command with --resume {folder}")

    with keeping(interrupted):
        if cluster:
            matrix.run_on(cluster, plan.combinations)
        else:
            for number, combination in enumerate(plan.combinations, start=1):
                context.console.say(f"\n== {number} of {len(plan.combinations)}: {combination.name}")
                matrix.run(combination)
    outcomes = matrix.record.outcomes  # those of earlier parts too: a matrix may run in several parts
    _conclude(outcomes, folder, context.console)
    return exit_code(plan, outcomes)


@dataclass(kw_only=True)
class _Matrix:
    """A matrix in progress; the outcome of each combination is on disk before the next one starts."""

    context: VerbContext
    request: CheckRequest
    folder: Path
    record: Record = field(default_factory=Record)

    def run(self, combination: Combination) -> None:
        """Run one combination, unless it is done."""
        if self._is_done(combination):
            return
        started = time.monotonic()
        try:
            made = verify(self._context(combination), self.request)
            outcome = Outcome(combination=combination, code=made.exit_code, run=made.id)
        except PythonTsanError as error:
            self.context.console.warn(f"{combination.name}: {error.message}")
            outcome = Outcome(combination=combination, code=error.exit_code, error=error.message)
        self._keep(replace(outcome, seconds=time.monotonic() - started))

    def run_on(self, cluster: OnCluster, combinations: Sequence[Combination]) -> None:
        """Let a cluster run the combinations that are not done."""
        console = self.context.console
        left = [each for each in combinations if not self._is_done(each)]
        for outcome in cluster.outcomes(left, self.folder, console):
            if outcome.error:
                console.warn(f"{outcome.combination.name}: {outcome.error}")
            else:
                console.say(f"{outcome.combination.name}: {_word(outcome)}, {duration(outcome.seconds)}")
            self._keep(outcome)

    def _is_done(self, combination: Combination) -> bool:
        done = self.record.of(combination)
        if done:
            self.context.console.say(f"already done: {self.folder / done.run}")
        return bool(done)

    def _context(self, combination: Combination) -> VerbContext:
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
        if (self.folder / MATRIX_FILE).is_file():  # another process may run the same matrix
            self.record = FORMAT.load(self.folder / MATRIX_FILE)
        others = tuple(each for each in self.record.outcomes if each.combination != outcome.combination)
        self.record = replace(self.record, outcomes=(*others, outcome))
        with storage_errors(self.folder):
            write_whole(self.folder / MATRIX_FILE, FORMAT.encode(self.record))


def _conclude(outcomes: Sequence[Outcome], folder: Path, console: Console) -> None:
    """Show the outcome of every combination, and compare those that have a run."""
    rows = [(each.combination.name, _word(each), duration(each.seconds)) for each in outcomes]
    console.say("")
    console.table("", ("combination", "verdict", "time"), rows)
    if sum(bool(each.run) for each in outcomes) < _ENOUGH_TO_COMPARE:
        return
    comparison = comparison_of([str(folder / each.run) for each in outcomes if each.run])
    # The folder of the matrix may be moved as a whole.
    files = ((column, str(Path(column.file).relative_to(folder))) for column in comparison.columns)
    columns = tuple(structs.replace(column, file=file) for column, file in files)
    comparison = structs.replace(comparison, columns=columns)
    with storage_errors(folder):
        for name in _PAGES:
            write_whole(folder / RENDERINGS[name].file_name, RENDERINGS[name].render(comparison))
    console.say("")
    show(comparison, TERMINAL, console)
    console.say(f"\ncomparison: {folder / RENDERINGS[HTML].file_name}")


def _word(outcome: Outcome) -> str:
    if outcome.error:
        return f"failed: {outcome.code.name.lower()}"
    return {ExitCode.CLEAN: "clean", ExitCode.FINDINGS: "NOT clean"}.get(outcome.code, "could not judge")
