"""Compare how two checkouts read the same logs: in turn in one run, each in a process of its own."""

from __future__ import annotations

import os
import random
import resource
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.process.group import group_members
from tools.bench import log_kinds
from tools.bench.logs import HOUR, MIB
from tools.bench.table import Row, Table, judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.bench.log_kinds import Writer
    from tools.bench.order import Order

HERE = Path(__file__).parents[2]
COLUMNS = ("log", "that checkout", "this one", "wall, CPU, memory, output", "limit", "met")
MB = 10**6
KB = 10**3
# A process of 0.2 s is measured so many times; the median counts.
SHORT_ROUNDS = 9
SAMPLE_SECONDS = 0.1
SHORT_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One log and what reading it may cost: of the other checkout's wall time, or seconds, and bytes of memory."""

    name: str
    writer: Writer
    size: int = 0
    blocks: int = 0
    ratio: float = 0.0
    seconds: float = 0.0
    memory: int = 250 * MB
    format: str = "json"


WORKLOADS = (
    Workload(name="long C++ blocks", writer=log_kinds.long_blocks, size=1024 * MIB, ratio=0.25),
    Workload(name="short C++ blocks", writer=log_kinds.short_blocks, size=60 * MB, ratio=0.25),
    Workload(name="time prefix", writer=log_kinds.time_prefix, size=300 * MB, ratio=0.25),
    Workload(name="interleaved by 8 processes", writer=log_kinds.interleaved, size=300 * MB, ratio=0.25),
    Workload(name="Go", writer=log_kinds.go_blocks, size=300 * MB, ratio=0.10),
    Workload(name="program lines inside blocks", writer=log_kinds.program_lines, size=300 * MB, ratio=0.10),
    Workload(name="frames of JIT code", writer=log_kinds.jit_frames, size=300 * MB, ratio=0.10),
    Workload(name="30,000 findings", writer=log_kinds.distinct, blocks=30_000, ratio=0.5, memory=500 * MB),
    Workload(name="100,000 findings", writer=log_kinds.distinct, blocks=100_000, ratio=0.5, memory=500 * MB),
    Workload(
        name="30,000 findings", writer=log_kinds.distinct, blocks=30_000, seconds=20, memory=500 * MB, format="html"
    ),
    Workload(name="10 kB, whole process", writer=log_kinds.long_blocks, size=10 * KB, ratio=0.7),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What reading took: wall time, that of all processors, bytes of memory of all processes, and bytes of output."""

    seconds: float
    memory: int
    cpu: float = 0.0
    output: int = 0


def write_workload(path: Path, workload: Workload, scale: float = 1.0) -> int:
    """Write the log, ``scale`` times as large as the table says, and return its size in bytes."""
    chance = random.Random(workload.name)  # noqa: S311 -- a measurement is to be repeatable
    limit = workload.size if workload.size <= MIB else int(workload.size * scale)
    blocks = int(workload.blocks * scale)
    with path.open("w", encoding="utf-8") as log:
        size = 0
        for number, text in enumerate(workload.writer(chance), 1):
            size += log.write(text)
            if (number >= blocks) if blocks else (size >= limit):
                break
    return size


def tables(order: Order) -> Iterator[Table]:
    """Read each log by the other checkout and by this one."""
    rows = [
        _row(order, workload, order.against) for workload in WORKLOADS if order.against and _chosen(order, workload)
    ]
    yield judged("reading logs, side by side", COLUMNS, rows)


def _chosen(order: Order, workload: Workload) -> bool:
    return not order.log or any(each in workload.name for each in order.log)


def _row(order: Order, workload: Workload, other: Path) -> Row:
    order.folder.mkdir(parents=True, exist_ok=True)
    log = order.folder / "workload.log"
    size = write_workload(log, workload, order.scale)
    order.say(f"{workload.name}, {size / MB:.2f} MB")
    try:
        theirs, ours = compare(log, workload, other, order.say)
    finally:
        log.unlink()
    return judge(workload, size, theirs, ours)


def judge(workload: Workload, size: int, theirs: Cost | None, ours: Cost) -> Row:
    """Return the row of one workload."""
    met = ours.memory <= workload.memory
    limit = f"{workload.memory / MB:.0f} MB"
    if workload.ratio and theirs:
        met &= ours.seconds <= workload.ratio * theirs.seconds
        limit = f"{workload.ratio:.2f}, {limit}"
    if workload.seconds:
        met &= ours.seconds <= workload.seconds
        limit = f"{workload.seconds:.0f} s, {limit}"
    ratio = f"{ours.seconds / theirs.seconds:.2f}, " if theirs else ""
    ratio += f"{ours.cpu / theirs.cpu:.2f}, " if theirs and theirs.cpu else ""
    return Row(
        what=f"{workload.name} ({size / MB:.2f} MB, {workload.format})",
        before=f"{theirs.seconds:.2f} s" if theirs else "",
        measured=f"{ours.seconds:.2f} s",
        cost=f"{ratio}{ours.memory / MB:.0f} MB, {ours.output / MB:.0f} MB",
        limit=limit,
        met=met,
    )


def compare(log: Path, workload: Workload, other: Path, say: Callable[[str], None]) -> tuple[Cost | None, Cost]:
    """Read a log by ``other`` and by this checkout in turn; the median of several rounds for a short one.

    Only a workload with a ratio is read by the other checkout.
    """
    theirs: list[Cost] = []
    ours: list[Cost] = []
    for _ in range(SHORT_ROUNDS):
        if workload.ratio:
            theirs.append(read(log, workload.format, other))
            say(f"  there: {theirs[-1].seconds:.2f} s")
        ours.append(read(log, workload.format, HERE))
        say(f"  here: {ours[-1].seconds:.2f} s")
        if max(each.seconds for each in (*theirs, *ours)) > SHORT_SECONDS:
            break
    return _median(theirs) if theirs else None, _median(ours)


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        seconds=statistics.median(each.seconds for each in costs),
        memory=max(each.memory for each in costs),
        cpu=statistics.median(each.cpu for each in costs),
        output=costs[-1].output,
    )


def read(log: Path, form: str, checkout: Path) -> Cost:
    """Run ``report`` of a checkout on a log: the package in the working folder comes before any that is installed."""
    command: list[str | Path] = [sys.executable, "-m", "python_tsan", "report", log.absolute(), "--format", form]
    output = log.with_suffix(".out")
    # Empty is unset: both may write their bytecode, which then is not made again by each process.
    env = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": ""}
    watch = Watch()
    done = process.run(
        command, stdout=output, cwd=checkout, timeout=HOUR, env=env, on_start=watch.start, until=watch.look
    )
    written = output.stat().st_size
    output.unlink()
    return Cost(seconds=done.seconds, memory=max(watch.peak, done.max_rss_bytes), cpu=done.cpu_seconds, output=written)


@dataclass(slots=True)
class Watch:
    """Samples the memory of a process and of all that it has started, added up; ``peak`` is in bytes."""

    pid: int = 0
    peak: int = 0
    _next: float = 0.0

    def start(self, pid: int) -> None:
        """Watch this process and its group."""
        self.pid = pid

    def look(self) -> bool:
        """Take a sample from time to time. Returns False: the process goes on."""
        now = time.monotonic()
        if self.pid and now >= self._next:
            self._next = now + SAMPLE_SECONDS
            self.peak = max(self.peak, sum(map(_resident, group_members(self.pid))))
        return False


def _resident(pid: int) -> int:
    """Return the bytes of memory of a process, what it shares included; 0 if it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * resource.getpagesize()
