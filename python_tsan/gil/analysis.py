"""Explain a trace: the reason and the cost of each release, its next holder, and the window of an import hazard; pure.

A hazard needs a thread that holds module locks and releases the GIL before it releases them: only there can another
thread begin the import that crosses. The import tools name the locks by the chain of modules that the thread is
loading; a trace has each release with its stack. :func:`find_window` joins the two.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from python_tsan.gil.phases import Meaning, Phase, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.gil.trace import Event, Process, Trace


_TAKING = frozenset(
    {"_get_module_lock", "_ModuleLock.acquire", "_ModuleLock.has_deadlock", "_ModuleLockManager.__enter__"}
)


class Release(NamedTuple):
    """One release of the GIL, explained. Times are in nanoseconds.

    ``held``: how long the thread had held the GIL, 0 if its acquisition was not seen. ``away``: how long it was without
    the GIL. ``wait``: the last part of that, in which it waited for it. Both are 0 if it never acquired it again.
    ``next_thread``: the ordinal of the next holder, possibly the same thread, or -1.
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
        """What the thread did when it released the GIL."""
        return self.meaning.phase

    @property
    def function(self) -> str:
        """The C function that released the GIL."""
        return self.process.sites[self.event.site].name

    @property
    def taken_by_other(self) -> bool:
        """Whether another thread held the GIL meanwhile."""
        return self.next_thread not in {-1, self.event.thread}


def explain_trace(trace: Trace) -> list[Release]:
    """Return every release of the trace, process by process, in order of time."""
    return [release for process in trace.processes for release in explain_process(process)]


def explain_process(process: Process) -> Iterator[Release]:
    """Yield every release of one process, in order of time."""

    @cache
    def meaning(site: int, node: int, call: int, switched: bool) -> Meaning:  # noqa: FBT001 -- positional is faster
        frames = process.stack(node)
        return explain(call=call, switched=switched, functions=process.sites[site].functions, frames=frames)

    taken = sorted((event.acquired, event.thread) for event in process.events if event.acquired)
    times = [time for time, _ in taken]
    since: dict[int, int] = {}  # when each thread acquired the GIL
    for event in process.events:
        released, requested, acquired, site, node, thread, call, _ = event
        if released:
            index = bisect_right(times, released)
            next_thread = taken[index][1] if index < len(taken) else -1
            begun = since.get(thread)
            yield Release(
                process,
                event,
                meaning(site, node, call, acquired > 0 and next_thread != thread),
                released - begun if begun else 0,
                acquired - released if acquired else 0,
                acquired - requested if acquired else 0,
                next_thread,
            )
        since[thread] = acquired


def holders(process: Process) -> list[tuple[int, int, int]]:
    """Return who held the GIL: thread, start and end, in order of time; the end is 0 if it is unknown.

    The time before a thread's first event is omitted: the thread held the GIL, but its start is unknown.
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
    """Return the releases in the import of ``module`` by any thread, nested imports included."""
    return [
        release
        for release in releases
        if any(frame.imports == module for frame in release.process.stack(release.event.node))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time in which a thread held the locks of a chain of modules, but not always the GIL.

    ``release`` opened it: the first after which another thread continued an import of its own, else the first after
    which another thread ran, else the first. ``intruder`` is that other thread's next release; None if no other thread
    ran in this window. ``releases`` counts the releases within the chain, each a preemption point.
    """

    release: Release
    intruder: Release | None
    releases: int

    @property
    def entered(self) -> bool:
        """Whether another thread was importing within the window."""
        return self.intruder is not None and bool(self.intruder.meaning.module)


def find_window(releases: Sequence[Release], chain: Sequence[str]) -> Window | None:
    """Return the window in which ``chain`` was being imported; None if the trace has no release there.

    ``releases`` come from :func:`explain_trace`. ``chain`` are full names of modules, outermost import first, as in
    ``Hazard.chains``: a release belongs to it if its stack has the import of each of them in this order, with any
    others between. An import of a module that is already loaded takes no lock and has no window.

    >>> window = find_window(explain_trace(trace), ["pkg.sub", "pkg"])
    >>> window.release.process.sites[window.release.event.site].chain, window.release.phase.value
    ('posix_do_stat (posixmodule.c:2739)', 'path stat')
    """
    inside = [release for release in releases if _holds(release, chain)]
    if not inside:
        return None
    taken = ((release, _next_of_taker(release, releases)) for release in inside if release.taken_by_other)
    visited = [(release, intruder) for release, intruder in taken if intruder]
    importing = ((release, intruder) for release, intruder in visited if intruder.meaning.module)
    release, intruder = next(importing, next(iter(visited), (inside[0], None)))
    return Window(release=release, intruder=intruder, releases=len(inside))


def imports_around(release: Release) -> tuple[str, ...]:
    """Return the modules that the releasing thread was importing, outermost first."""
    stack = release.process.stack(release.event.node)
    return tuple(frame.imports for frame in reversed(stack) if frame.imports)


def _holds(release: Release, chain: Sequence[str]) -> bool:
    around = iter(imports_around(release))
    # each name is searched after the previous one
    return bool(chain) and all(module in around for module in chain) and not _waits_for(release, chain[-1])


def _waits_for(release: Release, module: str) -> bool:
    """Return whether the thread is still acquiring the lock of ``module``, which another thread then holds."""
    stack = release.process.stack(release.event.node)
    return release.meaning.module == module and bool(stack) and stack[0].function in _TAKING


def _next_of_taker(release: Release, releases: Sequence[Release]) -> Release | None:
    """Return the next release of the next holder, None if it was seen to release nothing later."""
    return next(
        (
            other
            for other in releases
            if other.process is release.process
            and other.event.thread == release.next_thread
            and other.event.released > release.event.released
        ),
        None,
    )
