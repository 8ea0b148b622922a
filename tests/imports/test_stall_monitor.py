"""What blocked threads wait for, reported from inside a fresh process."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from python_tsan.imports.cases.import_cases import stall_monitor
from python_tsan.imports.cases.import_cases.scheduler import Scheduler
from python_tsan.imports.model.interpreter import CASES

WATCH = """\
import sys
from import_cases.case_run import CaseRun
from import_cases.stall_monitor import StallMonitor
import threading, time, os, json

stage = CaseRun(sys.argv[1], sys.argv[2], sys.argv[3])
witness = threading.Thread(target=StallMonitor(stage, sys.argv[4]).watch, daemon=True)
witness.start()
threads = [threading.Thread(target=stage.play, args=(name,), name=name, daemon=True) for name in stage.threads]
for thread in threads:
    thread.start()
limit = time.monotonic() + 10
while stage.unfinished() and not os.path.exists(sys.argv[4]) and time.monotonic() < limit:
    time.sleep(0.01)
if not stage.unfinished():
    witness.join()
print(json.dumps(os.path.exists(sys.argv[4])), flush=True)
os._exit(0)
"""


@pytest.fixture
def watch(tmp_path):
    def run(row, variant="hazard"):
        command = [sys.executable, "-c", WATCH, row, variant, str(tmp_path / "tree"), str(tmp_path / "waits.txt")]
        env = {**os.environ, "PYTHONPATH": str(CASES)}
        began = time.monotonic()
        ended = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=20)
        assert time.monotonic() - began < 9, "the witness wrote nothing"
        return (tmp_path / "waits.txt").read_text().splitlines() if json.loads(ended.stdout) else []

    return run


def test_a_witness_writes_the_cycle_through_the_global_import_lock(watch):
    waits = ["T1 waits for needed, held by T2", "T2 waits for the global import lock, held by T1"]
    assert watch("importing_finder") == waits


def test_a_witness_writes_where_a_thread_stands_that_waits_for_no_import(watch):
    assert watch("joining_body") == ["T1 is at starter.py:5 in <module>", "body waits for starter, held by T1"]


def test_without_the_gil_nobody_looks_at_the_frames_of_a_thread_that_runs(monkeypatch):
    scheduler = Scheduler((), frozenset())
    scheduler.act_for("T1")
    scheduler._holding["T2"] = "exec slow"
    scheduler._names[0] = "T2"
    scheduler._names[1] = "T3"
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    monkeypatch.setattr(stall_monitor, "all_frames", None)
    others = {f"{thread.name} has not ended" for thread in threading.enumerate()}
    assert [line for line in stall_monitor.describe_waits(scheduler, "/") if line not in others] == [
        "T2 is kept at exec slow by the schedule",
        "T3 has not ended",
    ]


def test_a_witness_has_nothing_to_write_where_all_ends_well(watch):
    assert watch("user_lock", "fixed") == []
