"""Read the options of the atlas and print what its surveys come to; leave surveying to this package's modules."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.cluster import connected, refuse_address
from python_tsan.cli.failures import as_exit_code
from python_tsan.cli.import_verbs import write_file
from python_tsan.cli.options import add_settings, count, open_context, seconds
from python_tsan.errors import ExitCode, Interrupted
from python_tsan.imports.model.interpreter import identify
from python_tsan.plain_text import counted, duration
from python_tsan.process import keeping
from python_tsan.result.shard import parse_shard, share
from tools.debian_pythons import unpack_pythons
from tools.import_atlas.cell import save_cell
from tools.import_atlas.listed import listed
from tools.import_atlas.page import render_atlas
from tools.import_atlas.run import Atlas
from tools.import_atlas.survey import Bounds, survey_privately

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.cli.options import VerbContext
    from python_tsan.imports.model.interpreter import Python
    from tools.import_atlas.cell import Cell

MODULES, RUNS, SECONDS, JOBS = 10, 2, 150.0, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Survey the packages of the list, or with ``--survey`` one package in this process, and return the exit code."""
    return as_exit_code(lambda: _perform(parser().parse_args(arguments)), last=arguments is None)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.import_atlas",
        description="Scan and confirm the most used packages of PyPI, each in its own environment.",
    )
    add = parser.add_argument
    add("packages", nargs="*", metavar="PACKAGE", help="these instead of the whole list")
    add("--shard", metavar="I/N|auto", help="only part I of N of the packages, or this job's part")
    add("--cluster", metavar="dask://HOST:PORT", help="let the workers of a dask cluster make the surveys")
    add("--python", dest="interpreters", metavar="PATH", action="append", default=[], help="instead of Debian's newest")
    add("--surveys", type=count, default=JOBS, metavar="N", help="parallel surveys (%(default)s)")
    add("--again", action="store_true", help="repeat surveys that were made before")
    add("--kept", action="store_true", help="survey nothing, report the saved surveys")
    add("--output", type=Path, metavar="FILE", help="write the page")
    add("--survey", metavar="PACKAGE", help="survey only this package, in this process")
    add("--keep", type=Path, metavar="DIR", help="with --survey: keep the result here, for an atlas")
    add("--modules", type=count, default=MODULES, metavar="N", help="public modules of each package (%(default)s)")
    add("--repeat", type=count, default=RUNS, metavar="N", help="run each hazard N times (%(default)s)")
    add("--timeout", type=seconds, default=SECONDS, metavar="SECONDS", help="limit of one survey (%(default)s)")
    add_settings(parser, "cache", "network-timeout")
    return parser


def _perform(arguments: argparse.Namespace) -> ExitCode:
    return (_survey if arguments.survey else _atlas)(arguments, open_context(arguments))


def _bounds(arguments: argparse.Namespace) -> Bounds:
    return Bounds(modules=arguments.modules, runs=arguments.repeat, seconds=arguments.timeout)


def _survey(arguments: argparse.Namespace, context: VerbContext) -> ExitCode:
    def keep(cell: Cell) -> None:
        if arguments.keep:
            save_cell(arguments.keep, cell)

    cell = survey_privately(
        arguments.survey, identify(arguments.interpreters[:1] or ["python3"]), _bounds(arguments), keep=keep
    )
    context.console.say(line(cell))
    keep(cell)
    if arguments.keep:
        return ExitCode.CLEAN
    if cell.problem:
        return ExitCode.SUBJECT
    return ExitCode.FINDINGS if cell.confirmed else ExitCode.CLEAN


def _atlas(arguments: argparse.Namespace, context: VerbContext) -> ExitCode:
    if arguments.cluster:
        refuse_address(arguments.cluster)
    bounds = _bounds(arguments)
    folder = context.layout.root / "atlas"
    atlas = Atlas(folder=folder, bounds=bounds, jobs=arguments.surveys, again=arguments.again)
    packages = tuple(dict.fromkeys(arguments.packages)) or listed().packages
    if arguments.shard:
        part = share(parse_shard(arguments.shard, os.environ), len(packages))
        packages = tuple(packages[number - 1] for number in part)
    pythons = _pythons(arguments, context)

    ended: list[Cell] = []

    def on_cell(cell: Cell, kept: bool) -> None:  # noqa: FBT001 -- a callback of two facts
        ended.append(cell)
        context.console.note(f"{line(cell)}{' (kept)' if kept else ''}")

    def interrupted() -> Interrupted:
        return Interrupted(
            f"{len(ended)} of {len(packages) * len(pythons)} surveys finished",
            evidence=folder,
            advice="the same command; --kept shows what there is",
        )

    problems: list[str] = []

    def on_problem(text: str) -> None:
        problems.append(text)
        context.console.warn(text)

    if arguments.kept:
        cells = list(atlas.kept(packages, pythons))
    elif arguments.cluster:
        with keeping(interrupted), connected(arguments.cluster, context.console) as cluster:
            cells = atlas.cells_on(cluster, packages, pythons, on_cell=on_cell, on_problem=on_problem)
    else:
        with keeping(interrupted):
            cells = atlas.cells(packages, pythons, on_cell=on_cell)
    if arguments.output:
        machine = f"{platform.system()} {platform.machine()}"
        write_file(arguments.output, render_atlas(cells, listed(), bounds, machine=machine), context)
    failed = sum(bool(cell.problem) for cell in cells)
    hazardous = sum(bool(cell.confirmed) for cell in cells)
    context.console.say(
        f"{counted(len(cells), 'survey')}: {hazardous} with a confirmed hazard, {failed} that failed; kept in {folder}"
    )
    return ExitCode.SUBJECT if problems else ExitCode.CLEAN


def _pythons(arguments: argparse.Namespace, context: VerbContext) -> list[Python]:
    if arguments.interpreters:
        return [identify([name]) for name in arguments.interpreters]
    timeout = context.settings.network_timeout
    paths = unpack_pythons(layout=context.layout, console=context.console, timeout=timeout)
    return [identify([str(path)]) for path in reversed(paths)]


def line(cell: Cell) -> str:
    """Return one line for a survey: what was found, or why nothing was."""
    name = f"{cell.package} {cell.version}".strip()
    if cell.problem:
        return f"{name} on {cell.python}: {cell.problem}"
    found = f"{counted(len(cell.cycles), 'hazard')} predicted, {len(cell.confirmed)} of {cell.tried} confirmed"
    return f"{name} on {cell.python}: {found}, in {duration(cell.seconds)}"


if __name__ == "__main__":
    sys.exit(main())
