"""Real signals for real commands: send one half-way, and check the output and the remaining processes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

MARK = "PYTHON_TSAN_TEST_MARK"
PATIENCE = 30.0


@dataclass(frozen=True)
class Ended:
    """How an interrupted command ended. ``orphans`` are the command lines of processes that are left of it."""

    code: int
    seconds: float
    out: str
    err: str
    orphans: list[str]


def descendants(mark):
    """Return the command lines of living processes that have ``mark`` in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark.encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in found if line]  # a zombie has none


@pytest.fixture
def interrupt(tmp_path):
    """Return a function that starts a command, sends it a signal as soon as ``when`` says so, and waits for its end.

    ``again`` are further signals, each after so many seconds.
    """

    def run(command, *, when, number=signal.SIGINT, group=True, env=None, pause=0.0, again=()):
        mark = uuid.uuid4().hex
        said = [tmp_path / "said.out", tmp_path / "said.err"]
        with said[0].open("wb") as out, said[1].open("wb") as err:
            child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=os.environ | {MARK: mark} | (env or {}),
                start_new_session=True,
            )
        limit = time.monotonic() + PATIENCE
        try:
            while not when(*(path.read_text() for path in said)):
                assert child.poll() is None, said[1].read_text()
                assert time.monotonic() < limit, said[1].read_text()
                time.sleep(0.02)
            time.sleep(pause)
            began = time.monotonic()
            (os.killpg if group else os.kill)(child.pid, number)
            for gap, other in again:
                time.sleep(gap)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, other)
            code = child.wait(PATIENCE)
        finally:
            child.kill()
            child.wait()
        return Ended(code, time.monotonic() - began, *(path.read_text() for path in said), descendants(mark))

    return run


@pytest.fixture
def python():
    """Return the words that start a program of this environment's Python."""
    return [sys.executable, "-c"]
