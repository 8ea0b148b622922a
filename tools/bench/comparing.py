"""Measure how long it takes to compare many runs, each generated as large as those of `verify`."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from msgspec.structs import replace

from python_tsan import process
from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.result.build import result_of_checks
from python_tsan.result.codec import encode_result
from python_tsan.result.model import (
    InterpreterRecord,
    LaneRecord,
    Machine,
    Observation,
    Provenance,
    Result,
    Status,
    Verdict,
)
from python_tsan.tsan.parser import parse_log
from tools.bench.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tools.bench.order import Order

FEW, MANY = 2, 50
MAX_SECONDS = 2.0
CHECKS, REPEATS = 90, 3
LIMIT = 600.0
COLUMNS = ("runs", "size", "wall", "CPU", "memory", "CPU for each further run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One comparison of ``runs`` runs: bytes of their files, seconds, bytes of memory at its peak."""

    runs: int
    size: int
    seconds: float
    cpu_seconds: float
    memory: int


def make_run(number: int, folder: Path) -> Result:
    """Return a run of its own version of CPython; every tenth check is a race there or not, by turns."""
    interpreter = InterpreterRecord(
        key=f"key{number}",
        instrumented=True,
        version=f"3.13.{number // 2}",
        free_threaded=bool(number % 2),
        debug=True,
        toolchain="clang-19",
        prefix=folder,
    )
    machine = Machine(system="Linux", kernel="6.1", architecture="x86_64", libc="glibc", cores=2, mmap_rnd_bits=28)
    run = Result(
        id=f"run{number:03}",
        provenance=Provenance(command=("bench",), started_at="2026-01-01", machine=machine),
        lanes=(LaneRecord(lane=Lane.FULL, interpreter=interpreter, toolchain="clang-19"),),
        verdicts=tuple(_verdict(check, number, folder) for check in range(CHECKS)),
    )
    return result_of_checks(run)


def _verdict(check: int, number: int, folder: Path) -> Verdict:
    racy = check % 3 == 0 or (check % 10 == 1 and number % 2 == 1)
    template = (resources.files("tools.bench") / "log.txt").read_text(encoding="utf-8")
    log = template.format(pid=7, address="0x10", one=1, two=2, tid=8, mutex=3, race=check, line=100, offset=4096)
    quiet = Observation(
        command=("harness", "run", f"check{check}"),
        exit_code=66 if racy else 0,
        timed_out=False,
        seconds=0.2,
        max_rss_bytes=50_000_000,
        folder=folder / f"check{check}" / "1",
    )
    seen = replace(quiet, findings=parse_log(log, "tsan.7").findings) if racy else quiet
    return Verdict(
        check=f"bench/check_{check}",
        lane=Lane.FULL,
        status=Status.PASSED,
        expectation=Expectation(outcome=Outcome.RACE if racy else Outcome.CLEAN),
        met=REPEATS,
        runs=REPEATS,
        reason="",
        seconds=0.6,
        observations=(seen,) * REPEATS,
    )


def tables(order: Order) -> Iterator[Table]:
    """Compare a few runs and many."""
    made = list(measure_comparisons(order.folder, order.say))
    told = complaints(made)
    yield Table(title="comparing runs", columns=COLUMNS, rows=rows(made), missed=bool(told), complaints=told)


def measure_comparisons(folder: Path, say: Callable[[str], None]) -> Iterator[Compared]:
    """Yield the comparison of a few runs and that of many; the runs are removed afterwards."""
    runs = folder / "runs-to-compare"
    try:
        for count in (FEW, MANY):
            say(f"comparing {count} runs")
            yield _measure(runs, count)
    finally:
        shutil.rmtree(runs, ignore_errors=True)


def _measure(folder: Path, count: int) -> Compared:
    for number in range(count):
        target = folder / f"run{number:03}"
        target.mkdir(parents=True, exist_ok=True)
        (target / "run.json").write_bytes(encode_result(make_run(number, folder)))
    size = sum(path.stat().st_size for path in folder.rglob("run.json"))
    output = folder / "compared.html"
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "python_tsan",
        "compare",
        folder,
        "--format",
        "html",
        "--output",
        output,
    ]
    done = process.run(command, timeout=LIMIT, env=dict(os.environ))
    output.unlink()
    return Compared(
        runs=count, size=size, seconds=done.seconds, cpu_seconds=done.cpu_seconds, memory=done.max_rss_bytes
    )


def rows(made: list[Compared]) -> list[list[str]]:
    """Return the table's rows."""
    return [
        [
            str(each.runs),
            f"{each.size / 1e6:.0f} MB",
            f"{each.seconds:.2f} s",
            f"{each.cpu_seconds:.2f} s",
            f"{each.memory / 1e6:.0f} MB",
            f"{_further(made[0], each) * 1000:.0f} ms" if each is not made[0] else "",
        ]
        for each in made
    ]


def _further(few: Compared, many: Compared) -> float:
    return (many.cpu_seconds - few.cpu_seconds) / (many.runs - few.runs)


def complaints(made: list[Compared]) -> list[str]:
    """Return what is not kept to."""
    most = made[-1]
    if most.cpu_seconds <= MAX_SECONDS:
        return []
    return [f"{most.cpu_seconds:.1f} s of CPU for {most.runs} runs; at most {MAX_SECONDS:.0f} s"]
