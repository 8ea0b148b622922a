"""Test whether a shared compiler cache works, and count its hits, as the cache programs report them.

The programs speak to the server; nothing here does.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_tsan import process
from python_tsan.cpython.compiler_cache.remote import SCCACHE

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBE_SECONDS = 60.0
STATS_SECONDS = 20.0
# It includes something, for ccache 4.7 gives a source without any include two entries of one name.
_PROBE = "#include <stddef.h>\nsize_t python_tsan_probe(size_t size) { return size; }\n"
_COUNTED = (
    "remote_storage_hit",
    "cache_miss",
    "remote_storage_error",
    "remote_storage_timeout",
    "remote_storage_write",
)


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
            hits=max(0, self.hits - before.hits),  # a server that was restarted counts from zero
            misses=max(0, self.misses - before.misses),
            failures=max(0, self.failures - before.failures),
            writes=max(0, self.writes - before.writes),
        )


def refusal(program: Path, env: Mapping[str, str], compiler: Path) -> str:
    """Compile a small file through the shared cache, and say why it does not serve; empty if it does.

    The program's own count, in a separate cache folder, shows whether an object was found or stored.
    """
    with tempfile.TemporaryDirectory(prefix="python-tsan-probe-") as name:
        folder = Path(name)
        (folder / "probe.c").write_text(_PROBE, encoding="utf-8")
        own = dict(env) if program.name == SCCACHE else {**env, "CCACHE_DIR": str(folder / "cache")}
        before = tally(program, own)
        ended = process.run(
            [program, compiler, "-MD", "-c", "probe.c", "-o", "probe.o"], cwd=folder, env=own, timeout=PROBE_SECONDS
        )
        counts = tally(program, own).since(before)
    if not ended.ok:
        lines = [line for line in f"{ended.stderr}\n{ended.stdout}".splitlines() if "error" in line.lower()]
        return lines[0].strip() if lines else f"{program.name} ended with {ended.exit_code}"
    if counts.failures:
        return "it cannot be reached, or does not answer as such a server does"
    return (
        ""
        if counts.hits or counts.writes
        else f"this {program.name} does not use it; 4.7 is the oldest ccache that does"
    )


def tally(program: Path, env: Mapping[str, str]) -> Tally:
    """Return the program's count of what the shared cache did so far; zeros when it does not report it."""
    if program.name == SCCACHE:
        ended = process.run([program, "--show-stats", "--stats-format=json"], env=env, timeout=STATS_SECONDS)
        return _sccache_tally(ended.stdout) if ended.ok else Tally()
    ended = process.run([program, "--print-stats"], env=env, timeout=STATS_SECONDS)
    # remote_storage_hit<TAB>312; what was compiled is cache_miss, for 4.7 has no remote_storage_miss
    counts = dict(line.split("\t") for line in ended.stdout.splitlines() if "\t" in line)
    hits, misses, *failures, writes = (int(counts.get(name, "0")) for name in _COUNTED)
    return Tally(hits=hits, misses=misses, failures=sum(failures), writes=writes)


def _sccache_tally(text: str) -> Tally:
    stats: dict[str, Any] = json.loads(text)["stats"]
    return Tally(
        hits=sum(stats["cache_hits"]["counts"].values()),
        misses=sum(stats["cache_misses"]["counts"].values()),
        failures=stats["cache_read_errors"] + stats["cache_write_errors"] + stats["cache_timeouts"],
        writes=stats["cache_writes"],
    )
