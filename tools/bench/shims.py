"""Measure what the shims cost a program that uses none of them: without and with them, in turn."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.errors import BuildError
from python_tsan.process import preloading
from python_tsan.running.companion import FOLDER_VARIABLE, obtain_companion
from tools.bench.table import Row, judged
from tools.bench.watch import compared_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.toolchain.model import Toolchain
    from tools.bench.order import Order
    from tools.bench.table import Table

SOURCE = Path(__file__).with_name("threads.cpp")
REPEATS = 21
LIMIT = 1.01
COLUMNS = ("what", "plain", "with the shims", "cost", "at most", "met")
OPTIONS = "atexit_sleep_ms=0"  # a second otherwise, of both
COMPILE_SECONDS = 120.0


def tables(order: Order) -> Iterator[Table]:
    """Measure with the chosen compiler."""
    toolchain, pipeline = order.pipeline.toolchain, order.pipeline
    library = obtain_companion(
        interpreter=None, compiler=toolchain.candidate, layout=pipeline.layout, console=pipeline.console
    )
    if library is not None:
        yield judged(
            f"the shims, of a program that uses none, with {toolchain.name}", COLUMNS, rows(toolchain, library)
        )


def rows(toolchain: Toolchain, library: Path, *, repeats: int = REPEATS) -> Iterator[Row]:
    """Measure the processor time of the whole process. Raises :class:`BuildError` if the program does not compile."""
    with tempfile.TemporaryDirectory(prefix="python-tsan-bench-") as folder:
        program = Path(folder, "threads")
        flags = ["-std=c++17", "-O1", "-g1", "-fsanitize=thread", "-pthread"]
        ended = process.run([toolchain.candidate.cxx or "c++", *flags, SOURCE, "-o", program], timeout=COMPILE_SECONDS)
        if not ended.ok:
            raise BuildError(f"the program does not compile: {ended.stderr.strip()}")
        plain = {**os.environ, "TSAN_OPTIONS": OPTIONS}
        shimmed = {**plain, **preloading([library], plain), FOLDER_VARIABLE: folder}
        command = [*toolchain.launcher, str(program)]
        yield compared_row("four threads, 3,200,000 locks", command, (plain, shimmed), LIMIT, repeats)
