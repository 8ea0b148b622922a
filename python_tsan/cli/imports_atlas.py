"""Own ``imports atlas`` and ``survey``: their options and exit codes; leave the rest to their room."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import ExitCode, Interrupted, UsageError
from python_tsan.imports.atlas.listed import listed
from python_tsan.imports.measure import identify
from python_tsan.plain_text import duration
from python_tsan.process import keeping

if TYPE_CHECKING:
    import argparse

    from python_tsan.cli.options import Context
    from python_tsan.imports.atlas.cell import Cell
    from python_tsan.imports.atlas.survey import Bounds
    from python_tsan.imports.measure import Python

MODULES, RUNS, SECONDS, JOBS = 10, 2, 150.0, 2


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare both verbs."""
    atlas = verbs.add_parser("atlas", help="scan and confirm the most used packages of PyPI, each by itself")
    add = atlas.add_argument
    add("packages", nargs="*", metavar="PACKAGE", help="these instead of the whole list")
    add("--with", dest="interpreters", metavar="PYTHON", action="append", default=[], help="instead of Debian's newest")
    add("--surveys", type=int, default=JOBS, help="packages at a time (%(default)s)")
    add("--again", action="store_true", help="survey anew what was surveyed before")
    add("--kept", action="store_true", help="survey nothing, and tell what earlier runs have kept")
    add("--write", type=Path, metavar="FILE", help="write the page")
    atlas.set_defaults(act=_atlas)
    survey = verbs.add_parser("survey", help="scan and confirm one package of PyPI in an environment of its own")
    add = survey.add_argument
    add("package", metavar="PACKAGE", help="its name, as an installer takes it")
    add("--with", dest="interpreter", metavar="PYTHON", default="python3", help="any CPython from 3.9")
    add("--keep", type=Path, metavar="DIR", help="keep the result here, for an atlas")
    survey.set_defaults(act=_survey)
    for each in (atlas, survey):
        add = each.add_argument
        add("--modules", type=int, default=MODULES, help="public modules of a package that are entries (%(default)s)")
        add("--runs", type=int, default=RUNS, help="directed runs a hazard (%(default)s)")
        add("--seconds", type=float, default=SECONDS, help="for one package on one Python (%(default)s)")


def _bounds(arguments: argparse.Namespace) -> Bounds:
    from python_tsan.imports.atlas.survey import Bounds  # noqa: PLC0415 -- what a scan loads need not wait for it

    for option in ("modules", "runs", "seconds"):
        if getattr(arguments, option) <= 0:
            raise UsageError(f"--{option} wants a number above 0")
    return Bounds(modules=arguments.modules, runs=arguments.runs, seconds=arguments.seconds)


def _survey(arguments: argparse.Namespace, context: Context) -> ExitCode:
    from python_tsan.imports.atlas.cell import save_cell  # noqa: PLC0415 -- as above
    from python_tsan.imports.atlas.private import survey_privately  # noqa: PLC0415

    def keep(cell: Cell) -> None:
        if arguments.keep:
            save_cell(arguments.keep, cell)

    cell = survey_privately(arguments.package, identify([arguments.interpreter]), _bounds(arguments), keep=keep)
    context.console.say(line(cell))
    keep(cell)
    if arguments.keep:
        return ExitCode.CLEAN
    if cell.problem:
        return ExitCode.SUBJECT
    return ExitCode.FINDINGS if cell.confirmed else ExitCode.CLEAN


def _atlas(arguments: argparse.Namespace, context: Context) -> ExitCode:
    from python_tsan.cli.imports_scan import write_file  # noqa: PLC0415 -- as above
    from python_tsan.imports.atlas.page import render_atlas  # noqa: PLC0415
    from python_tsan.imports.atlas.run import Atlas  # noqa: PLC0415

    bounds = _bounds(arguments)
    if arguments.surveys <= 0:
        raise UsageError("--surveys wants a number above 0")
    folder = context.layout.root / "atlas"
    atlas = Atlas(folder=folder, bounds=bounds, jobs=arguments.surveys, again=arguments.again)
    packages = tuple(dict.fromkeys(arguments.packages)) or listed().packages
    pythons = _pythons(arguments, context)

    told: list[Cell] = []

    def said(cell: Cell, kept: bool) -> None:  # noqa: FBT001 -- a callback of two facts
        told.append(cell)
        context.console.note(f"{line(cell)}{' (kept)' if kept else ''}")

    def interrupted() -> Interrupted:
        return Interrupted(
            f"{len(told)} of {len(packages) * len(pythons)} surveys had ended",
            evidence=folder,
            advice="the same command; --kept tells what there is",
        )

    if arguments.kept:
        cells = list(atlas.kept(packages, pythons))
    else:
        with keeping(interrupted):
            cells = atlas.cells(packages, pythons, said=said)
    if arguments.write:
        machine = f"{platform.system()} {platform.machine()}"
        write_file(arguments.write, render_atlas(cells, listed(), bounds, machine=machine), context)
    failed = sum(bool(cell.problem) for cell in cells)
    hazardous = sum(bool(cell.confirmed) for cell in cells)
    context.console.say(
        f"{len(cells)} surveys: {hazardous} with a confirmed hazard, {failed} that failed; kept in {folder}"
    )
    return ExitCode.CLEAN


def _pythons(arguments: argparse.Namespace, context: Context) -> list[Python]:
    if arguments.interpreters:
        return [identify([name]) for name in arguments.interpreters]
    from python_tsan.cpython.debian_pythons import unpack_pythons  # noqa: PLC0415 -- brings apt's side with it

    timeout = context.settings.timeout
    paths = unpack_pythons(layout=context.layout, console=context.console, timeout=timeout)
    return [identify([str(path)]) for path in reversed(paths)]


def line(cell: Cell) -> str:
    """Return one line for a survey: what was found, or why nothing was."""
    name = f"{cell.package} {cell.version}".strip()
    if cell.problem:
        return f"{name} on {cell.python}: {cell.problem}"
    found = f"{len(cell.cycles)} hazards predicted, {len(cell.confirmed)} of {cell.tried} confirmed"
    return f"{name} on {cell.python}: {found}, in {duration(cell.seconds)}"
