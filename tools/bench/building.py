"""Measure the build: run the parts that have no figures yet, and save each as soon as it is measured."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.build.interpreter import libc_identity
from python_tsan.cpython.planning import make_plan
from python_tsan.cpython.sources.search import obtain_source
from tools.bench.measure import Bench, measure
from tools.bench.model import COLUMNS, Part, met, rows
from tools.bench.store import load, save, this_machine
from tools.bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.pipeline import Pipeline
    from tools.bench.order import Order


def tables(order: Order) -> Iterator[Table]:
    """Measure the requested parts that have no figures yet, and yield the table of all figures."""
    bench, subject = _prepare(order.pipeline, order.folder)
    path = order.folder / "bench.json"
    report = load(path, subject=subject, machine=this_machine(_cpu_info()))
    for part in order.parts:
        if report.get(part) is not None and not order.again:
            order.say(f"{part.value}: measured before, see {path}; --again measures it again.")
            continue
        report = report.replacing(measure(part, bench))
        save(report, path)
    yield Table(
        title=f"{report.subject} on {report.machine.cores} x {report.machine.cpu}",
        columns=COLUMNS,
        rows=rows(report),
        missed=any(met(part, report) is False for part in Part),
        kept_in=str(path),
    )


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
