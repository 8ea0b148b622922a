"""Describe a compiler cache that machines share: its address, the settings of ccache and sccache, and a safeguard."""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import assert_never
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from python_tsan.cpython.urls import shown_url, split_url
from python_tsan.errors import UsageError

CCACHE, SCCACHE = "ccache", "sccache"
PAGE = "shared-cache"


class Backend(Enum):
    """Where objects can be kept, by the scheme of the address; ``github`` is the cache of GitHub Actions."""

    REDIS = "redis"
    HTTP = "http"
    S3 = "s3"
    GITHUB = "github"

    @property
    def programs(self) -> tuple[str, ...]:
        """The caches that can use it, preferred one first."""
        match self:
            case Backend.REDIS:
                return (CCACHE, SCCACHE)
            case Backend.HTTP:
                return (CCACHE,)
            case Backend.S3 | Backend.GITHUB:
                return (SCCACHE,)
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A shared cache by its address: ``redis://HOST[:PORT]``, ``http://...``, ``s3://BUCKET[/PREFIX]``, ``github``."""

    backend: Backend
    url: str

    @property
    def parts(self) -> SplitResult:
        """The parts of the address."""
        return urlsplit(self.url)

    @property
    def shown(self) -> str:
        """The address without what may be secret."""
        return shown_url(self.url)


def parse_remote(text: str) -> Remote:
    """Return the shared cache that a setting names. Raises ``UsageError`` for an address that no cache supports."""
    parts = split_url(text) or SplitResult("", "", "", "", "")
    known = {backend.value: backend for backend in Backend}
    backend = known.get(parts.scheme or text)
    if backend is None or (backend is not Backend.GITHUB and not parts.netloc) or "|" in text or " " in text:
        raise UsageError(
            f"compiler-cache-remote: {shown_url(text)!r} is not the address of a shared cache",
            advice="give redis://HOST[:PORT], http://HOST/PATH, s3://BUCKET[/PREFIX][?region=R&endpoint=E] or github",
            page=PAGE,
        )
    return Remote(backend=backend, url=text)


# An answer over a network takes a few milliseconds; ccache's own limit is 10 s, for each of thousands of objects.
_LIMITS = "|connect-timeout=500|operation-timeout=1000"
_S3_OPTIONS = frozenset({"region", "endpoint"})


def remote_environment(program: str, remote: Remote, folder: Path) -> dict[str, str]:
    """Return what makes ``program`` use ``remote``, for the builds whose own cache is in ``folder``."""
    if program == CCACHE:
        return {"CCACHE_REMOTE_STORAGE": remote.url + _LIMITS}
    # A running server keeps its own settings. A socket's path must be short, so it cannot be in the cache.
    name = hashlib.sha256(f"{folder} {remote.url}".encode()).hexdigest()[:12]
    socket = Path(tempfile.gettempdir()) / f"python-tsan-sccache-{name}"
    return {**_sccache_backend(remote), "SCCACHE_SERVER_UDS": str(socket), "SCCACHE_IGNORE_SERVER_IO_ERROR": "1"}


def _sccache_backend(remote: Remote) -> dict[str, str]:
    parts = remote.parts
    match remote.backend:
        case Backend.REDIS:
            host = parts.netloc.rpartition("@")[2]
            found = {
                "SCCACHE_REDIS_ENDPOINT": urlunsplit(parts._replace(netloc=host)),
                "SCCACHE_REDIS_USERNAME": parts.username or "",
                "SCCACHE_REDIS_PASSWORD": parts.password or "",
            }
            return {name: value for name, value in found.items() if value}
        case Backend.S3:
            found = {"SCCACHE_BUCKET": parts.netloc, "SCCACHE_S3_KEY_PREFIX": parts.path.strip("/")}
            found |= {f"SCCACHE_{name.upper()}": value for name, value in parse_qsl(parts.query) if name in _S3_OPTIONS}
            return {name: value for name, value in found.items() if value}
        case Backend.GITHUB:
            return {"SCCACHE_GHA_ENABLED": "true"}
        case Backend.HTTP:
            raise UsageError("sccache cannot use a plain HTTP server", advice="use ccache with it", page=PAGE)
        case _:
            assert_never(remote.backend)


_GUARD = """\
#!/bin/sh
if [ ! -e {mark} ]; then
  case $1 in -*) exec {program} "$@" ;; esac
  before=$(date +%s)
  if {program} "$@"; then
    [ $(($(date +%s) - before)) -lt {seconds} ] || : >{mark}
    exit 0
  fi
  : >{mark}
fi
case $1 in -*) exit 1 ;; esac
exec "$@"
"""


def guarded_sccache(program: Path, folder: Path, compiler_seconds: int = 45) -> Path:
    """Write a script into ``folder`` that compiles with ``program`` as long as that works, and return the script.

    sccache waits a minute for each object once its server has gone, and then fails: a build would take hours, or fail.
    After the first compilation that fails or takes longer than any compiler, the script calls the compiler directly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / SCCACHE
    failed_mark(script).unlink(missing_ok=True)
    script.write_text(
        _GUARD.format(
            mark=shlex.quote(str(failed_mark(script))), program=shlex.quote(str(program)), seconds=compiler_seconds
        ),
        encoding="utf-8",
    )
    script.chmod(0o755)
    return script


def failed_mark(script: Path) -> Path:
    """Return the file that a guarded sccache leaves when it no longer works."""
    return script.with_name("failed")
