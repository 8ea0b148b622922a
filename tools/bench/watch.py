"""Measure the cost of the watch over imports: the same programs without and with it, in turn."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.imports.watch import watch_environment
from tools.bench.table import Row, Table, judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.bench.order import Order

SECONDS = 120.0
REPEATS = 21
STALL = 10.0
# Its own threads wait for each other's imports, so that the watch has something to look after.
THREADS = """
import threading
names = ("asyncio", "http.server", "xml.dom.minidom", "unittest.mock")
threads = [threading.Thread(target=__import__, args=(name,)) for name in names * 4]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
COLUMNS = ("what", "plain", "watched", "cost", "at most", "met")
PROGRAMS = (
    ("python -c pass", "pass", None),
    ("a program that imports asyncio and http.server", "import asyncio, http.server", 1.10),
    ("16 threads that import four packages at once", THREADS, 1.10),
)


def tables(_order: Order) -> Iterator[Table]:
    """Measure the watch on this very Python."""
    yield judged("the watch over imports", COLUMNS, rows())


def rows(python: str = sys.executable, *, repeats: int = REPEATS) -> Iterator[Row]:
    """Measure each program by the processor time of its whole process, which other work disturbs least."""
    with tempfile.TemporaryDirectory(prefix="python-tsan-bench-") as folder:
        plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        plain["PYTHONPYCACHEPREFIX"] = str(Path(folder, "bytecode"))
        watched = watch_environment(plain, stall=STALL, log=Path(folder, "log"))
        for what, code, limit in PROGRAMS:
            yield compared_row(what, [python, "-c", code], (plain, watched), limit, repeats)


def compared_row(
    what: str, command: list[str], kinds: tuple[Mapping[str, str], Mapping[str, str]], limit: float | None, repeats: int
) -> Row:
    """Measure a command in two environments in turn, ``repeats`` times each after a first turn that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(repeats + 1):
        for env, seconds in zip(kinds, times, strict=True):
            ended = process.run(command, env=env, timeout=SECONDS)
            if turn and ended.ok:  # the first turn writes the byte-code
                seconds.append(ended.cpu_seconds)
    plain, watched = times
    if len(plain) < repeats or len(watched) < repeats:
        return Row(what=what, before="failed", met=False)
    # The least of several runs is what the program costs; what is above it is the machine's other work.
    ratio = min(watched) / min(plain)
    median = statistics.median(watched) / statistics.median(plain)
    return Row(
        what=f"{what}, CPU time, best of {repeats}",
        before=f"{min(plain) * 1000:.1f} ms",
        measured=f"{min(watched) * 1000:.1f} ms",
        cost=f"{ratio:.3f} x (median {median:.3f} x)",
        limit=f"{limit} x" if limit else "",
        met=None if limit is None else ratio <= limit,
    )
