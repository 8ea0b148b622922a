"""What configure found out, carried from one machine to another: packing, real servers, servers that misbehave."""

from __future__ import annotations

import contextlib
import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fake_build
import pytest

from python_tsan.cpython.build import configured_elsewhere
from python_tsan.cpython.build import interpreter as build
from python_tsan.cpython.build.configured_elsewhere import pack, unpack
from python_tsan.cpython.compiler_cache.choose import CacheProgram
from python_tsan.cpython.compiler_cache.remote import parse_remote
from python_tsan.cpython.compiler_cache.remote_store import RemoteStoreError, remote_store_of

HERE = {b"@build@": b"/here/build", b"@final@": b"/here/final"}
THERE = {b"@build@": b"/somewhere/else/build", b"@final@": b"/x"}


@pytest.fixture
def configured_folder(tmp_path):
    folder = tmp_path / "build"
    (folder / "Modules" / "empty").mkdir(parents=True)
    texts = {
        "Makefile": "prefix=/here/final\nback=../../x\n",
        "Modules/config.c": "int x;\n",
        "config.log": "/here/build",
    }
    for age, (name, text) in enumerate(texts.items()):
        (folder / name).write_text(text)
        os.utime(folder / name, ns=(10**18, 10**18 + age * 10**6))
    (folder / "config.status").write_bytes(b"cd /here/build\n\xff")
    (folder / "config.status").chmod(0o755)
    return folder


def test_a_folder_is_the_same_elsewhere_but_for_its_own_places(configured_folder, tmp_path):
    unpack(pack(configured_folder, HERE), tmp_path / "other", THERE)
    other = tmp_path / "other"
    assert (other / "Makefile").read_text() == "prefix=/x\nback=../../x\n"
    assert (other / "config.status").read_bytes() == b"cd /somewhere/else/build\n\xff"
    assert os.access(other / "config.status", os.X_OK)
    assert (other / "Modules" / "empty").is_dir()
    assert not (other / "config.log").exists()
    # Which file is newer decides what make does.
    assert (other / "Makefile").stat().st_mtime_ns < (other / "Modules" / "config.c").stat().st_mtime_ns


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: data[:40] + b"?" + data[41:], lambda _: b"<html>busy</html>", lambda _: b""],
)
def test_bytes_that_are_not_whole_leave_nothing(configured_folder, tmp_path, damage):
    with pytest.raises(ValueError, match="not what was kept"):
        unpack(damage(pack(configured_folder, HERE)), tmp_path / "other", THERE)
    assert [path.name for path in tmp_path.iterdir()] == ["build"]


def test_a_member_that_would_leave_the_folder_is_refused(tmp_path, configured_folder):
    (configured_folder / "out").symlink_to("../../etc")
    with pytest.raises(ValueError, match="outside the folder"):
        unpack(pack(configured_folder, HERE), tmp_path / "other", THERE)
    assert not (tmp_path / "other").exists()


def test_a_folder_that_configure_never_makes_is_not_kept(configured_folder, monkeypatch):
    monkeypatch.setattr(configured_elsewhere, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="bytes"):
        pack(configured_folder, HERE)


class Files(BaseHTTPRequestHandler):
    """A web server that keeps what is put there, for one user."""

    def do_GET(self):
        kept = self.server.kept.get(self.path)
        self.send_response(404 if kept is None else 200)
        self.end_headers()
        self.wfile.write(kept or b"")

    def do_PUT(self):
        self.server.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.said.append(self.headers.get("Authorization"))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def serving(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def web():
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Files)) as server:
        server.kept, server.said = {}, []
        yield server


class Talks(socketserver.BaseRequestHandler):
    """A server of another kind."""

    def handle(self):
        self.request.recv(100)
        self.request.sendall(b"220 welcome\r\n")


@pytest.fixture(params=["redis", "http"])
def store(request):
    """Return a place for files at a real server of each kind."""
    if request.param == "redis":
        url, _ = request.getfixturevalue("redis")
        return remote_store_of(parse_remote(url))
    server = request.getfixturevalue("web")
    return remote_store_of(parse_remote(f"http://me:p%40ss@127.0.0.1:{server.server_port}/cache/"))


def test_a_real_server_gives_back_what_was_put_there(store):
    assert store.get("name") is None
    store.put("name", bytes(range(256)) * 1000)
    assert store.get("name") == bytes(range(256)) * 1000
    store.put("name", b"again")
    assert store.get("name") == b"again"


def test_user_and_password_go_into_a_header(web):
    remote_store_of(parse_remote(f"http://me:p%40ss@127.0.0.1:{web.server_port}/cache/")).put("n", b"x")
    assert web.said == ["Basic bWU6cEBzcw=="]
    assert list(web.kept) == ["/cache/n"]


@pytest.mark.parametrize("scheme", ["redis", "http"])
def test_no_server_and_another_kind_of_server_are_one_error(scheme):
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talks)) as server:
        gone = server.server_address[1]
        with pytest.raises(RemoteStoreError):
            remote_store_of(parse_remote(f"{scheme}://127.0.0.1:{gone}/0")).get("name")
    with pytest.raises(RemoteStoreError):
        remote_store_of(parse_remote(f"{scheme}://127.0.0.1:{gone}/0")).put("name", b"x")


@pytest.mark.parametrize("address", ["s3://bucket", "github"])
def test_where_only_objects_can_be_kept_there_is_no_place(address):
    assert remote_store_of(parse_remote(address)) is None


@pytest.fixture
def machine(tmp_path, monkeypatch, trace, console):
    """Build the fake tree on machines that share ``url``: each has a cache folder of its own."""
    silent = tmp_path / "ccache"
    silent.write_text("#!/bin/sh\n")
    silent.chmod(0o755)
    for name in ("obtain_source", "resolve_record", "describe_built"):
        monkeypatch.setattr(build, name, getattr(build, name))  # restored afterwards

    def run(name, url):
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        fake_build.install(root)
        cache = CacheProgram(path=silent, remote=parse_remote(url))
        monkeypatch.setattr(build, "choose_cache", lambda *_arguments, **_named: cache)
        before = trace().count("configure")
        return fake_build.run(root, console=console), trace().count("configure") - before

    return run


def test_a_machine_like_the_first_one_does_not_configure(machine, redis, console):
    url, _ = redis
    first, configured_there = machine("first", url)
    second, configured_here = machine("a-second-with-a-longer-name", url)
    assert (configured_there, configured_here) == (1, 0)
    assert first.prefix != second.prefix
    assert (second.prefix / "bin" / "python3.13").is_file()  # installed to the prefix that its own Makefile names
    assert f"{url}: using the result of configure from a machine like this one" in console.notes


def test_another_place_of_a_tool_makes_another_machine(machine, redis, monkeypatch, tmp_path):
    url, _ = redis
    machine("first", url)
    (tmp_path / "pkg-config").write_text("#!/bin/sh\n")
    (tmp_path / "pkg-config").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert machine("second", url)[1] == 1


def test_what_is_damaged_there_is_reported_configured_and_replaced(machine, web, console):
    url = f"http://127.0.0.1:{web.server_port}"
    machine("first", url)
    (path,) = web.kept
    web.kept[path] = b"garbage"
    assert machine("second", url)[1] == 1
    assert "did not provide the result of configure: 7 bytes that are not what was kept" in console.notes
    assert machine("third", url)[1] == 0


def test_without_a_server_the_build_goes_on(machine, redis, console):
    url, server = redis
    server.kill()
    server.wait()
    built, configured_here = machine("first", url)
    assert Path(built.prefix).is_dir()
    assert configured_here == 1
    assert console.notes.count("the result of configure") == 2
