"""Measure the cost of the lock recorder on a stock interpreter: the same programs without and with it, in turn."""

from __future__ import annotations

import os
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.stock import find_stock
from python_tsan.detect.locks import FOLDER_VARIABLE
from python_tsan.locks.cycles import find_cycles
from python_tsan.locks.model import GilSight, Holding, LockKind, LockTrace, Request, TracedLock
from python_tsan.preload_library import LOCK_RECORDER, build_library
from python_tsan.process import preloading
from tools.bench.gil_run import with_packages
from tools.bench.table import Row, judged
from tools.bench.watch import compared_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.cpython.manifest import Interpreter
    from tools.bench.order import Order
    from tools.bench.table import Table

REPEATS = 11
LOCKS, ORDERS, EVENTS = 10_000, 100_000, 10_000_000
MOST_SECONDS = 1.0
COLUMNS = ("what", "plain", "recorded", "cost", "at most", "met")
THREADS = """
import threading, numpy
def work(number):
    square = numpy.random.default_rng(number).random((400, 400))
    for _ in range(20): square @ square
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
PROGRAMS = (
    ("python -c pass", "pass", None),
    (
        "300,000 releases and acquisitions of the GIL by os.getcwd",
        "import os\nfor _ in range(300000): os.getcwd()",
        1.8,
    ),
    ("import numpy", "import numpy", 1.05),
    ("numpy in 4 threads", THREADS, 1.05),
)


def tables(order: Order) -> Iterator[Table]:
    """Measure the recorder; nothing without a stock interpreter."""
    found = stock_and_recorder(order)
    if found is None:
        return
    stock, library = found
    python = with_packages(stock.executable, order.folder / "gil" / f"stock-{stock.version}")
    yield judged(f"the lock recorder on stock CPython {stock.version}", COLUMNS, rows(python, library=library))
    yield judged("the search for possible deadlocks", COLUMNS, [search_row(orders=ORDERS)])


def stock_and_recorder(order: Order) -> tuple[Interpreter, Path] | None:
    """Return a stock interpreter and the recorder's library, None without such an interpreter."""
    layout, console = order.pipeline.layout, order.pipeline.console
    stock = find_stock(order.pipeline.settings, toolchain=order.pipeline.toolchain, console=console)
    return (stock, build_library(LOCK_RECORDER, layout=layout, console=console)) if stock else None


def environments(library: Path, folder: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables of a program without and with the recorder, whose recordings go to ``folder``."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    plain |= {"PYTHONPYCACHEPREFIX": str(Path(folder, "bytecode")), "OPENBLAS_NUM_THREADS": "1"}
    return plain, {**plain, **preloading([library], plain), FOLDER_VARIABLE: folder}


def rows(python: Path, *, library: Path, repeats: int = REPEATS) -> Iterator[Row]:
    """Measure each program by the processor time of its whole process."""
    with tempfile.TemporaryDirectory(prefix="python-tsan-bench-") as folder:
        kinds = environments(library, folder)
        for what, code, limit in PROGRAMS:
            yield compared_row(what, [str(python), "-c", code], kinds, limit, repeats)
            for recording in Path(folder).glob("*.locks"):
                recording.unlink()


def search_row(*, orders: int, repeats: int = REPEATS) -> Row:
    """Measure the search in one graph that is all one component, the worst case: locks are taken in any order."""
    chance = random.Random(3)  # noqa: S311 -- a graph, no secret
    pairs = [chance.sample(range(LOCKS), 2) for _ in range(orders)]
    trace = LockTrace(
        pid=1,
        gil=GilSight.RECOGNISED,
        locks=tuple(TracedLock(id=number, kind=LockKind.MUTEX, address=number) for number in range(LOCKS)),
        segments=tuple(range(8)),
        requests=tuple(
            Request(thread=n % 8, segment=n % 8, holding=(Holding(lock=held),), lock=asked, count=EVENTS // orders)
            for n, (held, asked) in enumerate(pairs)
        ),
    )
    seconds = []
    for _ in range(repeats):
        begun = time.process_time()
        find_cycles(trace)
        seconds.append(time.process_time() - begun)
    return Row(
        what=f"{LOCKS:,} locks, {orders:,} orders, {EVENTS:,} events, CPU time, best of {repeats}",
        measured=f"{min(seconds):.2f} s",
        limit=f"{MOST_SECONDS} s",
        met=min(seconds) <= MOST_SECONDS,
    )
