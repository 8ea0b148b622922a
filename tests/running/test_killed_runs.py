"""A run that SIGKILL ends leaves neither its program behind nor what that started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from python_tsan.process import DeathGuard

SECONDS = 30.0
# The process that started the program waits for its end by then, and the guard knows it.
STARTED = "until [ $(cut -d ' ' -f 3 /proc/$PPID/stat) = S ]; do :; done; "
# Prints the numbers of two processes, which SIGTERM does not end.
PROGRAM = STARTED + "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 1; done' & echo $$ $!; wait"
WATCHED = f"""
import subprocess, sys
from python_tsan.process import DeathGuard
with DeathGuard() as guard:
    child = subprocess.Popen(["sh", "-c", {PROGRAM!r}], process_group=0)
    guard.watch(child.pid, group=True)
    child.wait()
"""

# A run past its preflight, whose program prints to the file that its argument names.
SESSION = """
import datetime, os, sys, threading
from pathlib import Path
from python_tsan.console import make_console
from python_tsan.running import expected
from python_tsan.running.preflight import Prepared
from python_tsan.running.request import Request
from python_tsan.running.rules import Rules
from python_tsan.running.session import Session

os.mkfifo("pids")
threading.Thread(target=lambda: print(Path("pids").read_text(), flush=True), daemon=True).start()
Session(
    request=Request(command=(sys.argv[1],), cwd=os.getcwd(), timeout=60.0),
    rules=Rules(expectation=expected.CLEAN, today=datetime.date.today()),
    prepared=Prepared(command=(sys.argv[1],), program=None),
    toolchain=None,
    companion=None,
    output=Path("runs"),
    env={"PATH": os.defpath},
    console=make_console(quiet=True),
).run()
"""


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def kill(command, **more):
    """Start a command that prints the numbers of processes, kill it, and return those that still run."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **more) as started:
        pids = [int(word) for word in started.stdout.readline().split()]
        assert pids
        assert all(map(is_running, pids))
        started.kill()
    limit = time.monotonic() + SECONDS
    while any(map(is_running, pids)) and time.monotonic() < limit:
        time.sleep(0.05)
    left = [pid for pid in pids if is_running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left


def test_what_a_program_started_ends_with_the_process_that_is_killed():
    assert kill([sys.executable, "-c", WATCHED]) == []


def test_a_program_on_the_terminal_ends_with_the_process_that_is_killed(tmp_path):
    command = ["imports", "watch", "--", "sh", "-c", f"{STARTED} trap '' TERM; echo $$; while :; do sleep 1; done"]
    assert kill([sys.executable, "-m", "python_tsan", *command], cwd=tmp_path) == []


def test_the_program_of_a_run_ends_with_it(tmp_path):
    script = tmp_path / "program"
    script.write_text("#!/bin/sh\n" + PROGRAM.replace("echo $$ $!", "echo $$ $! > pids") + "\n")
    script.chmod(0o755)
    assert kill([sys.executable, "-c", SESSION, str(script)], cwd=tmp_path) == []


def test_a_program_that_is_over_is_left_alone_and_the_guard_ends():
    with subprocess.Popen(["sleep", "60"]) as other:
        with DeathGuard() as guard:
            guard.watch(other.pid, group=False)
            shell = guard._shell
        assert shell.returncode == 0
        assert other.poll() is None
        other.kill()


def test_a_guard_that_watched_nothing_ends():
    with DeathGuard() as guard:
        shell = guard._shell
    assert shell.returncode == 0


def test_a_guard_that_somebody_ended_is_no_error():
    with DeathGuard() as guard:
        guard._shell.kill()
        guard._shell.wait()
        guard.watch(1, group=False)
