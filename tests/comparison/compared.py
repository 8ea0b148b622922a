"""Columns in memory, and runs on disk, to be compared."""

from __future__ import annotations

from pathlib import Path

from python_tsan.comparison.model import Cell, Column, ColumnVerdict, Configuration, Row, RowKind, Seen
from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.result.build import result_of_checks
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
from python_tsan.result.store import RunFolder, save_run
from python_tsan.tsan.fingerprint import fingerprint
from python_tsan.tsan.parser import parse_log

NASTY = "a/std::vector<int>&\"'`|*_</script><b>[x](y)$HOME"
LOG = """\
==================
WARNING: ThreadSanitizer: data race (pid=7)
  Write of size 8 at 0x000000000010 by thread T1:
    #0 bump() a.cpp:1:2 (a+0x10)

  Previous read of size 8 at 0x000000000010 by main thread:
    #0 main a.cpp:3:4 (a+0x20)

SUMMARY: ThreadSanitizer: data race a.cpp:1:2 in bump()
==================
"""
RACE = parse_log(LOG, "tsan.7").findings
BASE = {"python": "3.13.5", "threading": "GIL", "compiler": "clang-19", "binding": "pybind11 2.13.6"}


def configuration(**parts):
    return Configuration(**({"build": "debug", "lane": "full", **BASE} | parts))


def column(name="r", verdict=ColumnVerdict.CLEAN, *, cells=None, **parts):
    """Return a column; ``cells`` maps rows to what was seen, or to whole cells."""
    made = {
        row: cell if isinstance(cell, Cell) else Cell(seen=cell, met=1, runs=1) for row, cell in (cells or {}).items()
    }
    return Column(
        run=name,
        file=f"/runs/{name}/run.json",
        configuration=configuration(**parts),
        verdict=verdict,
        conclusion="clean: 1 check as expected",
        cells=made,
    )


def rows(*names):
    return tuple(Row(id=name, title=name, kind=RowKind.CHECK) for name in names)


def observation(**parts):
    given = {"exit_code": 0, "timed_out": False, "seconds": 0.5, "max_rss_bytes": 1} | parts
    return Observation(command=("harness",), folder=Path("/runs/x"), **given)


SHOWN = {
    Seen.CLEAN: {},
    Seen.RACE: {"exit_code": 66, "findings": RACE, "seen": frozenset(map(fingerprint, RACE))},
    Seen.LOCK_ORDER: {"exit_code": 66, "seen": frozenset({"inversion"})},
    Seen.FINDING: {"exit_code": 66, "seen": frozenset({"leak"})},
    Seen.HANG: {"exit_code": -9, "timed_out": True},
    Seen.CRASH: {"exit_code": -11, "crashes": ("SEGV",)},
    Seen.ERROR: {"exit_code": 0, "report": {"error": {"type": "RuntimeError", "text": "deadlock"}}},
    Seen.DOUBT: {"problem": "the log folder is gone"},
    Seen.OTHER: {"exit_code": 3},
}


def verdict(check, *seen, status=Status.PASSED, outcome=Outcome.CLEAN, reason="", lane=Lane.FULL):
    return Verdict(
        check=check,
        lane=lane,
        status=status,
        expectation=Expectation(outcome=outcome),
        met=len(seen),
        runs=len(seen),
        reason=reason,
        seconds=0.5,
        observations=tuple(observation(**SHOWN[each]) for each in seen),
    )


def run_of(*verdicts, name="20260102T030405Z-abcdef", version="3.13.5", free_threaded=False, toolchain="clang-19"):
    interpreter = InterpreterRecord(
        key="key",
        instrumented=True,
        version=version,
        free_threaded=free_threaded,
        debug=True,
        toolchain=toolchain,
    )
    lane = LaneRecord(
        lane=Lane.FULL, interpreter=interpreter, toolchain=toolchain, bindings={"pybind11": "2.13.6"}, numpy="2.3.5"
    )
    machine = Machine(system="Linux", kernel="6.1", architecture="x86_64", libc="glibc", cores=2, mmap_rnd_bits=28)
    provenance = Provenance(command=("python-tsan",), started_at="2026-01-02", machine=machine)
    return result_of_checks(Result(id=name, provenance=provenance, lanes=(lane,), verdicts=verdicts))


def saved(folder, run):
    """Write a run below ``folder`` and return its folder."""
    from datetime import UTC, datetime  # noqa: PLC0415 -- of this one function

    path = folder / run.id
    path.mkdir(parents=True)
    save_run(RunFolder(path=path, started_at=datetime.now(tz=UTC)), run)
    return path
