"""Own the meaning of a trace: each release with its reason, what it cost, and who took the GIL next; pure."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from python_tsan.gil.phases import Meaning, Phase, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.gil.trace import Event, Process, Trace


class Release(NamedTuple):
    """One release of the GIL, explained. Times are in nanoseconds.

    ``held`` is how long the thread had had the GIL, 0 when its taking was not seen. ``away`` is how long it was
    without, ``wait`` the end of that, in which it wanted the GIL back; both are 0 when it never got it again.
    ``next_thread`` is the ordinal of the thread that took the GIL next, maybe the same, or -1.
    """

    process: Process
    event: Event
    meaning: Meaning
    held: int
    away: int
    wait: int
    next_thread: int

    @property
    def phase(self) -> Phase:
        """What it was for."""
        return self.meaning.phase

    @property
    def function(self) -> str:
        """The C function that let go."""
        return self.process.sites[self.event.site].name

    @property
    def taken_by_other(self) -> bool:
        """Whether another thread ran meanwhile."""
        return self.next_thread not in {-1, self.event.thread}


def explain_trace(trace: Trace) -> list[Release]:
    """Return every release of the trace, process by process, in order of time."""
    return [release for process in trace.processes for release in explain_process(process)]


def explain_process(process: Process) -> Iterator[Release]:
    """Yield every release of one process, in order of time."""

    @cache
    def meaning(site: int, node: int, way: int, *, switched: bool) -> Meaning:
        frames = process.stack(node)
        return explain(way=way, switched=switched, functions=process.sites[site].functions, frames=frames)

    taken = sorted((event.acquired, event.thread) for event in process.events if event.acquired)
    times = [time for time, _ in taken]
    since: dict[int, int] = {}  # when a thread took the GIL
    for event in process.events:
        if event.released:
            index = bisect_right(times, event.released)
            next_thread = taken[index][1] if index < len(taken) else -1
            switched = event.acquired > 0 and next_thread != event.thread
            yield Release(
                process=process,
                event=event,
                meaning=meaning(event.site, event.node, event.release_way, switched=switched),
                held=event.released - since[event.thread] if since.get(event.thread) else 0,
                away=event.acquired - event.released if event.acquired else 0,
                wait=event.acquired - event.requested if event.acquired else 0,
                next_thread=next_thread,
            )
        since[event.thread] = event.acquired


def holders(process: Process) -> list[tuple[int, int, int]]:
    """Return who held the GIL: thread, from, to, in order of time; an end of 0 where it is not known.

    The time before a thread's first event is left out: that it held the GIL is known, but not since when.
    """
    open_: dict[int, int] = {}
    found = []
    for event in process.events:
        if event.released and event.thread in open_:
            found.append((event.thread, open_.pop(event.thread), event.released))
        if event.acquired:
            open_[event.thread] = event.acquired
    found += [(thread, start, 0) for thread, start in open_.items()]
    return sorted(found, key=lambda span: span[1])


def imports_of(releases: Sequence[Release], module: str) -> list[Release]:
    """Return the releases while ``module`` was being imported, by any thread, its own imports included."""
    return [
        release
        for release in releases
        if any(frame.imports == module for frame in release.process.stack(release.event.node))
    ]
