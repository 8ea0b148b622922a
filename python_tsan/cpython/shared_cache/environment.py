"""Own what ccache and sccache are told to make them use a shared cache. Pure."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import assert_never

from python_tsan.cpython.shared_cache.address import CCACHE, PAGE, Backend, Remote
from python_tsan.errors import UsageError

# An answer over a network takes a few milliseconds; ccache's own limit is 10 s, for each of thousands of objects.
_LIMITS = "|connect-timeout=500|operation-timeout=1000"
_S3_OPTIONS = frozenset({"region", "endpoint"})


def remote_environment(program: str, remote: Remote, folder: Path) -> dict[str, str]:
    """Return what makes ``program`` use ``remote``, for the builds whose own cache is in ``folder``."""
    if program == CCACHE:
        return {"CCACHE_REMOTE_STORAGE": remote.url + _LIMITS}
    # A server that runs already has settings of its own. A socket's path must be short, so it cannot be in the cache.
    name = hashlib.sha256(f"{folder} {remote.url}".encode()).hexdigest()[:12]
    socket = Path(tempfile.gettempdir()) / f"python-tsan-sccache-{name}"
    return {**_sccache_backend(remote), "SCCACHE_SERVER_UDS": str(socket), "SCCACHE_IGNORE_SERVER_IO_ERROR": "1"}


def _sccache_backend(remote: Remote) -> dict[str, str]:
    parts = remote.parts
    match remote.backend:
        case Backend.REDIS:
            found = {"SCCACHE_REDIS_ENDPOINT": remote.shown, "SCCACHE_REDIS_USERNAME": parts.username or ""}
            found["SCCACHE_REDIS_PASSWORD"] = parts.password or ""
            return {name: value for name, value in found.items() if value}
        case Backend.S3:
            found = {"SCCACHE_BUCKET": parts.netloc, "SCCACHE_S3_KEY_PREFIX": parts.path.strip("/")}
            found |= {f"SCCACHE_{name.upper()}": told for name, told in remote.options.items() if name in _S3_OPTIONS}
            return {name: value for name, value in found.items() if value}
        case Backend.GITHUB:
            return {"SCCACHE_GHA_ENABLED": "true"}
        case Backend.HTTP:
            raise UsageError("sccache cannot use a plain HTTP server", advice="use ccache with it", page=PAGE)
        case _:
            assert_never(remote.backend)
