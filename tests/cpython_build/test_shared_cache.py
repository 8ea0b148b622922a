"""A compiler cache that machines share: real caches, a real server, and servers that misbehave."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sysconfig
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from fake_build import make_toolchain, settings_for

from python_tsan.cpython.compiler_cache import choose
from python_tsan.cpython.compiler_cache.choose import choose_cache, reported
from python_tsan.cpython.compiler_cache.remote import (
    Backend,
    failed_mark,
    guarded_sccache,
    parse_remote,
    remote_environment,
)
from python_tsan.cpython.compiler_cache.tally import tally
from python_tsan.cpython.tools import find_uv
from python_tsan.errors import UsageError
from python_tsan.paths import Layout
from python_tsan.toolchain.model import Candidate, Family

SCRIPTS = Path(sysconfig.get_path("scripts"))
COMPILER = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")


def program(name):
    """Return a real program: the one next to this Python, else the machine's."""
    found = shutil.which(name, path=str(SCRIPTS)) or shutil.which(name)
    return found or pytest.skip(f"{name} is not installed")


class Machine:
    """A machine of its own: a cache folder, a console, one compiler and one compiler cache."""

    def __init__(self, root, name, console):
        self.root, self.console = root, console
        (root / "bin").mkdir(parents=True)
        (root / "bin" / name).symlink_to(program(name))
        self.layout = Layout(root=root / "cache")
        self.kind = name
        candidate = Candidate(
            family=Family.GCC, cc=Path(COMPILER), cxx=None, version="12.2.0", target="x86_64-linux-gnu"
        )
        self.toolchain = make_toolchain(candidate=candidate)
        self.base = {**os.environ, "PATH": f"{root / 'bin'}:{os.environ['PATH']}", "HOME": str(root)}

    def choose(self, url):
        settings = settings_for(self.root, compiler_cache=self.kind, compiler_cache_remote=url)
        return choose_cache(settings, toolchain=self.toolchain, layout=self.layout, env=self.base, console=self.console)

    def compile(self, cache, text="int answer(void) { return 42; }"):
        source = self.root / "x.c"
        source.write_text(f"#include <stddef.h>\n{text}\n")
        os.utime(source, (1, 1))
        (self.root / "x.o").unlink(missing_ok=True)
        env = {**self.base, **cache.env}
        command = [cache.path, COMPILER, "-MD", "-c", "x.c", "-o", "x.o"]
        subprocess.run(command, cwd=self.root, env=env, check=True)
        assert (self.root / "x.o").stat().st_size > 0

    def stop(self, cache):
        """End sccache's own server, if this is sccache's."""
        if self.kind == "sccache" and cache:
            env = {**self.base, **cache.env}
            subprocess.run([cache.path, "--stop-server"], env=env, capture_output=True, check=False)


@pytest.fixture
def machine(tmp_path, console):
    if COMPILER is None:
        pytest.skip("there is no compiler")
    return lambda name, kind: Machine(tmp_path / name, kind, console)


@pytest.mark.parametrize("kind", ["ccache", "sccache"])
def test_a_second_empty_machine_finds_what_the_first_compiled(machine, redis, console, kind):
    url, _ = redis
    first, second = machine("first", kind), machine("second", kind)
    one = first.choose(url)
    assert one.remote is not None
    with reported(one, first.base, console):
        first.compile(one)
    assert f"{url}: 0 objects found, 1 not there yet" in console.notes
    other = second.choose(url)
    with reported(other, second.base, console):
        second.compile(other)
    first.stop(one)
    second.stop(other)
    assert f"{url}: 1 object found, 0 not there yet" in console.notes
    assert "failed" not in console.notes


class Objects(BaseHTTPRequestHandler):
    """A web server that keeps what is put there."""

    protocol_version = "HTTP/1.1"
    kept: ClassVar[dict[str, bytes]] = {}

    def _answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self):
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201)

    def do_GET(self):
        self._answer(200 if self.path in self.kept else 404, self.kept.get(self.path, b""))

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setattr(Objects, "kept", {})
    with ThreadingHTTPServer(("127.0.0.1", 0), Objects) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/objects"
        server.shutdown()


def test_a_second_machine_finds_it_on_a_web_server(machine, web, console):
    for name in ("first", "second"):
        here = machine(name, "ccache")
        cache = here.choose(web)
        assert cache.remote is not None, console.notes
        with reported(cache, here.base, console):
            here.compile(cache)
    assert f"{web}: 0 objects found, 1 not there yet" in console.notes
    assert f"{web}: 1 object found, 0 not there yet" in console.notes
    assert Objects.kept
    assert all(path.startswith("/objects/") for path in Objects.kept)


@pytest.fixture
def s3(tmp_path, monkeypatch):
    """Start a server that speaks S3, with one empty bucket; the value is that bucket's address, and the server's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "anything")
    server = [find_uv(), "tool", "run", "--quiet", "--from", "moto[server,s3]", "moto_server", "--port", str(port)]
    bucket = urllib.request.Request(f"http://127.0.0.1:{port}/objects", method="PUT")
    with (tmp_path / "s3.log").open("w") as log, subprocess.Popen(server, stdout=log, stderr=log) as process:
        for _ in range(1200):
            with contextlib.suppress(OSError), urllib.request.urlopen(bucket, timeout=5):  # noqa: S310 -- loopback
                break
            time.sleep(0.1)
        yield f"s3://objects/some/prefix?region=us-east-1&endpoint=http://127.0.0.1:{port}", port
        process.terminate()


@pytest.mark.network
def test_a_second_machine_finds_it_in_s3(machine, s3, console):
    url, port = s3
    first, second = machine("first", "sccache"), machine("second", "sccache")
    for here in (first, second):
        cache = here.choose(url)
        assert cache.remote is not None, console.notes
        with reported(cache, here.base, console):
            here.compile(cache)
        here.stop(cache)
    assert f"{cache.remote.shown}: 0 objects found, 1 not there yet" in console.notes
    assert f"{cache.remote.shown}: 1 object found, 0 not there yet" in console.notes
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/objects?list-type=2", timeout=5) as listing:
        keys = re.findall(r"<Key>(.*?)</Key>", listing.read().decode())
    assert len(keys) >= 2
    assert all(key.startswith("some/prefix/") for key in keys)


def test_a_server_that_dies_half_way_never_ends_the_build(machine, redis, console):
    url, process = redis
    here = machine("here", "ccache")
    cache = here.choose(url)
    with reported(cache, here.base, console):
        here.compile(cache, "int one;")
        process.kill()
        process.wait()
        here.compile(cache, "int two;")
        here.compile(cache, "int three;")
    assert f"{url} failed during the build; missing objects were compiled here" in console.notes


@pytest.mark.parametrize(
    ("behaviour", "patience", "tried"),
    [("exit 2", 45, 1), ('sleep 2.2; exec "$@"', 2, 1), ('exec "$@"', 45, 3)],
    ids=["fails", "hangs", "serves"],
)
def test_sccache_is_tried_as_long_as_it_serves(tmp_path, behaviour, patience, tried):
    fake = tmp_path / "sccache"
    fake.write_text(f"#!/bin/sh\necho tried >>{tmp_path}/tries\n{behaviour}\n")
    fake.chmod(0o755)
    script = guarded_sccache(fake, tmp_path / "guarded", compiler_seconds=patience)
    for number in range(3):
        subprocess.run([script, "touch", tmp_path / f"object {number}"], check=True)
        assert (tmp_path / f"object {number}").exists()
    assert len((tmp_path / "tries").read_text().split()) == tried
    assert failed_mark(script).exists() is (tried == 1)
    assert subprocess.run([script, "false"], check=False).returncode == 1  # a compiler's own failure stays one


class Garbage(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while self.request.recv(4096):
                self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n\x00\xffnot a cache\r\n")


class Silent(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while self.request.recv(4096):
                pass


@pytest.fixture(params=[Garbage, Silent, None], ids=["garbage", "silence", "nobody"])
def misbehaving(request):
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), request.param or Silent)
    server.daemon_threads = True
    url = f"redis://127.0.0.1:{server.server_address[1]}"
    if request.param is None:
        server.server_close()
        yield url
        return
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield url
    server.shutdown()
    server.server_close()


def test_a_wrong_server_is_reported_and_left_out(machine, misbehaving, console):
    here = machine("here", "ccache")
    cache = here.choose(misbehaving)
    assert cache.remote is None
    assert "CCACHE_REMOTE_STORAGE" not in cache.env
    assert f"{misbehaving} does not work as compiler cache: it cannot be reached, or does not" in console.notes
    assert "building without it" in console.notes
    here.compile(cache)


def test_sccache_without_its_server_is_left_out_too(machine, console):
    here = machine("here", "sccache")
    cache = here.choose("redis://127.0.0.1:1")
    assert cache.remote is None
    assert "redis://127.0.0.1:1 does not work as compiler cache: sccache: error: " in console.notes


def test_a_cache_program_that_takes_no_notice_is_found_out(machine, console, tmp_path, redis):
    here = machine("here", "ccache")
    old = tmp_path / "here" / "bin" / "ccache"
    real = old.readlink()
    old.unlink()
    old.write_text(f'#!/bin/sh\nunset CCACHE_REMOTE_STORAGE\nexec {real} "$@"\n')
    old.chmod(0o755)
    assert here.choose(redis[0]).remote is None
    assert "4.7 is the oldest ccache that does" in console.notes


@pytest.mark.parametrize(
    ("text", "backend"),
    [
        ("redis://cache.example:6379", Backend.REDIS),
        ("http://cache.example/objects", Backend.HTTP),
        ("s3://bucket/prefix?region=eu", Backend.S3),
        ("github", Backend.GITHUB),
    ],
)
def test_addresses(text, backend):
    assert parse_remote(text).backend is backend


@pytest.mark.parametrize("text", ["ftp://x", "redis://", "redis", "/tmp/cache", "redis://a|b", "redis://a b", "gopher"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match="is not the address of a shared cache"):
        parse_remote(text)


def test_a_password_is_never_shown():
    assert parse_remote("redis://me:secret@cache.example:1").shown == "redis://cache.example:1"
    with pytest.raises(UsageError) as caught:
        parse_remote("gopher://me:secret@cache.example")
    assert "secret" not in caught.value.message


def test_the_environment_of_each_program(tmp_path):
    redis = parse_remote("redis://me:secret@cache.example:1")
    assert remote_environment("ccache", redis, tmp_path)["CCACHE_REMOTE_STORAGE"].startswith(f"{redis.url}|")
    told = remote_environment("sccache", redis, tmp_path)
    assert (told["SCCACHE_REDIS_ENDPOINT"], told["SCCACHE_REDIS_PASSWORD"]) == ("redis://cache.example:1", "secret")
    assert len(told["SCCACHE_SERVER_UDS"]) < 108
    s3 = remote_environment("sccache", parse_remote("s3://bucket/some/prefix?region=eu&endpoint=e.example"), tmp_path)
    assert s3 == {
        **{name: value for name, value in s3.items() if name.startswith(("SCCACHE_SERVER", "SCCACHE_IGNORE"))},
        "SCCACHE_BUCKET": "bucket",
        "SCCACHE_S3_KEY_PREFIX": "some/prefix",
        "SCCACHE_REGION": "eu",
        "SCCACHE_ENDPOINT": "e.example",
    }
    assert remote_environment("sccache", parse_remote("github"), tmp_path)["SCCACHE_GHA_ENABLED"] == "true"


def test_the_program_follows_from_the_address(tmp_path, console, monkeypatch):
    monkeypatch.setattr(choose, "refusal", lambda *_arguments: "")
    for name in ("ccache", "sccache"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)

    def chosen(remote, kind="auto"):
        settings = settings_for(tmp_path, compiler_cache=kind, compiler_cache_remote=remote)
        layout = Layout(root=tmp_path / "cache")
        env = {"PATH": str(tmp_path)}
        found = choose_cache(settings, toolchain=make_toolchain(), layout=layout, env=env, console=console)
        return found and found.name

    assert chosen("redis://x") == "ccache"
    assert chosen("s3://x") == "sccache"
    assert chosen("redis://x", "sccache") == "sccache"
    assert chosen("redis://x", "off") is None
    assert "redis://x is not used" in console.notes
    with pytest.raises(UsageError, match="ccache cannot use s3://x"):
        chosen("s3://x", "ccache")


def test_nothing_is_reported_without_a_shared_cache(console):
    with reported(None, {}, console), reported(choose.CacheProgram(path=Path("ccache")), {}, console):
        pass
    assert console.notes == ""


def test_what_an_sccache_found_that_is_passed_by_is_not_reported(tmp_path, console):
    silent = tmp_path / "sccache"
    silent.write_text("#!/bin/sh\nexit 2\n")
    silent.chmod(0o755)
    remote = parse_remote("redis://cache.example")
    script = guarded_sccache(silent, tmp_path / "guarded")
    with reported(choose.CacheProgram(path=script, remote=remote), dict(os.environ), console):
        subprocess.run([script, "true"], check=True)
    assert "redis://cache.example failed during the build" in console.notes
    assert "objects found" not in console.notes


def test_a_count_that_is_unavailable_is_zero(tmp_path):
    silent = tmp_path / "sccache"
    silent.write_text("#!/bin/sh\nexit 2\n")
    silent.chmod(0o755)
    assert tally(silent, {}) == {}
