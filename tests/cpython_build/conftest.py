"""Fixtures for builds of a fake source tree."""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import subprocess
import time

import fake_build
import pytest

from python_tsan.console import Console
from python_tsan.cpython.build import interpreter as build


class Recorded(Console):
    """A console whose lines can be read back."""

    def __init__(self):
        self.out, self.err = io.StringIO(), io.StringIO()
        super().__init__(out=self.out, err=self.err, env={})

    @property
    def notes(self):
        return self.err.getvalue()


@pytest.fixture
def console():
    return Recorded()


@pytest.fixture
def trace(tmp_path, monkeypatch):
    path = tmp_path / "trace"
    path.touch()
    monkeypatch.setenv("TRACE", str(path))
    for name in ("SLOW", "SLOW_INSTALL", "FAIL_CONFIGURE", "FAIL_COMPILE"):
        monkeypatch.delenv(name, raising=False)
    return lambda: path.read_text().split()


@pytest.fixture
def fake(tmp_path, monkeypatch, trace, console):
    assert trace() == []
    for name in ("obtain_source", "resolve_record", "describe_built"):
        monkeypatch.setattr(build, name, getattr(build, name))  # restored afterwards
    fake_build.install(tmp_path)
    return lambda **changes: fake_build.run(tmp_path, console=console, **changes)


@pytest.fixture
def redis(tmp_path):
    """Start a real server with an empty memory; the value is its address and its process."""
    server = shutil.which("redis-server") or pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with (tmp_path / "redis.log").open("w") as log, subprocess.Popen(command, stdout=log, cwd=tmp_path) as process:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}", process
        process.kill()
