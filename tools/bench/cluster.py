"""Measure a cluster on this machine: its throughput, compared with as many processes, and the memory of a long run."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.errors import BuildError, SubjectError
from python_tsan.plain_text import counted
from python_tsan.process import in_parallel
from tools.bench.table import Row, judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.bench.order import Order
    from tools.bench.table import Table

WORKERS = 2
# In fewer runs of a program that does nothing, the start of each shard is most of the time.
RUNS, LONG_RUNS, ROUNDS = 2_000, 10_000, 3
LEAST_RATIO = 0.9
MOST_GROWTH = 1.1
SAMPLE_SECONDS = 1.0
START_SECONDS = 60.0
COMPILE_SECONDS = 120.0
RUN_SECONDS = 7200.0
MB = 10**6
SOURCE = "int main() { return 0; }\n"
COLUMNS = ("what", "local processes", "cluster", "ratio", "limit", "met")
MEMORY_COLUMNS = ("process", "second quarter", "last quarter", "growth", "at most", "met")


def tables(order: Order) -> Iterator[Table]:
    """Measure with a program that does nothing: it shows most of what a cluster costs."""
    with tempfile.TemporaryDirectory(prefix="python-tsan-bench-") as name:
        folder = Path(name)
        program = _program(order, folder)
        with cluster(folder) as made:
            yield judged("throughput of a cluster", COLUMNS, [_throughput(made, program, folder, order)])
            title = f"memory in {LONG_RUNS:,} runs, largest of each quarter"
            yield judged(title, MEMORY_COLUMNS, _memory(made, program, folder, order))


def _program(order: Order, folder: Path) -> Path:
    source, program = folder / "program.cpp", folder / "program"
    source.write_text(SOURCE)
    compiler = order.pipeline.toolchain.candidate.cxx or "c++"
    ended = process.run([compiler, "-g1", "-fsanitize=thread", source, "-o", program], timeout=COMPILE_SECONDS)
    if not ended.ok:
        raise BuildError(f"the program does not compile: {ended.stderr.strip()}")
    return program


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCluster:
    """A scheduler and its workers on loopback: its address, and the processes by their names."""

    address: str
    pids: dict[str, int]


@contextlib.contextmanager
def cluster(folder: Path, workers: int = WORKERS) -> Iterator[MadeCluster]:
    """Start a scheduler and workers of one thread, each as a process; end them at the end.

    Raises :class:`SubjectError` if they do not start.
    """
    file = folder / "scheduler.json"
    shared = ("--scheduler-file", str(file), "--dashboard-address", "127.0.0.1:0")
    commands: dict[str, tuple[str, ...]] = {}
    commands["scheduler"] = ("dask_scheduler", "--host", "127.0.0.1", "--port", "0", *shared)
    one = ("dask_worker", *shared, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
    commands |= {f"worker {number + 1}": one for number in range(workers)}
    with contextlib.ExitStack() as ends:
        pids: dict[str, int] = {}
        for name, (module, *words) in commands.items():
            command = [sys.executable, "-m", f"distributed.cli.{module}", *words]
            pids[name] = ends.enter_context(_in_background(command, folder / f"{name}.log"))
        yield MadeCluster(address=_address(file, workers), pids=pids)


@contextlib.contextmanager
def _in_background(command: Sequence[str | Path], log: Path) -> Iterator[int]:
    """Run a command until the end of the block, which receives its pid."""
    stop, started, pids = threading.Event(), threading.Event(), []

    def start(pid: int) -> None:
        pids.append(pid)
        started.set()

    runner = threading.Thread(
        target=lambda: process.run(command, stdout=log, until=stop.is_set, on_start=start), daemon=True
    )
    runner.start()
    started.wait(START_SECONDS)
    try:
        yield pids[0]
    finally:
        stop.set()
        runner.join()


def _address(file: Path, workers: int) -> str:
    until = time.monotonic() + START_SECONDS
    while not file.is_file() and time.monotonic() < until:
        time.sleep(0.05)
    if not file.is_file():
        raise SubjectError(f"no cluster could be started: the scheduler did not write {file}")
    from distributed import Client  # noqa: PLC0415 -- of an extra

    try:
        with Client(scheduler_file=str(file), timeout=START_SECONDS) as client:
            client.wait_for_workers(workers, timeout=START_SECONDS)
            return str(client.scheduler.address).replace("tcp://", "dask://")
    except OSError as error:
        raise SubjectError(f"no cluster could be started: {error}") from error


def _command(program: Path, folder: Path, runs: int, *words: str) -> list[str | Path]:
    options = ("--repeat", str(runs), "--quiet", "--output", folder / "runs")
    return [sys.executable, "-m", "python_tsan", "run", *options, *words, "--", program]


def _timed(commands: Sequence[Sequence[str | Path]], folder: Path) -> float:
    started = time.monotonic()
    for ended in in_parallel(
        lambda command: process.run(command, cwd=folder, env=os.environ, timeout=RUN_SECONDS),
        commands,
        jobs=len(commands),
    ):
        if not ended.ok:
            raise SubjectError(f"a measured run failed: {ended.stderr.strip()}")
    return time.monotonic() - started


def _throughput(made: MadeCluster, program: Path, folder: Path, order: Order) -> Row:
    """Make the same runs by shards in as many processes, and by the cluster, in turn."""
    shards = [_command(program, folder, RUNS, "--shard", f"{number + 1}/{WORKERS}") for number in range(WORKERS)]
    times: dict[bool, list[float]] = {False: [], True: []}
    for number in range(ROUNDS):
        order.say(f"round {number + 1} of {ROUNDS}")
        times[False].append(_timed(shards, folder))
        times[True].append(_timed([_command(program, folder, RUNS, "--cluster", made.address)], folder))
    local, far = statistics.median(times[False]), statistics.median(times[True])
    return Row(
        what=f"{counted(RUNS, 'run')}, {counted(WORKERS, 'process')}, median of {ROUNDS}",
        before=f"{RUNS / local:.1f} a second",
        measured=f"{RUNS / far:.1f} a second",
        cost=f"{local / far:.2f}",
        limit=f"at least {LEAST_RATIO}",
        met=local / far >= LEAST_RATIO,
    )


@dataclass(slots=True)
class Samples:
    """The memory of processes, by name, taken until the end of the block."""

    pids: dict[str, int]
    bytes: dict[str, list[int]] = field(default_factory=dict)

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Take a sample now and then."""
        stop = threading.Event()
        taker = threading.Thread(target=lambda: self._take(stop), daemon=True)
        taker.start()
        try:
            yield
        finally:
            stop.set()
            taker.join()

    def _take(self, stop: threading.Event) -> None:
        while not stop.wait(SAMPLE_SECONDS):
            for name, pid in self.pids.items():
                with contextlib.suppress(OSError):
                    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                    self.bytes.setdefault(name, []).append(pages * os.sysconf("SC_PAGE_SIZE"))


def _memory(made: MadeCluster, program: Path, folder: Path, order: Order) -> Iterator[Row]:
    """Compare what each process needs at most in the second quarter of a long run and in the last one."""
    order.say(f"{LONG_RUNS:,} runs")
    samples = Samples(dict(made.pids))
    command = _command(program, folder, LONG_RUNS, "--cluster", made.address)

    def add_client(pid: int) -> None:
        samples.pids["client"] = pid

    with samples.taken():
        ended = process.run(command, cwd=folder, env=os.environ, timeout=RUN_SECONDS, on_start=add_client)
    if not ended.ok:
        raise SubjectError(f"the long run failed: {ended.stderr.strip()}")
    for name, taken in samples.bytes.items():
        yield growth_row(name, taken)


def growth_row(name: str, taken: Sequence[int]) -> Row:
    """Return the row of one process from its samples in order of time; the first quarter is its start."""
    quarter = max(1, len(taken) // 4)
    before, after = max(taken[quarter : 2 * quarter], default=taken[0]), max(taken[-quarter:])
    return Row(
        what=name,
        before=f"{before / MB:.0f} MB",
        measured=f"{after / MB:.0f} MB",
        cost=f"{after / before:.2f} x",
        limit=f"{MOST_GROWTH:g} x",
        met=after <= MOST_GROWTH * before,
    )
