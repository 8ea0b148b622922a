"""Downloads: what comes over HTTP, what does not, and what must not be kept."""

import errno
import socket
import time
import urllib.request
from dataclasses import replace

import pytest
from lookalikes import make_archive, make_release, sends

from python_tsan.cpython.pins import Release
from python_tsan.cpython.sources import download as download_module
from python_tsan.cpython.sources.download import PythonOrg, download
from python_tsan.cpython.sources.provider import Unavailable
from python_tsan.cpython.urls import shown_url
from python_tsan.errors import ExitCode, FetchError

CONTENT = make_archive("3.12.11")
RELEASE = make_release("3.12.11", CONTENT)
PATH = "/ftp/3.12.11/Python-3.12.11.tar.xz"


@pytest.fixture
def python_org(server, layout, console):
    return PythonOrg(base=f"{server.url}/ftp/", timeout=2.0, layout=layout, console=console)


def test_a_good_archive_is_kept_and_unpacked(server, python_org, layout, console):
    server.answers[PATH] = sends(CONTENT)
    tree = python_org.provide(RELEASE)
    digest = RELEASE.archives[0].sha256
    assert tree.path == layout.sources / digest
    assert (tree.path / "Lib" / "os.py").is_file()
    assert tree.record.origin == server.url + PATH
    assert tree.record.sha256 == digest
    assert (layout.downloads / f"{digest}-Python-3.12.11.tar.xz").read_bytes() == CONTENT
    assert list(layout.work.iterdir()) == []
    assert "download Python-3.12.11.tar.xz" in console.text()


def test_a_missing_archive_leaves_the_server_in_use(python_org):
    with pytest.raises(Unavailable, match="answered 404") as caught:
        python_org.provide(RELEASE)
    assert not caught.value.whole


def test_a_broken_server_is_not_asked_again(server, python_org):
    server.answers[PATH] = sends(b"busy", status=503)
    with pytest.raises(Unavailable, match="answered 503") as caught:
        python_org.provide(RELEASE)
    assert caught.value.whole


def test_a_truncated_archive_is_put_aside(server, python_org, layout):
    server.answers[PATH] = sends(CONTENT[:200], length=len(CONTENT))
    with pytest.raises(Unavailable, match=f"truncated: 200 of {len(CONTENT)} bytes") as caught:
        python_org.provide(RELEASE)
    assert caught.value.evidence.parent == layout.quarantine
    assert caught.value.evidence.read_bytes() == CONTENT[:200]
    assert not layout.downloads.exists()
    assert not layout.sources.exists()


def test_without_a_pinned_size_the_announced_one_shows_a_truncation(server, layout, console):
    unsized = Release(version="3.12.11", archives=(replace(RELEASE.archives[0], size=None),))
    server.answers[PATH] = sends(CONTENT[:100], length=len(CONTENT))
    supply = PythonOrg(base=f"{server.url}/ftp", timeout=2.0, layout=layout, console=console)
    with pytest.raises(Unavailable, match="truncated: 100 of"):
        supply.provide(unsized)


def test_another_content_is_put_aside_with_both_hashes(server, python_org, layout):
    other = make_archive("3.12.12") + b"\0" * 500
    server.answers[PATH] = sends(other)
    with pytest.raises(Unavailable, match="different from what is pinned") as caught:
        python_org.provide(RELEASE)
    assert RELEASE.archives[0].sha256 in caught.value.reason
    assert caught.value.evidence.read_bytes() == other
    assert not layout.downloads.exists()


def test_a_server_that_never_answers_costs_a_quarter_of_the_limit(layout, console):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base = f"http://127.0.0.1:{silent.getsockname()[1]}"
        supply = PythonOrg(base=base, timeout=4.0, layout=layout, console=console)
        started = time.monotonic()
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1") as caught:
            supply.provide(RELEASE)
    assert caught.value.whole
    assert time.monotonic() - started < 4


def test_a_server_may_pause_longer_after_its_first_answer(server, tmp_path, console):
    def answer(handler):
        sends(b"a", length=2)(handler)
        handler.wfile.flush()
        time.sleep(0.6)
        handler.wfile.write(b"b")

    server.answers["/slow"] = answer
    with console.steps(["x"]) as progress:
        assert download(f"{server.url}/slow", tmp_path / "slow", timeout=1.6, progress=progress) == 2
    assert (tmp_path / "slow").read_bytes() == b"ab"


def test_a_server_that_stops_sending_is_given_up(server, tmp_path, console):
    def answer(handler):
        sends(b"a", length=2)(handler)
        handler.wfile.flush()
        server.release.wait(10)

    server.answers["/stall"] = answer
    started = time.monotonic()
    with console.steps(["x"]) as progress, pytest.raises(Unavailable, match="stopped sending") as caught:
        download(f"{server.url}/stall", tmp_path / "stall", timeout=0.4, progress=progress)
    assert caught.value.whole
    assert time.monotonic() - started < 9


def test_a_trickle_is_given_up(server, tmp_path, console):
    def answer(handler):
        sends(b"", length=10_000)(handler)
        for _ in range(200):
            if server.release.wait(0.05):
                return
            try:
                handler.wfile.write(b"x")
            except OSError:
                return

    server.answers["/trickle"] = answer
    with console.steps(["x"]) as progress, pytest.raises(Unavailable, match="too slow"):
        download(f"{server.url}/trickle", tmp_path / "trickle", timeout=0.4, progress=progress)


def test_an_endless_answer_does_not_fill_the_disk(server, tmp_path, console, monkeypatch):
    monkeypatch.setattr(download_module, "_MOST_BYTES", 10_000)
    server.answers["/endless"] = sends(b"x" * 50_000, length="none")
    with console.steps(["x"]) as progress, pytest.raises(Unavailable, match="more than 10000 bytes"):
        download(f"{server.url}/endless", tmp_path / "endless", timeout=2, progress=progress)


def test_a_redirect_is_followed(server, python_org):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", "/elsewhere.tar.xz")
        handler.end_headers()

    server.answers[PATH] = answer
    server.answers["/elsewhere.tar.xz"] = sends(CONTENT)
    assert python_org.provide(RELEASE).record.version == "3.12.11"
    assert server.requests == [PATH, "/elsewhere.tar.xz"]


def test_no_redirect_leads_from_https_to_plain_http():
    request = urllib.request.Request("https://www.python.org/x")
    redirects = download_module._SafeRedirects()
    with pytest.raises(Unavailable, match="not https"):
        redirects.redirect_request(request, None, 302, "Found", {}, "http://mirror.invalid/x")
    kept = redirects.redirect_request(request, None, 302, "Found", {}, "http://127.0.0.1/x")
    assert kept.full_url == "http://127.0.0.1/x"
    kept = redirects.redirect_request(request, None, 302, "Found", {}, "https://mirror.invalid/x")
    assert kept.full_url == "https://mirror.invalid/x"


def test_a_release_without_an_archive_is_left_to_git(python_org, server):
    with pytest.raises(Unavailable, match=r"no archive of 3\.14\.7 is pinned") as caught:
        python_org.provide(Release(version="3.14.7", archives=()))
    assert not caught.value.whole
    assert server.requests == []


@pytest.mark.parametrize("target", ["ftp://mirror.invalid/x", "file:///etc/passwd", "data:,x", "http://[::1"])
def test_a_redirect_leads_to_the_web_only(target):
    request = urllib.request.Request("http://www.python.org/x?token=secret")
    with pytest.raises(Unavailable, match="not http or https") as caught:
        download_module._SafeRedirects().redirect_request(request, None, 302, "Found", {}, target)
    assert "secret" not in caught.value.reason


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@host:81/a/b?token=secret#part", "https://host:81/a/b?..."),
        ("http://host/a", "http://host/a"),
        ("http://u:p@[::1", "[::1"),
        ("s3://bucket/x?region=r", "s3://bucket/x?..."),
    ],
)
def test_an_address_is_shown_without_secrets(url, shown):
    assert shown_url(url) == shown


def test_a_refused_address_does_not_show_its_token(server, layout, console):
    supply = PythonOrg(base=f"{server.url}/?token=secret", timeout=2, layout=layout, console=console)
    with pytest.raises(Unavailable) as caught:
        supply.provide(RELEASE)
    assert "secret" not in caught.value.reason


def test_a_server_that_disappears_is_whole_and_named(layout, console):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    supply = PythonOrg(base=f"http://127.0.0.1:{port}", timeout=2, layout=layout, console=console)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 cannot be reached") as caught:
        supply.provide(RELEASE)
    assert caught.value.whole


def test_a_closed_connection_without_an_answer(server, python_org):
    server.answers[PATH] = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
        python_org.provide(RELEASE)


@pytest.mark.parametrize("base", ["file:///etc", "ftp://mirror.invalid", "nonsense"])
def test_other_schemes_are_refused(base, layout, console):
    supply = PythonOrg(base=base, timeout=2, layout=layout, console=console)
    with pytest.raises(Unavailable, match="neither http nor https"):
        supply.provide(RELEASE)


def test_proxies_of_the_environment_are_used(server, layout, console, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    server.answers["http://python.invalid/3.12.11/Python-3.12.11.tar.xz"] = sends(CONTENT)
    supply = PythonOrg(base="http://python.invalid", timeout=2, layout=layout, console=console)
    assert supply.provide(RELEASE).record.sha256 == RELEASE.archives[0].sha256


def test_a_full_disk_during_a_download_is_one_clear_error(server, python_org, layout, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    server.answers[PATH] = sends(CONTENT)
    monkeypatch.setattr("pathlib.Path.open", lambda *_args, **_kwargs: Full())
    with pytest.raises(FetchError, match="disk is full") as caught:
        python_org.provide(RELEASE)
    assert caught.value.exit_code is ExitCode.FETCH
    assert "--cache" in caught.value.advice
    assert list(layout.work.iterdir()) == []
