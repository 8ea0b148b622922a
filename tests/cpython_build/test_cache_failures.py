"""What a shared cache that fails half-way costs a real build of CPython: time, and never the build.

Minutes for each: `nox -s cache_failures`. Both builds of a row are machines of their own, with empty folders; the first
fills a real Redis server, and half of what the second one would get from it never comes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import sysconfig
import threading
import time

import pytest

from python_tsan.config import Settings
from python_tsan.console import make_console
from python_tsan.cpython.plan import BUILD_TSAN_OPTIONS
from python_tsan.cpython.sources.search import obtain_source
from python_tsan.paths import Layout, default_root

pytestmark = [pytest.mark.builds, pytest.mark.compiler, pytest.mark.network, pytest.mark.timeout(3600)]

POLL_SECONDS = 0.2
DUMP = "dump.rdb"
FOUND = re.compile(r"(\d+) objects? found, (\d+) not there yet")


class Garbage(socketserver.StreamRequestHandler):
    """Answer every request with the same nonsense."""

    def handle(self):
        with contextlib.suppress(OSError):
            while self.request.recv(65536):
                self.request.sendall(b"$12\r\n\x00\xffnot at all\r\n+?\r\n")


class Redis:
    """A real server on loopback that holds what it has in memory, and can be taken away or replaced."""

    def __init__(self, folder, dump=None):
        folder.mkdir()
        if dump:
            shutil.copyfile(dump, folder / DUMP)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [shutil.which("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen([*command, "--appendonly", "no"], stdout=log, cwd=folder)
        self.url = f"redis://127.0.0.1:{self.port}"
        self.garbage = None
        while self.ask("ping") != "PONG":
            time.sleep(POLL_SECONDS)

    def ask(self, *words):
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    @property
    def hits(self):
        return int(re.search(r"keyspace_hits:(\d+)", self.ask("info", "stats") or "keyspace_hits:0")[1])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def answer_garbage(self):
        self.kill()
        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self.garbage = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Garbage)
        self.garbage.daemon_threads = True
        threading.Thread(target=self.garbage.serve_forever, daemon=True).start()

    def end(self):
        self.kill()
        if self.garbage:
            self.garbage.shutdown()
            self.garbage.server_close()


@pytest.fixture(scope="module")
def source():
    """Return the archive of CPython's source, out of the user's own cache."""
    layout, settings = Layout(root=default_root()), Settings()
    tree = obtain_source(settings, layout=layout, console=make_console(quiet=True))
    return next(layout.downloads.glob(f"{tree.record.sha256}-*"), tree.path)


class Machine:
    """A machine of its own: empty folders, one compiler cache on PATH."""

    def __init__(self, root, program, source):
        (root / "bin").mkdir(parents=True)
        found = shutil.which(program, path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
        (root / "bin" / program).symlink_to(found or pytest.skip(f"{program} is not installed"))
        self.root = root
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CCACHE_", "SCCACHE_"))}
        self.env = {**kept, "HOME": str(root), "PATH": f"{root / 'bin'}:{os.environ['PATH']}"}
        options = ["--cache", str(root / "cache"), "--source", str(source), "--compiler-cache", program]
        self.command = [sys.executable, "-m", "python_tsan", "build", *options]

    def build(self, url, meanwhile=None):
        """Build CPython; return the output and the seconds. ``meanwhile`` is called again and again until true."""
        started = time.monotonic()
        with (self.root / "said").open("w+") as said:
            command = [*self.command, "--compiler-cache-remote", url]
            running = subprocess.Popen(command, env=self.env, stdout=said, stderr=subprocess.STDOUT, cwd=self.root)
            while running.poll() is None:
                if meanwhile and meanwhile():
                    meanwhile = None
                time.sleep(POLL_SECONDS)
        text = (self.root / "said").read_text()
        assert running.returncode == 0, text
        assert meanwhile is None, "the build ended before half of the objects were asked for"
        return text, time.monotonic() - started

    def works(self):
        """Return whether what was built does what an interpreter does, and is instrumented."""
        (manifest,) = (self.root / "cache" / "interpreters").glob("*/manifest.json")
        python = json.loads(manifest.read_text())["executable"]
        code = "import ctypes, ssl, threading; ctypes.CDLL(None).__tsan_read1; print(sum(range(10)))"
        env = {**self.env, "TSAN_OPTIONS": BUILD_TSAN_OPTIONS}
        ended = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, check=False)
        return ended.stdout.strip() == "45"


@pytest.fixture(scope="module", params=["ccache", "sccache"])
def filled(request, source, tmp_path_factory):
    """Let a first machine build and fill a server; return the program, what the server holds, and the seconds."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    root = tmp_path_factory.mktemp(request.param)
    redis = Redis(root / "redis")
    _, seconds = Machine(root / "first", request.param, source).build(redis.url)
    redis.ask("save")
    redis.end()
    return request.param, root / "redis" / DUMP, seconds


@pytest.mark.parametrize("failure", ["kill", "answer_garbage"])
def test_a_server_that_fails_half_way_costs_time_only(filled, failure, source, tmp_path, request):
    program, dump, alone = filled
    redis = Redis(tmp_path / "redis", dump)
    half = int(redis.ask("dbsize")) // 2
    second = Machine(tmp_path / "second", program, source)

    def fail():
        reached = redis.hits >= half
        if reached:
            getattr(redis, failure)()
        return reached

    text, seconds = second.build(redis.url, fail)
    redis.end()
    counts = FOUND.search(text)
    told = f"{counts[1]} objects found, {counts[2]} not" if counts else f"half of {2 * half} answers given"
    line = f"{program}, {failure}: {told}, {seconds:.0f} s; {alone:.0f} s without any"
    request.config.get_terminal_writer().line(f"\n{line}")
    # sccache's counts go with its server.
    assert (counts is None) if program == "sccache" else (int(counts[1]) > 0 and int(counts[2]) > 0)
    assert len([line for line in text.splitlines() if "failed during the build" in line]) == 1
    assert second.works()
