"""A run made in memory, with each kind of verdict in it."""

from __future__ import annotations

from pathlib import Path

from python_tsan.expectation import Expectation, ExpectedFinding, Lane, Outcome
from python_tsan.result.build import result_of_checks
from python_tsan.result.model import (
    InterpreterRecord,
    LaneRecord,
    Machine,
    Observation,
    Provenance,
    Result,
    SourceOrigin,
    Status,
    Verdict,
)
from python_tsan.tsan.fingerprint import fingerprint
from python_tsan.tsan.parser import parse_log

LOG = """\
==================
WARNING: ThreadSanitizer: data race (pid=7)
  Write of size 8 at 0x000000000010 by thread T1:
    #0 bump(std::vector<int>&) a.cpp:1:2 (a+0x10)

  Previous read of size 8 at 0x000000000010 by main thread:
    #0 main a.cpp:3:4 (a+0x20)

SUMMARY: ThreadSanitizer: data race a.cpp:1:2 in bump(std::vector<int>&)
==================
"""
FOLDER = Path("/runs/20260102T030405Z-abcdef")


def observation(check="gil/x", number=1, **parts):
    defaults = {
        "command": ("harness", "run", "x"),
        "exit_code": 0,
        "timed_out": False,
        "seconds": 1.25,
        "max_rss_bytes": 50_000_000,
        "folder": FOLDER / "full" / check / str(number),
    }
    return Observation(**(defaults | parts))


def verdict(check="gil/x", status=Status.PASSED, outcome=Outcome.CLEAN, *, lane=Lane.FULL, met=1, runs=1, reason=""):
    findings = (ExpectedFinding(kind="data race", location="g", accesses=("read", "write")),)
    return Verdict(
        check=check,
        lane=lane,
        status=status,
        expectation=Expectation(outcome=outcome, findings=findings if outcome is Outcome.RACE else ()),
        met=met,
        runs=runs,
        reason=reason,
        seconds=1.25 * runs,
        observations=tuple(observation(check, number) for number in range(1, runs + 1)),
    )


def interpreter(version="3.13.5", *, instrumented=True, replaces="", free_threaded=False):
    source = SourceOrigin(version=version, origin="debian", sha256="93e5", replaces=replaces) if instrumented else None
    return InterpreterRecord(
        key="key",
        instrumented=instrumented,
        version=version,
        free_threaded=free_threaded,
        debug=instrumented,
        prefix=Path("/p"),
        toolchain="clang-19",
        runtime_id="7a7a",
        source=source,
    )


def run(*verdicts, replaces="", lanes=None):
    machine = Machine(system="Linux", kernel="6.1", architecture="x86_64", libc="glibc 2.36", cores=2, mmap_rnd_bits=28)
    full = LaneRecord(
        lane=Lane.FULL,
        interpreter=interpreter(replaces=replaces),
        toolchain="clang-19",
        blind_spot="accesses inside numpy",
        seconds=12.0,
    )
    return result_of_checks(
        Result(
            id=FOLDER.name,
            provenance=Provenance(
                command=("python-tsan", "verify"),
                started_at="2026-01-02T03:04:05+00:00",
                machine=machine,
                replaces=replaces,
                seeds={"threads": 7},
            ),
            lanes=lanes or (full,),
            verdicts=verdicts,
            seconds=20.0,
        )
    )


_FOUND = parse_log(LOG, "tsan.7").findings
RACY = observation(exit_code=66, findings=_FOUND, seen=frozenset(map(fingerprint, _FOUND)), report={"values": {"n": 1}})
