"""Keep a few small files in a shared compiler cache, in addition to the compiler's objects.

S3 and GitHub's cache are reached by sccache alone, so that they hold objects and nothing else.
"""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, assert_never
from urllib.parse import unquote

from python_tsan.cpython.compiler_cache.remote import Backend

if TYPE_CHECKING:
    from python_tsan.cpython.compiler_cache.remote import Remote

CONNECT_SECONDS = 0.5  # as for the objects: a server that is slower is not worth asking
ANSWER_SECONDS = 2.0
MOST_BYTES = 8 << 20


class RemoteStoreError(Exception):
    """The server cannot be reached, or its answer is not understood; the text says why."""


class RemoteStore(Protocol):
    """Where files are kept by name. Both calls raise :class:`RemoteStoreError` when the server does not serve."""

    def get(self, name: str) -> bytes | None:
        """Return what was put there, up to ``MOST_BYTES``; None if there is nothing."""

    def put(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``, in place of what was there."""


def remote_store_of(remote: Remote) -> RemoteStore | None:
    """Return the place for files in ``remote``, or None where only objects can be kept."""
    match remote.backend:
        case Backend.REDIS:
            return _Redis(url=remote.url)
        case Backend.HTTP:
            # urllib expects user and password in a header.
            user, _, host = remote.parts.netloc.rpartition("@")
            basic = f"Basic {base64.b64encode(unquote(user).encode()).decode()}"
            headers = {"Authorization": basic} if user else {}
            return _Http(url=f"http://{host}{remote.parts.path.rstrip('/')}", headers=headers)
        case Backend.S3 | Backend.GITHUB:
            return None
        case _:
            assert_never(remote.backend)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redis:
    url: str

    def get(self, name: str) -> bytes | None:
        answer = self._ask("GETRANGE", name, 0, MOST_BYTES - 1)
        return answer if isinstance(answer, bytes) and answer else None

    def put(self, name: str, data: bytes) -> None:
        self._ask("SET", name, data)

    def _ask(self, *words: bytes | str | int) -> object:
        try:
            import redis  # noqa: PLC0415 -- needed by those alone who share a cache
        except ImportError as error:
            raise RemoteStoreError("the package `redis` is not installed; python-tsan[verify] brings it") from error
        try:
            with redis.Redis.from_url(
                self.url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=ANSWER_SECONDS
            ) as client:
                answer: object = client.execute_command(*words)
        except (redis.RedisError, OSError, ValueError) as error:
            raise RemoteStoreError(str(error)) from error
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Http:
    url: str
    headers: dict[str, str]

    def get(self, name: str) -> bytes | None:
        return self._ask(name, None)

    def put(self, name: str, data: bytes) -> None:
        self._ask(name, data)

    def _ask(self, name: str, data: bytes | None) -> bytes | None:
        method = "GET" if data is None else "PUT"
        request = urllib.request.Request(  # noqa: S310 -- the address is one of http, by its scheme
            f"{self.url}/{name}", data=data, headers=self.headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 -- as above
                read: bytes = answer.read(MOST_BYTES)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == http.HTTPStatus.NOT_FOUND and data is None:
                return None
            raise RemoteStoreError(str(error)) from error
        return read
