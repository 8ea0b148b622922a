import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from python_tsan.checking import stacks
from python_tsan.checking.stacks import Debugger, save_stacks

SLEEPER = """
import threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print("up", flush=True)
time.sleep(60)
"""
HANDLES_BUT_IS_SILENT = """
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: None)
print("up", flush=True)
while True: time.sleep(9)
"""


@contextmanager
def sleeping(code=SLEEPER):
    with subprocess.Popen([sys.executable, "-IS", "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.kill()


def program(tmp_path, monkeypatch, name, script):
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return Debugger(name=name, arguments=("-p", "PID"), proof="#0 ")


def test_the_first_debugger_that_works_is_taken(tmp_path, monkeypatch):
    refused = program(tmp_path, monkeypatch, "dbg-refused", "echo 'ptrace: Operation not permitted'")
    works = program(tmp_path, monkeypatch, "dbg-works", 'echo "#0 wait () of $2, server=[$DEBUGINFOD_URLS]"')
    monkeypatch.setenv("DEBUGINFOD_URLS", "https://example.org")
    absent = Debugger(name="dbg-absent", arguments=(), proof="#0 ")
    monkeypatch.setattr(stacks, "DEBUGGERS", (absent, refused, works))
    with sleeping() as process:
        (native,) = save_stacks(process.pid, tmp_path)
    pid = process.pid
    assert native.read_text() == f"# dbg-works, process {pid}\n#0 wait () of {pid}, server=[]\n"


def test_a_process_that_a_slow_debugger_left_stopped_goes_on(tmp_path, monkeypatch):
    slow = program(tmp_path, monkeypatch, "dbg-slow", "kill -STOP $2; exec sleep 60")
    monkeypatch.setattr(stacks, "DEBUGGER_SECONDS", 0.5)
    monkeypatch.setattr(stacks, "DEBUGGERS", (slow,))
    with sleeping() as process:
        (native,) = save_stacks(process.pid, tmp_path)
        assert native.read_text().startswith("# /proc")
        assert "State:\tT" not in Path(f"/proc/{process.pid}/status").read_text()
        process.kill()
        process.wait()
        assert save_stacks(process.pid, tmp_path) == ()


def test_without_a_debugger_the_kernel_speaks(tmp_path, monkeypatch):
    monkeypatch.setattr(stacks, "DEBUGGERS", ())
    with sleeping() as process:
        (native,) = save_stacks(process.pid, tmp_path)
    text = native.read_text()
    assert text.startswith("# /proc")
    assert text.count("\nThread ") == 2
    for name in ("comm", "wchan", "syscall", "status"):
        assert f"  {name}: " in text


def test_a_process_without_a_handler_is_not_ended_by_being_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(stacks, "DEBUGGERS", ())
    with sleeping() as process:
        written = save_stacks(process.pid, tmp_path)
        time.sleep(0.1)
        assert process.poll() is None
    assert [path.name for path in written] == ["stacks-native.txt"]


def test_a_process_that_is_gone_leaves_nothing(tmp_path):
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert save_stacks(process.pid, tmp_path) == ()


def test_names_noted_before_are_no_stacks(tmp_path, monkeypatch):
    monkeypatch.setattr(stacks, "DEBUGGERS", ())
    monkeypatch.setattr(stacks, "HANDLER_SECONDS", 0.3)
    (tmp_path / "stacks-python.txt").write_text("Thread 1 is main\n")
    with sleeping(HANDLES_BUT_IS_SILENT) as process:
        assert [path.name for path in save_stacks(process.pid, tmp_path)] == ["stacks-native.txt"]


@pytest.mark.parametrize("debugger", stacks.DEBUGGERS, ids=lambda one: one.name)
def test_every_debugger_gets_the_process(debugger):
    assert "4711" in debugger.command(4711)
    assert debugger.proof


def test_the_stacks_of_children_stand_in_files_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(stacks, "DEBUGGERS", ())
    with subprocess.Popen(
        ["/bin/sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, process_group=0
    ) as leader:
        child = int(leader.stdout.readline())
        try:
            written = save_stacks(leader.pid, tmp_path)
        finally:
            os.killpg(leader.pid, signal.SIGKILL)
    assert [path.name for path in written] == ["stacks-native.txt", f"stacks-native.{child}.txt"]
    assert all("Thread " in path.read_text() for path in written)
