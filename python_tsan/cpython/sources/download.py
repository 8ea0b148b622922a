"""Download files by HTTP, and the release archives of python.org; the pins check their content."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from python_tsan import __version__
from python_tsan.cpython.manifest import SourceRecord
from python_tsan.cpython.sources.provider import SourceTree, Unavailable
from python_tsan.cpython.sources.store import admit, cache_errors, scratch
from python_tsan.cpython.sources.unpack import unpack_archive
from python_tsan.cpython.urls import shown_url, split_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPMessage
    from pathlib import Path
    from typing import IO

    from python_tsan.console import Console, StepProgress
    from python_tsan.cpython.pins import Release
    from python_tsan.paths import Layout

_CHUNK = 1 << 18
# The largest archive so far has 29 MB; a sender without end must not fill the disk.
_MOST_BYTES = 200_000_000
# A first answer is due in this share of the time limit (5 s of 20 s): a server that hangs must not cost a whole limit.
_ANSWER_SHARE = 0.25
# Fewer bytes than this in a whole time limit is a stalled transfer, even when some still trickle in.
_LEAST_BYTES = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonOrg:
    """The release files of python.org, or of a mirror of them at ``base``. ``timeout`` is in seconds."""

    base: str
    timeout: float
    layout: Layout
    console: Console
    name: str = "python.org"

    def provide(self, release: Release) -> SourceTree:
        """Download, check and unpack the release's archive."""
        if not release.archives:
            raise Unavailable(f"no archive of {release.version} is pinned")
        archive = release.archives[0]
        url = f"{self.base.rstrip('/')}/{release.parsed.folder}/{archive.name}"
        with scratch(self.layout) as folder:
            partial_file = folder / archive.name
            label = f"download {archive.name}"
            with self.console.steps([label]) as progress:
                progress.start(label)
                announced = download(url, partial_file, timeout=self.timeout, progress=progress)
                progress.done()
            kept = admit(partial_file, release, origin=shown_url(url), announced=announced, layout=self.layout)
        path = unpack_archive(kept, archive.sha256, self.layout)
        return SourceTree(
            path=path, record=SourceRecord(version=release.version, origin=shown_url(url), sha256=archive.sha256)
        )


def download(url: str, target: Path, *, timeout: float, progress: StepProgress, accept: str = "*/*") -> int | None:
    """Write what ``url`` sends into ``target`` and return the size in bytes that the server announced, if it did.

    Proxies of the environment are used, and ``SSL_CERT_FILE`` is honoured (both by the standard library). The first
    answer is due in a quarter of ``timeout`` (seconds), each further piece within it. A connection that breaks off
    after the first byte is not an error here: the file is short, which its check reports. ``accept`` is the requested
    kind of answer, for servers that have several.

    Raises :class:`Unavailable` when the address cannot be used, and :class:`FetchError` when the disk cannot.
    """
    _refuse_address(url)
    headers = {"User-Agent": f"python-tsan/{__version__}", "Accept": accept}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 -- checked
    opener = urllib.request.build_opener(_SafeRedirects(), _Handler(timeout))
    with _network(url), opener.open(request, timeout=timeout * _ANSWER_SHARE) as response:
        length = response.headers.get("Content-Length", "")
        announced = int(length) if length.isdecimal() else None
        with cache_errors(target.parent):
            file = target.open("wb")
        with file:
            for total, chunk in _received(response, timeout):
                with cache_errors(target.parent):
                    file.write(chunk)
                of = f" of {announced / 1e6:.0f}" if announced else ""
                progress.advance(total / announced if announced else None, f"{total / 1e6:.0f}{of} MB")
    return announced


def resolve(base: str, reference: str) -> str:
    """Return the address that ``reference`` means on the page ``base``."""
    return urljoin(base, reference)


def _received(response: http.client.HTTPResponse, timeout: float) -> Iterator[tuple[int, bytes]]:
    """Yield each piece with the total so far; stop where the connection breaks off, stalls or exceeds all sense."""
    total, window_total, window_start = 0, 0, time.monotonic()
    while chunk := _read(response, total):
        total += len(chunk)
        yield total, chunk
        if total > _MOST_BYTES:
            raise Unavailable(f"sent more than {_MOST_BYTES} bytes")
        if time.monotonic() - window_start > timeout:
            if total - window_total < _LEAST_BYTES:
                raise Unavailable(f"too slow: {total - window_total} bytes in {timeout:g} s", whole=True)
            window_total, window_start = total, time.monotonic()


def _read(response: http.client.HTTPResponse, total: int) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (http.client.HTTPException, ConnectionError, ssl.SSLError):
        if total == 0:
            raise
        return b""


@contextmanager
def _network(url: str) -> Iterator[None]:
    """Turn what the network answers into :class:`Unavailable`."""
    host = urlsplit(url).hostname
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        phrase = error.reason or HTTPStatus(error.code).phrase
        whole = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR
        raise Unavailable(f"{shown_url(url)} answered {error.code} {phrase}", whole=whole) from error
    except urllib.error.URLError as error:
        reason = error.reason
        problem = "did not answer in time" if isinstance(reason, TimeoutError) else f"cannot be reached: {reason}"
        raise Unavailable(f"{host} {problem}", whole=True) from error
    except TimeoutError as error:
        raise Unavailable(f"{host} stopped sending", whole=True) from error
    except (http.client.HTTPException, ConnectionError, ssl.SSLError, ValueError) as error:
        raise Unavailable(f"{host} sent no usable answer: {error!r}", whole=True) from error


def _refuse_address(url: str) -> None:
    # The address is the user's setting or the default, which is https: plain http is then the user's own choice.
    parts = split_url(url)
    if parts is not None and parts.scheme not in {"http", "https"}:
        raise Unavailable(f"{shown_url(url)} is neither http nor https", whole=True)
    if parts is None or not parts.hostname:
        raise Unavailable(f"{shown_url(url)} is not a web address", whole=True)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to http and https, but never from https to plain http on another machine."""

    def redirect_request(  # noqa: PLR0917 -- the signature is urllib's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        target = split_url(newurl)
        if target is None or target.scheme not in {"http", "https"}:
            raise Unavailable(f"{shown_url(req.full_url)} redirects to {shown_url(newurl)}, which is not http or https")
        if req.type == "https" and target.scheme != "https" and not _is_loopback(newurl):
            raise Unavailable(f"{shown_url(req.full_url)} redirects to {shown_url(newurl)}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Http(http.client.HTTPConnection):
    """A connection whose answer may take less time than each piece after it."""

    def __init__(self, *args: Any, pieces: float, **kwargs: Any) -> None:  # noqa: ANN401 -- passed on as they are
        super().__init__(*args, **kwargs)
        self._pieces = pieces

    def getresponse(self) -> http.client.HTTPResponse:
        socket = self.sock  # gone from here when the server closes after its answer
        response = super().getresponse()
        socket.settimeout(self._pieces)
        return response


class _Https(_Http, http.client.HTTPSConnection):
    """As :class:`_Http`, encrypted."""


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    def __init__(self, pieces: float) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(context=self._tls)
        self._pieces = pieces

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Http, pieces=self._pieces), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Https, pieces=self._pieces, context=self._tls), req)
