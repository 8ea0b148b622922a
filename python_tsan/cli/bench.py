"""Own the verb ``bench``: what is measured, kept and shown; leave measuring to :mod:`python_tsan.bench`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.bench import comparing, gil_run, imports, logs, watch
from python_tsan.bench.measure import Bench, measure
from python_tsan.bench.model import COLUMNS, Part, met, rows
from python_tsan.bench.store import load, save, this_machine
from python_tsan.cli.options import open_context, open_pipeline
from python_tsan.cpython.build import libc_identity
from python_tsan.cpython.plan import make_plan
from python_tsan.cpython.sources import obtain_source
from python_tsan.errors import ExitCode

if TYPE_CHECKING:
    import argparse

    from python_tsan.pipeline import Pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's own arguments."""
    parts = [part.value for part in Part]
    parser.add_argument("--only", action="append", choices=parts, help="measure this part only; may be repeated")
    parser.add_argument("--logs", action="store_true", help="measure the reading of logs, up to 1 GiB, instead")
    parser.add_argument("--compare", action="store_true", help="measure the comparison of 50 runs, instead")
    parser.add_argument("--watch", action="store_true", help="measure what the watch over imports costs, instead")
    parser.add_argument("--imports", action="store_true", help="measure the scan of imports, instead")
    parser.add_argument("--gil", action="store_true", help="measure the GIL tracer beside other tracers, instead")
    parser.add_argument(
        "--events", type=int, default=50_000_000, help="releases of --gil for the memory (%(default)s, 0 for none)"
    )
    parser.add_argument("--again", action="store_true", help="measure anew what was measured before")
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to build and keep results (default: the cache)"
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Make the measurements that are wanted and not there yet; each is kept as soon as it is made."""
    if arguments.logs:
        return _logs(arguments)
    if arguments.compare:
        return _compare(arguments)
    if arguments.watch:
        return _watch(arguments)
    if arguments.imports:
        return _imports(arguments)
    if arguments.gil:
        return _gil(arguments)
    pipeline = open_pipeline(arguments)
    folder = (arguments.folder or pipeline.layout.root / "bench").absolute()
    bench, subject = _prepare(pipeline, folder)
    path = folder / "bench.json"
    report = load(path, subject=subject, machine=this_machine(_cpu_info()))
    for part in [Part(name) for name in arguments.only] if arguments.only else list(Part):
        if report.get(part) is not None and not arguments.again:
            pipeline.console.note(f"{part.value}: measured before, see {path}; --again measures it anew.")
            continue
        report = report.replacing(measure(part, bench))
        save(report, path)
    pipeline.console.table(f"{report.subject} on {report.machine.cores} x {report.machine.cpu}", COLUMNS, rows(report))
    pipeline.console.say(str(path))
    return ExitCode.FINDINGS if any(met(part, report) is False for part in Part) else ExitCode.CLEAN


def _logs(arguments: argparse.Namespace) -> ExitCode:
    context = open_context(arguments)
    folder = (arguments.folder or context.layout.root / "bench").absolute()
    readings = list(logs.measure_logs(folder, context.console.note))
    context.console.table("reading logs", logs.COLUMNS, logs.rows(readings))
    complaints = logs.complaints(readings)
    for complaint in complaints:
        context.console.warn(complaint)
    return ExitCode.FINDINGS if complaints else ExitCode.CLEAN


def _compare(arguments: argparse.Namespace) -> ExitCode:
    context = open_context(arguments)
    folder = (arguments.folder or context.layout.root / "bench").absolute()
    made = list(comparing.measure_comparisons(folder, context.console.note))
    context.console.table("comparing runs", comparing.COLUMNS, comparing.rows(made))
    complaints = comparing.complaints(made)
    for complaint in complaints:
        context.console.warn(complaint)
    return ExitCode.FINDINGS if complaints else ExitCode.CLEAN


def _watch(arguments: argparse.Namespace) -> ExitCode:
    context = open_context(arguments)
    found = list(watch.rows())
    context.console.table("the watch over imports", watch.COLUMNS, [row.cells for row in found])
    return ExitCode.FINDINGS if any(row.met is False for row in found) else ExitCode.CLEAN


def _imports(arguments: argparse.Namespace) -> ExitCode:
    context = open_context(arguments)
    folder = (arguments.folder or context.layout.root / "bench").absolute() / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    found = list(imports.rows(folder, context.console.note))
    context.console.table("the scan of imports", imports.COLUMNS, [row.cells for row in found])
    return ExitCode.FINDINGS if any(row.met is False for row in found) else ExitCode.CLEAN


def _gil(arguments: argparse.Namespace) -> ExitCode:
    pipeline = open_pipeline(arguments)
    folder = (arguments.folder or pipeline.layout.root / "bench").absolute()
    missed = False
    for title, rows_ in gil_run.tables(pipeline, folder / "gil", events=arguments.events):
        made = list(rows_)
        pipeline.console.table(title, gil_run.COLUMNS, [row.cells for row in made])
        pipeline.console.say("")
        missed |= any(row.met is False for row in made)
    return ExitCode.FINDINGS if missed else ExitCode.CLEAN


def _prepare(pipeline: Pipeline, folder: Path) -> tuple[Bench, str]:
    tree = obtain_source(pipeline.settings, layout=pipeline.layout, console=pipeline.console)
    plan = make_plan(pipeline.settings, tree.record, pipeline.toolchain, libc=libc_identity())
    archive = pipeline.settings.source or next(pipeline.layout.downloads.glob(f"{tree.record.sha256}-*"), tree.path)
    bench = Bench(
        folder=folder,
        source=tree.path,
        archive=archive,
        toolchain=pipeline.toolchain,
        jobs=pipeline.settings.jobs,
        say=pipeline.console.note,
    )
    return bench, plan.key


def _cpu_info() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    return ""
