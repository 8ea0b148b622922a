"""Measure the GIL tracer on the instrumented interpreter, and on a stock one with other tracers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.environment import subject_environment
from python_tsan.cpython.stock import find_stock
from python_tsan.cpython.tools import find_uv, uv_pip
from python_tsan.preload_library import GIL_TRACER, build_library
from tools.bench.gil import COLUMNS, GilBench
from tools.bench.gil_rivals import GIL_LOAD, GIL_LOAD_NEEDS, rival_rows
from tools.bench.gil_timeline import timeline_row
from tools.bench.table import judged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.bench.order import Order
    from tools.bench.table import Table

INSTRUMENTED_RATIO = 1.05
STOCK_RATIO = 1.15
_INSTALL_SECONDS = 300.0


def tables(order: Order) -> Iterator[Table]:
    """Measure the tracer on each interpreter, then the others and the picture.

    The order's ``folder`` receives the stock interpreter's environment. The long run of ``events`` releases is made on
    the stock one alone: in an instrumented interpreter it takes an hour and shows the same.
    """
    pipeline = order.pipeline
    library = build_library(GIL_TRACER, layout=pipeline.layout, console=pipeline.console)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    built = pipeline.interpreter_with_numpy
    instrumented = GilBench(
        python=built.executable, library=library, env=subject_environment(built, env), ratio=INSTRUMENTED_RATIO
    )
    yield judged(f"CPython {built.version} under ThreadSanitizer", COLUMNS, instrumented.rows(events=0))
    stock = find_stock(pipeline.settings, toolchain=pipeline.toolchain, console=pipeline.console)
    if stock is not None:
        python = with_packages(stock.executable, order.folder / "gil" / f"stock-{stock.version}")
        bench = GilBench(python=python, library=library, env=env, ratio=STOCK_RATIO)
        yield judged(f"stock CPython {stock.version}", COLUMNS, bench.rows(events=order.events))
        yield judged("other tracers, on the same", COLUMNS, rival_rows(python, library=library, env=env))
    yield judged("the picture", COLUMNS, [timeline_row(env)])


def with_packages(executable: Path, folder: Path) -> Path:
    """Return a Python of ``executable`` with numpy and gil_load in an environment of its own; gil_load if it can be."""
    python, log = folder / "bin" / "python", folder / "install.log"
    if not python.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        make: list[str | Path] = [find_uv(), "venv", "--quiet", "--allow-existing", "--python", executable, folder]
        fill: list[str | Path] = uv_pip("--python", python, "numpy", GIL_LOAD_NEEDS)
        for command in (make, fill):
            ended = process.run(command, stdout=log, timeout=_INSTALL_SECONDS)
            if not ended.ok:
                raise step_error("install numpy for the bench", ended, log)
        process.run(uv_pip("--python", python, GIL_LOAD), stdout=log, timeout=_INSTALL_SECONDS)
    return python
