"""Hand-made observations and expectations, as the harness and the runtime would give them."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from python_tsan.expectation import Expectation, ExpectedFinding, Outcome
from python_tsan.result.model import Observation
from python_tsan.tsan.parser import parse_log

RACE_BLOCK = """\
==================
WARNING: ThreadSanitizer: data race (pid=12876)
  Read of size 8 at 0x5574882423b0 by thread T2:
    #0 python_tsan::{function}() native/scenarios/counter.cpp:11:28 (harness+0x1386de) (BuildId: e4e8b7ca)
    #1 python_tsan::counter()::$_0::operator()() const native/scenarios/counter.cpp:43:13 (harness+0x138614)

  Previous {previous} of size 8 at 0x5574882423b0 by thread T1:
    #0 python_tsan::{function}() native/scenarios/counter.cpp:13:20 (harness+0x1386f0) (BuildId: e4e8b7ca)

  Location is global 'python_tsan::{location}' of size 8 at 0x5574882423b0 (harness+0x15803b0)

  Thread T2 'T2' (tid=12981, running) created by main thread at:
    #0 pthread_create <null> (harness+0x73d61)

  Thread T1 'T1' (tid=12980, running) created by main thread at:
    #0 pthread_create <null> (harness+0x73d61)

SUMMARY: ThreadSanitizer: data race native/scenarios/counter.cpp:11:28 in python_tsan::{function}()
==================
"""
REPORTED = "ThreadSanitizer: reported 1 warnings\n"


def race_log(location="g_racy_counter", function="increment_unguarded", previous="write"):
    """Return the log of one race, as clang's runtime prints it."""
    return RACE_BLOCK.format(location=location, function=function, previous=previous) + REPORTED


def finding(**parts):
    """Return the finding that is parsed from :func:`race_log`."""
    (only,) = parse_log(race_log(**parts), "tsan.1").findings
    return only


CLEAN = Observation(
    command=("harness", "run", "x"), exit_code=0, timed_out=False, seconds=1.0, max_rss_bytes=1, folder=Path("/run/x/1")
)
RACY = replace(CLEAN, exit_code=66, findings=(finding(),))
HUNG = replace(CLEAN, exit_code=-15, timed_out=True, seconds=4.2, stacks=(Path("/run/x/1/stacks-native.txt"),))
LOST = replace(
    CLEAN,
    report={
        "values": {"lost": "T2"},
        "error": {
            "type": "_frozen_importlib._DeadlockError",
            "text": "deadlock detected by _ModuleLock('pkg.sub') at 1",
            "thread": "T2",
        },
    },
)

DEAD = replace(CLEAN, exit_code=-6, last_words="Critical nanobind error: attempted to change the reference count")

SAFE_TWIN = Expectation(outcome=Outcome.CLEAN)
RACY_TWIN = Expectation(
    outcome=Outcome.RACE,
    findings=(
        ExpectedFinding(
            kind="data race",
            location="g_racy_counter",
            function="increment_unguarded",
            accesses=("read", "write"),
        ),
    ),
)
HANGING = Expectation(outcome=Outcome.HANG)
CRASHING = Expectation(outcome=Outcome.CRASH, error="nanobind error: .* reference count")
DEADLOCK = Expectation(
    outcome=Outcome.ERROR,
    error=r"_DeadlockError: deadlock detected by _ModuleLock\(.pkg\.sub.\)",
    losing_thread="T2",
    values={"lost": "T2"},
)
