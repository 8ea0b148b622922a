"""Own measuring what the GIL tracer costs: the same program untraced, traced, and under the debugger."""

from __future__ import annotations

import contextlib
import re
import shutil
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.gil.preload import DEFAULT_BYTES, SPOOL, make_spool_folder
from python_tsan.gil.spool import read_spool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SECONDS = 1800.0
IMPORT = "import numpy"
# ctypes lets go of the GIL around each call, and getppid takes no time: a release, a call, a re-acquisition.
LOOP = """
import ctypes, sys, time
call = ctypes.CDLL(None).getppid
count = int(sys.argv[1])
started = time.perf_counter()
for _ in range(count):
    call()
print("nanoseconds", (time.perf_counter() - started) / count * 1e9)
"""
LOOP_COUNT = 1_000_000
_ANSWER = re.compile(r"^nanoseconds ([0-9.]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table: what was measured, the figure without and with the tracer, the limit, and whether met."""

    what: str
    plain: str
    traced: str
    cost: str
    limit: str
    met: bool | None

    @property
    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        verdict = "" if self.met is None else "yes" if self.met else "no"
        return (self.what, self.plain, self.traced, self.cost, self.limit, verdict)


COLUMNS = ("what", "plain", "traced", "cost", "at most", "met")


@dataclass(frozen=True, slots=True, kw_only=True)
class GilBench:
    """What to measure with: an interpreter, the built tracer, and the environment of both kinds of runs.

    ``ratio`` is how many times as long ``import numpy`` may take. Runs alternate between plain and traced, so that a
    change of the machine's load hits both alike.
    """

    python: Path
    library: Path
    env: Mapping[str, str]
    ratio: float
    repeats: int = 7

    def rows(self, *, events: int = 50_000_000) -> list[Row]:
        """Make every measurement; ``events`` is how many releases the one of the memory makes."""
        return [self.import_row(), self.loop_row(), self.memory_row(events)]

    def import_row(self) -> Row:
        """Measure the import of numpy, by wall time of the whole process."""
        plain, traced = self._alternate(["-c", IMPORT])
        if not plain:
            return Row(what=IMPORT, plain="failed", traced="", cost="", limit=f"{self.ratio} x", met=None)
        # The least of several runs is what the program costs; what is above it is the machine's other work.
        ratio = min(traced) / min(plain)
        return Row(
            what=f"{IMPORT}, whole process, best of {self.repeats}",
            plain=f"{min(plain):.3f} s",
            traced=f"{min(traced):.3f} s",
            cost=f"{ratio:.3f} x (median {statistics.median(traced) / statistics.median(plain):.3f} x)",
            limit=f"{self.ratio} x",
            met=ratio <= self.ratio,
        )

    def loop_row(self) -> Row:
        """Measure one bare release and re-acquisition, by the loop's own clock."""
        plain, traced = [], []
        for _ in range(self.repeats):
            plain.append(self._loop(self.env, LOOP_COUNT)[0])
            with _spool() as folder:
                traced.append(self._loop(self._traced(folder), LOOP_COUNT)[0])
        more = min(traced) - min(plain)
        return Row(
            what=f"release and take again, one frame deep, best of {self.repeats}",
            plain=f"{min(plain):.0f} ns",
            traced=f"{min(traced):.0f} ns",
            cost=f"{more:.0f} ns more",
            limit="1000 ns more",
            met=more <= 1000,  # noqa: PLR2004 -- as in the line above
        )

    def memory_row(self, events: int) -> Row:
        """Measure the peak memory over many events, and count what was dropped."""
        _, plain = self._loop(self.env, 1000)
        with _spool() as folder:
            _, traced = self._loop(self._traced(folder), events)
            spool = read_spool(next(folder.glob("*.gil")).read_bytes())
        if spool is None:
            return Row(what="memory", plain="", traced="nothing recorded", cost="", limit="", met=False)
        kept, dropped = len(spool.events), spool.record.dropped
        return Row(
            what=f"peak memory, {events:,} releases: {kept:,} kept, {dropped:,} dropped",
            plain=f"{plain / 1e6:.0f} MB",
            traced=f"{traced / 1e6:.0f} MB",
            cost=f"{(traced - plain) / 1e6:.0f} MB more",
            limit=f"{DEFAULT_BYTES / 1e6:.0f} MB more",
            met=traced - plain <= DEFAULT_BYTES and kept + dropped >= events,
        )

    def _alternate(self, arguments: Sequence[str]) -> tuple[list[float], list[float]]:
        plain: list[float] = []
        traced: list[float] = []
        if not process.run([self.python, *arguments], env=self.env, timeout=SECONDS).ok:
            return plain, traced
        for _ in range(self.repeats):
            plain.append(process.run([self.python, *arguments], env=self.env, timeout=SECONDS).seconds)
            with _spool() as folder:
                env = self._traced(folder)
                traced.append(process.run([self.python, *arguments], env=env, timeout=SECONDS).seconds)
        return plain, traced

    def _loop(self, env: Mapping[str, str], count: int) -> tuple[float, int]:
        ended = process.run([self.python, "-S", "-c", LOOP, str(count)], env=env, timeout=SECONDS)
        answer = _ANSWER.search(ended.stdout)
        return (float(answer[1]) if answer else float("nan")), ended.max_rss_bytes

    def _traced(self, folder: Path) -> dict[str, str]:
        return {**self.env, "LD_PRELOAD": str(self.library), SPOOL: str(folder)}


@contextlib.contextmanager
def _spool() -> Iterator[Path]:
    folder = make_spool_folder(DEFAULT_BYTES)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
