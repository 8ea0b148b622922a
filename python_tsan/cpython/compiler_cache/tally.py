"""Test whether a shared compiler cache works, and count its hits, as the cache programs report them.

The programs speak to the server; nothing here does.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
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
# What ccache counts, by the name it has here; what was compiled is cache_miss, for 4.7 has no remote_storage_miss.
_COUNTED = {
    "remote_storage_hit": "hits",
    "cache_miss": "misses",
    "remote_storage_error": "failures",
    "remote_storage_timeout": "failures",
    "remote_storage_write": "writes",
}


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
        counts = tally(program, own) - before
    if not ended.ok:
        lines = [line for line in f"{ended.stderr}\n{ended.stdout}".splitlines() if "error" in line.lower()]
        return lines[0].strip() if lines else f"{program.name} ended with {ended.exit_code}"
    if counts["failures"]:
        return "it cannot be reached, or does not answer as such a server does"
    used = counts["hits"] or counts["writes"]
    return "" if used else f"this {program.name} does not use it; 4.7 is the oldest ccache that does"


def tally(program: Path, env: Mapping[str, str]) -> Counter[str]:
    """Return the program's count of ``hits``, ``misses``, ``failures`` and ``writes`` of the shared cache so far.

    It is empty when the program does not report it. The difference of two is what came in between, without what a
    server that was restarted meanwhile counts from zero.
    """
    counts: Counter[str] = Counter()
    if program.name != SCCACHE:
        ended = process.run([program, "--print-stats"], env=env, timeout=STATS_SECONDS)
        # remote_storage_hit<TAB>312
        for name, number in (line.split("\t") for line in ended.stdout.splitlines() if "\t" in line):
            if name in _COUNTED:
                counts[_COUNTED[name]] += int(number)
        return counts
    ended = process.run([program, "--show-stats", "--stats-format=json"], env=env, timeout=STATS_SECONDS)
    if ended.ok:
        stats: dict[str, Any] = json.loads(ended.stdout)["stats"]
        counts["hits"] = sum(stats["cache_hits"]["counts"].values())
        counts["misses"] = sum(stats["cache_misses"]["counts"].values())
        counts["failures"] = stats["cache_read_errors"] + stats["cache_write_errors"] + stats["cache_timeouts"]
        counts["writes"] = stats["cache_writes"]
    return counts
