"""Measure how fast logs are read: large generated ones, by this reader and by others.

The log is what a busy test suite leaves: few distinct races, printed over and over by several processes.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from dataclasses import dataclass
from enum import Enum
from importlib import resources
from typing import TYPE_CHECKING, assert_never

from python_tsan import process
from python_tsan.cpython.tools import find_uv, uv_pip
from python_tsan.plain_text import counted
from tools.bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tools.bench.order import Order

MIB = 1 << 20
SIZES = (10 * MIB, 100 * MIB, 1024 * MIB)
RACES, PROCESSES = 200, 8
# At 1 GiB: 400,000 blocks or so are read, merged and written as JSON.
MAX_SECONDS, MAX_BYTES = 30.0, 200 * 10**6
# 10 MiB hold the start of Python and the parsing of each distinct race too, so the rate may differ that much.
MAX_CURVATURE = 1.5
HOUR = 3600.0
CODECHECKER = "codechecker"
COLUMNS = ("log", "reader", "wall", "CPU", "memory", "MiB/s of CPU", "finds")


class Reader(Enum):
    """Who reads the log."""

    OURS = "python-tsan report --format json"
    GREP = "grep -c"
    CODECHECKER = "report-converter -t tsan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One reading: seconds, bytes of memory at its peak, and what was found in the reader's own words."""

    size: int
    reader: Reader
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory: int = 0
    finds: str = ""

    @property
    def rate(self) -> float:
        """MiB of log for each second of CPU."""
        return self.size / MIB / self.cpu_seconds if self.cpu_seconds else 0.0


def write_log(folder: Path, size: int) -> int:
    """Write logs of about ``size`` bytes, one for each process, and return the number of blocks. The same each time."""
    folder.mkdir(parents=True, exist_ok=True)
    template = (resources.files("tools.bench") / "log.txt").read_text(encoding="utf-8")
    blocks = 0
    chance = random.Random(size)  # noqa: S311 -- a measurement is to be repeatable
    for number in range(PROCESSES):
        pid = 4000 + number
        with (folder / f"tsan.{pid}").open("w", encoding="utf-8") as log:
            while log.tell() < size // PROCESSES:
                log.writelines(fill(template, pid, chance.randrange(RACES), chance) for _ in range(64))
                blocks += 64
    return blocks


def fill(template: str, pid: int, race: int, chance: random.Random) -> str:
    """Return the block of this race, with addresses, threads and mutexes by chance."""
    thread = chance.randrange(1, 60)
    return template.format(
        pid=pid,
        address=hex(0x7B0400000000 + chance.randrange(1 << 28) * 8),
        one=thread,
        two=thread + 1,
        tid=pid + thread,
        mutex=chance.randrange(5000),
        race=race,
        line=100 + race,
        offset=0xE0000 + 64 * race,
    )


def tables(order: Order) -> Iterator[Table]:
    """Read logs of each size by each reader; only ours has limits. With another checkout, compare with that instead."""
    if order.against:
        from tools.bench import against  # noqa: PLC0415 -- which imports this module

        yield from against.tables(order)
        return
    made = list(measure_logs(order.folder, order.say))
    told = complaints(made)
    yield Table(title="reading logs", columns=COLUMNS, rows=rows(made), missed=bool(told), complaints=told)


def measure_logs(folder: Path, say: Callable[[str], None]) -> Iterator[Read]:
    """Yield a reading by each reader for each size. Logs are made when needed and removed after their turn."""
    for size in SIZES:
        logs = folder / f"logs-{size // MIB}"
        say(f"writing {size // MIB} MiB of log")
        blocks = write_log(logs, size)
        total = sum(path.stat().st_size for path in logs.iterdir())
        try:
            for reader in Reader:
                say(f"{reader.value}, {blocks:,} blocks")
                yield _read(reader, logs, total, folder)
        finally:
            shutil.rmtree(logs)


def _read(reader: Reader, logs: Path, size: int, folder: Path) -> Read:
    command = _command(reader, logs, folder)
    if command is None:
        return Read(size=size, reader=reader, finds="could not be installed")
    output = folder / "reader.out"
    done = process.run(command, stdout=output, timeout=HOUR, env=dict(os.environ))
    found = Read(
        size=size,
        reader=reader,
        seconds=done.seconds,
        cpu_seconds=done.cpu_seconds,
        memory=done.max_rss_bytes,
        finds=_finds(reader, output, folder),
    )
    output.unlink()
    return found


def _command(reader: Reader, logs: Path, folder: Path) -> list[str | Path] | None:
    match reader:
        case Reader.OURS:
            # Run as users run it: a module's own start is a part of the time.
            return [sys.executable, "-m", "python_tsan", "report", logs, "--format", "json"]
        case Reader.GREP:
            return ["grep", "-c", "-r", "WARNING: ThreadSanitizer", logs]
        case Reader.CODECHECKER:
            converter = _codechecker(folder / "codechecker")
            if converter is None:
                return None
            return [converter, "-t", "tsan", "-e", "sarif", "-o", folder / "converted", "-c", logs]
        case _:
            assert_never(reader)


def _codechecker(environment: Path) -> Path | None:
    """Return CodeChecker's converter from an environment of its own, None when it cannot be installed."""
    converter = environment / "bin" / "report-converter"
    if not converter.is_file():
        made = process.run([find_uv(), "venv", "--clear", environment], timeout=HOUR)
        installed = process.run(uv_pip("--python", environment, CODECHECKER), timeout=HOUR)
        if not (made.ok and installed.ok):
            return None
    return converter


def _finds(reader: Reader, output: Path, folder: Path) -> str:
    match reader:
        case Reader.OURS:
            from python_tsan.result.codec import decode_result  # noqa: PLC0415 -- 30 MB of JSON, after the measurement

            report = decode_result(output.read_bytes())
            return f"{counted(len(report.findings), 'finding')} in {counted(report.blocks, 'block')}"
        case Reader.GREP:
            counts = output.read_text(encoding="utf-8").split()
            return f"{sum(int(count.rpartition(':')[2]) for count in counts):,} headings"
        case Reader.CODECHECKER:
            results = list((folder / "converted").glob("*.sarif")) if (folder / "converted").is_dir() else []
            return counted(len(results), "result file")
        case _:
            assert_never(reader)


def rows(readings: list[Read]) -> list[list[str]]:
    """Return the table's rows."""
    return [
        [
            f"{reading.size / MIB:.0f} MiB",
            reading.reader.value,
            f"{reading.seconds:.2f} s",
            f"{reading.cpu_seconds:.2f} s",
            f"{reading.memory / 1e6:.0f} MB",
            f"{reading.rate:.0f}",
            reading.finds,
        ]
        for reading in readings
    ]


def complaints(readings: list[Read]) -> list[str]:
    """Return what ours does not keep to: time and memory for the largest log, and cost in line with size."""
    ours = [reading for reading in readings if reading.reader is Reader.OURS]
    if not ours:
        return []
    smallest, largest = ours[0], ours[-1]
    told = []
    if largest.cpu_seconds > MAX_SECONDS:
        told.append(f"{largest.cpu_seconds:.1f} s of CPU; at most {MAX_SECONDS:.0f} s")
    if largest.memory > MAX_BYTES:
        told.append(f"{largest.memory / 1e6:.0f} MB of memory; at most {MAX_BYTES / 1e6:.0f} MB")
    if largest.rate * MAX_CURVATURE < smallest.rate:
        told.append(f"{largest.rate:.0f} MiB/s for the largest log, {smallest.rate:.0f} for the smallest: not linear")
    return told
