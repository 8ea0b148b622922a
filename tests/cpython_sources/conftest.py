"""What the tests of the sources share: a cache, settings that reach nothing, pins, and a server under their control."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from python_tsan.config import load_settings
from python_tsan.console import Console
from python_tsan.cpython.sources import local_source, search
from python_tsan.paths import Layout


@pytest.fixture
def layout(tmp_path):
    return Layout(root=tmp_path / "cache")


@pytest.fixture
def console():
    """Give a console whose output can be read as ``console.text()``."""
    out, err = io.StringIO(), io.StringIO()
    made = Console(out=out, err=err, env={})
    made.text = lambda: out.getvalue() + err.getvalue()
    return made


@pytest.fixture
def settings(tmp_path):
    """Return settings that reach nothing but what a test gives them."""

    def make(**values):
        nowhere = {
            "cache": tmp_path / "cache",
            "python_org": "http://127.0.0.1:9/ftp",
            "git": str(tmp_path / "no-such-repository"),
            "network_timeout": 2.0,
        }
        return load_settings(nowhere | values, env={}, cwd=tmp_path)

    return make


@pytest.fixture
def pin(monkeypatch):
    """Replace the table of pins."""

    def install(*releases):
        table = {release.version: release for release in releases}
        monkeypatch.setattr(search, "load_releases", lambda: table)
        monkeypatch.setattr(local_source, "load_releases", lambda: table)

    return install


@pytest.fixture(autouse=True)
def no_distribution(monkeypatch, request):
    """Keep tests away from the machine's mirror unless they ask for it."""
    if "network" not in request.keywords:
        monkeypatch.setattr("python_tsan.cpython.sources.distribution.distribution_family", lambda: "")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
        else:
            answer(self)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """Give ``answers`` (path to a function of the handler), ``requests`` and ``url`` of a server on this machine."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.answers, httpd.requests, httpd.release = {}, [], threading.Event()
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield SimpleNamespace(
        answers=httpd.answers,
        requests=httpd.requests,
        release=httpd.release,
        url=f"http://127.0.0.1:{httpd.server_port}",
    )
    httpd.release.set()
    httpd.shutdown()
    httpd.server_close()
    thread.join()
