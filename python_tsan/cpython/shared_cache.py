"""Own a compiler cache that machines share: its address, what ccache and sccache need to use it, and whether it serves.

Which program is used is decided by :mod:`.compiler_cache`. The programs speak to the server; nothing here does.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from python_tsan import process
from python_tsan.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

CCACHE, SCCACHE = "ccache", "sccache"
PAGE = "shared-cache"
PROBE_SECONDS = 60.0
STATS_SECONDS = 20.0
# An answer over a network takes a few milliseconds; ccache's own limit is 10 s, for each of thousands of objects.
_LIMITS = "|connect-timeout=500|operation-timeout=1000"
# It includes something, for ccache 4.7 gives a source without any include two entries of one name.
_PROBE = "#include <stddef.h>\nsize_t python_tsan_probe(size_t size) { return size; }\n"


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
    def shown(self) -> str:
        """The address without user and password."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often the shared cache was asked: with an object, without one, and without an answer."""

    hits: int = 0
    misses: int = 0
    failures: int = 0
    writes: int = 0

    def since(self, before: Tally) -> Tally:
        """Return what was added after ``before``."""
        return Tally(
            hits=max(0, self.hits - before.hits),  # a server that was started anew counts from zero
            misses=max(0, self.misses - before.misses),
            failures=max(0, self.failures - before.failures),
            writes=max(0, self.writes - before.writes),
        )


def parse_remote(text: str) -> Remote:
    """Return the shared cache that a setting means. Raises ``UsageError`` for an address that none can use."""
    parts = urlsplit(text)
    known = {backend.value: backend for backend in Backend}
    backend = known.get(parts.scheme or text)
    if backend is None or (backend is not Backend.GITHUB and not parts.netloc) or "|" in text or " " in text:
        raise UsageError(
            f"compiler-cache-remote: {Remote(backend=Backend.HTTP, url=text).shown!r} is no address of a shared cache",
            advice="give redis://HOST[:PORT], http://HOST/PATH, s3://BUCKET[/PREFIX][?region=R&endpoint=E] or github",
            page=PAGE,
        )
    return Remote(backend=backend, url=text)


def remote_environment(program: str, remote: Remote, folder: Path) -> dict[str, str]:
    """Return what makes ``program`` use ``remote``, for the builds whose own cache is in ``folder``."""
    if program == CCACHE:
        return {"CCACHE_REMOTE_STORAGE": remote.url + _LIMITS}
    # A server that runs already has settings of its own. A socket's path must be short, so it cannot be in the cache.
    name = hashlib.sha256(f"{folder} {remote.url}".encode()).hexdigest()[:12]
    socket = Path(tempfile.gettempdir()) / f"python-tsan-sccache-{name}"
    return {**_sccache_backend(remote), "SCCACHE_SERVER_UDS": str(socket), "SCCACHE_IGNORE_SERVER_IO_ERROR": "1"}


def guarded_sccache(program: Path, folder: Path, compiler_seconds: int = 45) -> Path:
    """Write a script into ``folder`` that compiles by ``program`` as long as that serves, and return the script.

    sccache waits a minute for each object once its server is gone, and then fails; whoever builds would wait for
    hours, or see the build fail. What takes longer than any compiler, or fails, is the last that is tried.
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
    """Return the file that a guarded sccache leaves when it does not serve any more."""
    return script.with_name("failed")


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


def _sccache_backend(remote: Remote) -> dict[str, str]:
    parts = urlsplit(remote.url)
    match remote.backend:
        case Backend.REDIS:
            found = {"SCCACHE_REDIS_ENDPOINT": remote.shown, "SCCACHE_REDIS_USERNAME": parts.username or ""}
            found["SCCACHE_REDIS_PASSWORD"] = parts.password or ""
            return {name: value for name, value in found.items() if value}
        case Backend.S3:
            query = dict(parse_qsl(parts.query))
            found = {"SCCACHE_BUCKET": parts.netloc, "SCCACHE_S3_KEY_PREFIX": parts.path.strip("/")}
            found |= {f"SCCACHE_{name.upper()}": query[name] for name in ("region", "endpoint") if name in query}
            return {name: value for name, value in found.items() if value}
        case Backend.GITHUB:
            return {"SCCACHE_GHA_ENABLED": "true"}
        case Backend.HTTP:
            raise UsageError("sccache cannot use a plain HTTP server", advice="use ccache with it", page=PAGE)
        case _:
            assert_never(remote.backend)


def refusal(program: Path, env: Mapping[str, str], compiler: Path) -> str:
    """Compile a small file through the shared cache, and say why it does not serve; empty if it does.

    The program's own count tells, in a cache folder of its own, whether an object was found or stored.
    """
    with tempfile.TemporaryDirectory(prefix="python-tsan-probe-") as name:
        folder = Path(name)
        (folder / "probe.c").write_text(_PROBE, encoding="utf-8")
        own = dict(env) if program.name == SCCACHE else {**env, "CCACHE_DIR": str(folder / "cache")}
        before = tally(program, own)
        ended = process.run(
            [program, compiler, "-MD", "-c", "probe.c", "-o", "probe.o"], cwd=folder, env=own, timeout=PROBE_SECONDS
        )
        told = tally(program, own).since(before)
    if not ended.ok:
        lines = [line for line in f"{ended.stderr}\n{ended.stdout}".splitlines() if "error" in line.lower()]
        return lines[0].strip() if lines else f"{program.name} ended with {ended.exit_code}"
    if told.failures:
        return "it cannot be reached, or does not answer as such a server does"
    return (
        "" if told.hits or told.writes else f"this {program.name} does not use it; 4.7 is the oldest ccache that does"
    )


def tally(program: Path, env: Mapping[str, str]) -> Tally:
    """Return the program's count of what the shared cache did so far; zeros when it does not tell."""
    if program.name == SCCACHE:
        ended = process.run([program, "--show-stats", "--stats-format=json"], env=env, timeout=STATS_SECONDS)
        return _sccache_tally(ended.stdout) if ended.ok else Tally()
    ended = process.run([program, "--print-stats"], env=env, timeout=STATS_SECONDS)
    # remote_storage_hit<TAB>312; what was compiled is cache_miss, for 4.7 has no remote_storage_miss
    counts = dict(line.split("\t") for line in ended.stdout.splitlines() if "\t" in line)
    hits, misses, *failures, writes = (int(counts.get(name, "0")) for name in _COUNTED)
    return Tally(hits=hits, misses=misses, failures=sum(failures), writes=writes)


_COUNTED = (
    "remote_storage_hit",
    "cache_miss",
    "remote_storage_error",
    "remote_storage_timeout",
    "remote_storage_write",
)


def _sccache_tally(text: str) -> Tally:
    stats: dict[str, Any] = json.loads(text)["stats"]
    return Tally(
        hits=sum(stats["cache_hits"]["counts"].values()),
        misses=sum(stats["cache_misses"]["counts"].values()),
        failures=stats["cache_read_errors"] + stats["cache_write_errors"] + stats["cache_timeouts"],
        writes=stats["cache_writes"],
    )
