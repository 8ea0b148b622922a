"""Compare two traces of one program by different engines: the same releases in the same order, per thread; pure.

The engines share no code, so that what both saw is not one engine's error. Omitted are forced switches, which a
debugger cannot see and which depend on time, and waits for a lock, because a free lock needs no wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from python_tsan.gil.analysis import explain_process
from python_tsan.gil.trace import GilCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from python_tsan.gil.analysis import Release
    from python_tsan.gil.trace import Process

# C functions in which CPython 3.11 to 3.14 waits for a lock, a condition or a thread.
LOCKS = frozenset(
    {
        "acquire_timed",
        "join_thread",
        "PyThread_acquire_lock_timed_with_retries",
        "_PyMutex_LockTimed",
        "_PyParkingLot_Park",
        "_PySemaphore_Wait",
    }
)


COLUMNS = ("thread", "first", "second", "equal", "compared")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One thread in two traces, of ``first`` and ``second`` releases; the first ``equal`` releases agree.

    ``difference`` is the first difference, empty if all agree. ``frames``: the Python frames were compared as
    well; debuggers read them from 3.13 on.
    """

    thread: str
    first: int
    second: int
    equal: int
    frames: bool
    difference: str

    @property
    def holds(self) -> bool:
        """Whether both traces agree."""
        return not self.difference

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table with :data:`COLUMNS`."""
        compared = "call site and Python frames" if self.frames else "call site"
        return (self.thread, str(self.first), str(self.second), str(self.equal), compared)


def calls(process: Process) -> list[Release]:
    """Return the releases of a process that every engine must see, in order of time."""
    return [
        one
        for one in explain_process(process)
        if one.event.release_call != GilCall.INTERNAL and not LOCKS.intersection(_names(one))
    ]


def compare(first: Process, second: Process) -> list[Agreement]:
    """Return, for each thread, how far two traces of the same program agree.

    Threads are paired in the order of their first event, which must be the same in both runs.
    """
    one, other = _by_thread(calls(first)), _by_thread(calls(second))
    frames = len(first.nodes) > 1 and len(second.nodes) > 1
    return [
        _agree(first.thread_name(number), one.get(number, []), other.get(number, []), frames=frames)
        for number in sorted({*one, *other})
    ]


def _agree(thread: str, first: Sequence[Release], second: Sequence[Release], *, frames: bool) -> Agreement:
    equal, difference = 0, ""
    for ours, theirs in zip_longest(first, second):
        seen = [_describe(one, frames=frames) if one else "nothing" for one in (ours, theirs)]
        if seen[0] != seen[1]:
            difference = f"release {equal + 1}: {seen[0]} / {seen[1]}"
            break
        equal += 1
    return Agreement(
        thread=thread, first=len(first), second=len(second), equal=equal, frames=frames, difference=difference
    )


def _describe(release: Release, *, frames: bool) -> str:
    """Return a release as an engine must have seen it: the call site in C, and the Python frames."""
    site = release.process.sites[release.event.site]
    place = f"{site.name} at {site.library.rpartition('/')[2]}+{site.offset:#x}"
    if not frames:
        return place
    stack = release.process.stack(release.event.node)
    return f"{place} from " + " < ".join(
        f"{frame.function}({frame.imports})" if frame.imports else frame.function for frame in stack
    )


def _names(release: Release) -> set[str]:
    return {function.name for function in release.process.sites[release.event.site].functions}


def _by_thread(releases: Iterable[Release]) -> dict[int, list[Release]]:
    threads: dict[int, list[Release]] = {}
    for release in releases:
        threads.setdefault(release.event.thread, []).append(release)
    return threads
