"""Measure the cost of the GIL tracer: the same program untraced and traced, side by side.

Other tracers are measured by :mod:`.gil_rivals`, the timeline's page by :mod:`.gil_timeline`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.gil.engine import DEFAULT_BYTES, SPOOL
from python_tsan.gil.preload import make_spool_folder
from python_tsan.gil.spool import read_spool
from tools.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from python_tsan.process import Completed

SECONDS = 1800.0
IMPORT = "import numpy"
# ctypes releases the GIL around each call, and getppid takes no time: a release, a call, a re-acquisition.
LOOP = """
import ctypes, sys, time
call = ctypes.CDLL(None).getppid
count = int(sys.argv[1])
started = time.process_time()
for _ in range(count):
    call()
print("nanoseconds", (time.process_time() - started) / count * 1e9)
print(*[line for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""
LOOP_COUNT = 200_000
# The program's own peak; the system's figure for a finished child may be the peak of its parent.
_PEAK = re.compile(r"^VmHWM:\s*(\d+) kB", re.MULTILINE)
_ANSWER = re.compile(r"^nanoseconds ([0-9.]+)$", re.MULTILINE)


COLUMNS = ("what", "plain", "traced", "cost", "at most", "met")


@dataclass(frozen=True, slots=True, kw_only=True)
class GilBench:
    """What to measure with: an interpreter, the built tracer, and the environment of both kinds of runs.

    ``ratio`` is how many times as long ``import numpy`` may take.
    """

    python: Path
    library: Path
    env: Mapping[str, str]
    ratio: float
    repeats: int = 9

    def rows(self, *, events: int) -> Iterator[Row]:
        """Make every measurement; ``events`` is how many releases the one of the memory makes, 0 for none."""
        yield self.import_row()
        yield self.loop_row()
        if events:
            yield self.memory_row(events)

    def import_row(self) -> Row:
        """Measure the import of numpy, as a whole process, in pairs of a plain and a traced run side by side.

        Judged by processor time: wall time includes other processes of the machine.
        """
        pairs = list(self._pairs(["-c", IMPORT]))
        if not pairs:
            return Row(what=IMPORT, before="failed", limit=f"{self.ratio} x")
        busy = statistics.median(traced.cpu_seconds / plain.cpu_seconds for plain, traced in pairs)
        wall = statistics.median(traced.seconds / plain.seconds for plain, traced in pairs)
        return Row(
            what=f"{IMPORT}, whole process, median of {len(pairs)} pairs",
            before=f"{statistics.median(plain.cpu_seconds for plain, _ in pairs):.3f} s",
            measured=f"{statistics.median(traced.cpu_seconds for _, traced in pairs):.3f} s",
            cost=f"{busy:.3f} x processor, {wall:.3f} x wall",
            limit=f"{self.ratio} x",
            met=busy <= self.ratio,
        )

    def loop_row(self) -> Row:
        """Measure one bare release and re-acquisition, by the loop's own processor time."""
        plain, traced = [], []
        for _ in range(self.repeats):
            plain.append(self._loop(self.env, LOOP_COUNT)[0])
            with spool_folder() as folder:
                traced.append(self._loop(self.traced(folder), LOOP_COUNT)[0])
        more = min(traced) - min(plain)
        return Row(
            what=f"release and take again, one frame deep, best of {self.repeats}",
            before=f"{min(plain):.0f} ns",
            measured=f"{min(traced):.0f} ns",
            cost=f"{more:.0f} ns more",
            limit="1000 ns more",
            met=more <= 1000,  # noqa: PLR2004 -- as in the line above
        )

    def memory_row(self, events: int) -> Row:
        """Measure the peak memory over many events, and count what was dropped."""
        _, plain = self._loop(self.env, 1000)
        with spool_folder() as folder:
            _, traced = self._loop(self.traced(folder), events)
            spool = read_spool(next(folder.glob("*.gil")).read_bytes())
        if spool is None:
            return Row(what="memory", measured="nothing recorded", met=False)
        kept, dropped = len(spool.events), spool.record.dropped
        return Row(
            what=f"peak memory, {events:,} releases: {kept:,} kept, {dropped:,} dropped",
            before=f"{plain / 1e6:.0f} MB",
            measured=f"{traced / 1e6:.0f} MB",
            cost=f"{(traced - plain) / 1e6:.0f} MB more",
            limit=f"{DEFAULT_BYTES / 1e6:.0f} MB more",
            met=traced - plain <= DEFAULT_BYTES and kept + dropped >= events,
        )

    def _pairs(self, arguments: Sequence[str]) -> Iterator[tuple[Completed, Completed]]:
        """Yield a plain and a traced run each time; which goes first alternates, so that a drift hits both alike."""
        command: list[str | Path] = [self.python, *arguments]
        if not process.run(command, env=self.env, timeout=SECONDS).ok:
            return
        for number in range(self.repeats):
            ends = {}
            for traced in (False, True) if number % 2 else (True, False):
                with spool_folder() as folder:
                    env = self.traced(folder) if traced else self.env
                    ends[traced] = process.run(command, env=env, timeout=SECONDS)
            yield ends[False], ends[True]

    def _loop(self, env: Mapping[str, str], count: int) -> tuple[float, int]:
        ended = process.run([self.python, "-S", "-c", LOOP, str(count)], env=env, timeout=SECONDS)
        answer, peak = _ANSWER.search(ended.stdout), _PEAK.search(ended.stdout)
        return (float(answer[1]) if answer else float("nan")), int(peak[1]) * 1024 if peak else ended.max_rss_bytes

    def traced(self, folder: Path) -> dict[str, str]:
        """Return the environment in which a program records into ``folder``."""
        return {**self.env, **process.preloading([self.library], self.env), SPOOL: str(folder)}


@contextlib.contextmanager
def spool_folder() -> Iterator[Path]:
    """Make a folder to record into, and remove it."""
    folder = make_spool_folder(DEFAULT_BYTES)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
