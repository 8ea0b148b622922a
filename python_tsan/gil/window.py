"""Own the join with the import tools: which release opened the window of a hazard between two imports; pure.

A hazard needs a thread that has taken module locks and lets go of the GIL before it has given them back: there, and
nowhere else, another thread can begin the import that crosses. The import tools name the locks by the chain of modules
that the thread is loading; a trace knows each release and its stack. This module brings the two together. It predicts
nothing and prints nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.gil.analysis import Release


_TAKING = frozenset(
    {"_get_module_lock", "_ModuleLock.acquire", "_ModuleLock.has_deadlock", "_ModuleLockManager.__enter__"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The time in which a thread had the locks of a chain of modules, and not always the GIL.

    ``release`` opened it: the first one after which another thread went on with an import of its own, else the first
    after which another thread ran at all, else the first. ``intruder`` is what that other thread did next, None where
    nobody came: then the window was open, and this run did not use it. ``releases`` counts how often the thread let
    go within the chain: as many chances.
    """

    release: Release
    intruder: Release | None
    releases: int

    @property
    def entered(self) -> bool:
        """Whether another thread was seen to import within the window."""
        return self.intruder is not None and bool(self.intruder.meaning.module)


def find_window(releases: Sequence[Release], chain: Sequence[str]) -> Window | None:
    """Return the window in which ``chain`` was being imported; None where the trace has no release there.

    ``releases`` are those of :func:`~python_tsan.gil.analysis.explain_trace`. ``chain`` are full names of modules, the
    outermost import first, as in ``Hazard.chains``: a release belongs to it when its stack holds the import of each of
    them in this order, with others in between or within. One name serves as well as many. An import that was done
    already takes no lock and has no window.

    >>> window = find_window(explain_trace(trace), ["pkg.sub", "pkg"])
    >>> window.release.process.sites[window.release.event.site].chain, window.release.phase.value
    ('posix_do_stat (posixmodule.c:2739)', 'path stat')
    """
    inside = [release for release in releases if _holds(release, chain)]
    if not inside:
        return None
    visited = [(release, intruder) for release, intruder in _intruders(inside, releases) if intruder]
    importing = ((release, intruder) for release, intruder in visited if intruder.meaning.module)
    release, intruder = next(importing, next(iter(visited), (inside[0], None)))
    return Window(release=release, intruder=intruder, releases=len(inside))


def imports_around(release: Release) -> tuple[str, ...]:
    """Return the modules that the releasing thread was importing, the outermost first."""
    stack = release.process.stack(release.event.node)
    return tuple(frame.imports for frame in reversed(stack) if frame.imports)


def _holds(release: Release, chain: Sequence[str]) -> bool:
    around = iter(imports_around(release))
    # each one after the one before
    return bool(chain) and all(module in around for module in chain) and not _waits_for(release, chain[-1])


def _waits_for(release: Release, module: str) -> bool:
    """Tell whether the thread is still taking the lock of ``module``: it is another thread that holds it then."""
    stack = release.process.stack(release.event.node)
    return release.meaning.module == module and bool(stack) and stack[0].function in _TAKING


def _intruders(inside: Sequence[Release], releases: Sequence[Release]) -> Iterator[tuple[Release, Release | None]]:
    """Yield each release with the next one of the thread that took the GIL after it, None where nobody else did."""
    for release in inside:
        yield release, _next_of_taker(release, releases) if release.taken_by_other else None


def _next_of_taker(release: Release, releases: Sequence[Release]) -> Release | None:
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
