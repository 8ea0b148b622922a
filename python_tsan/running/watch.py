"""Record what a process group has mapped and computed while it runs, for processes that never end by themselves."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Self

from python_tsan.process import group_cpu_seconds, group_members, group_waited_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

FIRST_SECONDS = 0.05
# Libraries are mostly loaded early, so that looking ever less often misses little and costs nothing in a long run.
MOST_SECONDS = 2.0
RECENT_SECONDS = 5.0
_SAMPLES = 8


class GroupWatch:
    """Collects what the processes of one group map as code and their processor time, from ``start`` to its exit.

    A sample every now and then: what is loaded and gone between two of them is missed. ``mark`` is in the environment
    of each process that the group's first one starts, unless it was taken out.
    """

    def __init__(self, mark: str = "") -> None:
        self._mark = os.fsencode(mark)
        self._unmarked: dict[tuple[int, Path], int] = {}
        self._seen: dict[str, None] = {}
        self._needed: deque[tuple[float, float, float]] = deque(maxlen=_SAMPLES)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()

    @property
    def paths(self) -> tuple[str, ...]:
        """The files, the first seen first."""
        return tuple(self._seen)

    @property
    def unmarked(self) -> tuple[tuple[int, Path], ...]:
        """Pid and program of each process that was seen twice without the mark: once may be while it is started."""
        return tuple(each for each, count in self._unmarked.items() if count > 1)

    def recent_cpu(self, pgid: int) -> tuple[float, float]:
        """Return the processor seconds that the group needed in the last five seconds or so, and how long those are.

        On a busy machine a program that computes may get none of them: the time counts in which it was ready.
        """
        sample = _needed(pgid)
        samples = list(self._needed)
        first = next((each for each in reversed(samples) if sample[0] - each[0] >= RECENT_SECONDS), None)
        begin = first or (samples or [sample])[0]
        seconds, used, waited = (now - then for now, then in zip(sample, begin, strict=True))
        # Of a thread that has ended it is not known any more how long it waited.
        return max(0.0, used) + max(0.0, waited), seconds

    def start(self, pgid: int) -> None:
        """Begin to look at the group ``pgid``; to be called once."""
        self._thread = threading.Thread(target=self._watch, args=(pgid,), name="mapped-objects", daemon=True)
        self._thread.start()

    def _watch(self, pgid: int) -> None:
        pause = FIRST_SECONDS
        while not self._ended.wait(pause):
            for pid in group_members(pgid):
                self._seen.update(dict.fromkeys(mapped_code(pid)))
                self._look_for_mark(pid)
            self._needed.append(_needed(pgid))
            pause = min(pause * 2, MOST_SECONDS)

    def _look_for_mark(self, pid: int) -> None:
        place = Path("/proc", str(pid))
        try:
            key = (pid, (place / "exe").readlink())
            if self._mark not in (place / "environ").read_bytes():
                self._unmarked[key] = self._unmarked.get(key, 0) + 1
        except OSError:
            return


def _needed(pgid: int) -> tuple[float, float, float]:
    """Return the time now, and the processor time that a group used and waited for."""
    return time.monotonic(), group_cpu_seconds(pgid), group_waited_seconds(pgid)


def mapped_code(pid: int) -> Iterator[str]:
    """Yield the files that a process has mapped as code (proc_pid_maps(5)); none when it is gone."""
    try:
        lines = Path("/proc", str(pid), "maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        # 7f0c58000000-7f0c58021000 r-xp 00000000 08:01 131 /usr/lib/x86_64-linux-gnu/libc.so.6
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and "x" in fields[1] and fields[5].startswith("/"):  # noqa: PLR2004 -- as above
            yield fields[5].removesuffix(" (deleted)")
