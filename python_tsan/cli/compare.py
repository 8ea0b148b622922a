"""The verb ``compare``: show runs in one table, on the terminal, as JSON, Markdown or HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli.help_format import add_quiet, end_with
from python_tsan.cli.output import add_output, write_output
from python_tsan.comparison.compare import compare
from python_tsan.comparison.model import ColumnVerdict, Comparison
from python_tsan.comparison.reading import sides_of
from python_tsan.comparison.renderings import RENDERINGS
from python_tsan.console import make_console
from python_tsan.errors import ExitCode
from python_tsan.expectation import Lane
from python_tsan.render.registry import TERMINAL, Context
from python_tsan.result.runs import find_runs, load_all

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from python_tsan.console import Console

_CODES = {
    ColumnVerdict.CLEAN: ExitCode.CLEAN,
    ColumnVerdict.NOT_CLEAN: ExitCode.FINDINGS,
    ColumnVerdict.COULD_NOT_JUDGE: ExitCode.SUBJECT,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``compare``."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="a run's folder, its run.json, or a folder of runs")
    add("--lane", choices=[each.value for each in Lane], help="the lane to compare (full, where a run has it)")
    add_output(parser, RENDERINGS)
    add("--all", dest="whole", action="store_true", help="show every row, not only those that differ")
    add_quiet(parser)
    end_with(parser, "python-tsan compare runs/first runs/second --format html --output page.html")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Compare, and return the worst code of the runs: 1 if one is not clean, 6 if one could not be judged."""
    comparison = comparison_of(arguments.runs, Lane(arguments.lane) if arguments.lane else None)
    console = make_console(quiet=arguments.quiet)
    show(comparison, arguments.format, console, output=arguments.output, whole=arguments.whole)
    if arguments.output or arguments.format != TERMINAL:
        for complaint in comparison.unreadable:
            console.warn(f"not compared: {complaint}")
    return _CODES[comparison.verdict]


def comparison_of(paths: list[str], lane: Lane | None = None) -> Comparison:
    """Return the comparison of all runs in ``paths``; errors as in :mod:`python_tsan.comparison.reading`."""
    loaded = load_all(find_runs(paths))
    sides = sides_of(loaded, lane)
    return compare(sides.columns, sides.rows, unreadable=loaded.unreadable, notes=sides.notes)


def show(
    comparison: Comparison, name: str, console: Console, *, output: Path | None = None, whole: bool = False
) -> None:
    """Write a rendering to its file, or to standard output."""
    if name == TERMINAL and output is None:
        from python_tsan.comparison.terminal import render_lines  # noqa: PLC0415 -- only the requested rendering is loaded

        console.lines(render_lines(comparison, whole=whole))
        return
    data = RENDERINGS[name].render(comparison, Context(verbose=whole))
    write_output(data, name, output, console)
