"""Share out the runs of one command among machines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from python_tsan.errors import UsageError

_SHARD = re.compile(r"(?P<index>\d+)/(?P<count>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One machine's part: number ``index``, from 1, of ``count``."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Read ``I/N``; raises :class:`UsageError` for anything else."""
    found = _SHARD.fullmatch(text)
    shard = Shard(index=int(found["index"]), count=int(found["count"])) if found else None
    if shard is None or not 1 <= shard.index <= shard.count:
        raise UsageError(
            f"--shard {text} is not a part of the runs",
            advice="write I/N with I from 1 to N, such as 2/4",
            page="merge",
        )
    return shard


def share(shard: Shard | None, repeat: int) -> range:
    """Return the numbers, from 1, of the runs that are this shard's; all of them without one.

    Every number from 1 to ``repeat`` belongs to exactly one of the shards, and no two differ by more than one in size.
    """
    return range(1, repeat + 1) if shard is None else range(shard.index, repeat + 1, shard.count)
