"""Record what a process group has mapped and computed while it runs, for processes that never end by themselves."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from python_tsan.process import group_cpu_seconds, group_members, group_waits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

FIRST_SECONDS = 0.05
# Libraries are mostly loaded early, so that looking ever less often misses little and costs nothing in a long run.
MOST_SECONDS = 2.0
RECENT_SECONDS = 5.0
_SAMPLES = 8


class _Sample(NamedTuple):
    """The processor time that a group had used at a time, and how its threads waited (``group_waits``)."""

    time: float
    used: float
    waits: dict[int, tuple[float, int]]


class GroupWatch:
    """Collects what the processes of one group map as code and their processor time, from ``start`` to its exit.

    A sample every now and then: what is loaded and gone between two of them is missed. ``mark`` is in the environment
    of each process that the group's first one starts, unless it was taken out.
    """

    def __init__(self, mark: str = "") -> None:
        self._mark = os.fsencode(mark)
        self._unmarked: dict[tuple[int, Path], int] = {}
        self._seen: dict[str, None] = {}
        self._needed: deque[_Sample] = deque(maxlen=_SAMPLES)
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

        On a busy machine a program that computes may get none of them: the time counts in which a thread was ready and
        did not sleep. One that waits for the GIL sleeps again and again.
        """
        now = _sample(pgid)
        samples = list(self._needed)
        recent = (each for each in reversed(samples) if now.time - each.time >= RECENT_SECONDS)
        then = next(recent, (samples or [now])[0])
        waited = sum(
            seconds - then.waits[thread][0]
            for thread, (seconds, slept) in now.waits.items()
            if thread in then.waits and slept == then.waits[thread][1]
        )
        return max(0.0, now.used - then.used) + waited, now.time - then.time

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
            self._needed.append(_sample(pgid))
            pause = min(pause * 2, MOST_SECONDS)

    def _look_for_mark(self, pid: int) -> None:
        place = Path("/proc", str(pid))
        try:
            key = (pid, (place / "exe").readlink())
            if self._mark not in (place / "environ").read_bytes():
                self._unmarked[key] = self._unmarked.get(key, 0) + 1
        except OSError:
            return


def _sample(pgid: int) -> _Sample:
    return _Sample(time=time.monotonic(), used=group_cpu_seconds(pgid), waits=group_waits(pgid))


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
