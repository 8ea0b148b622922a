"""Own the answer to one question: why was the GIL released while this module was imported; pure text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.errors import UsageError
from python_tsan.gil.analysis import imports_of
from python_tsan.gil.summary import count_phases, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.gil.analysis import Release


def why(releases: Sequence[Release], module: str, *, frames: int | None = None) -> Iterator[str]:
    """Yield the lines that tell, in order, each release during the import of ``module``, with its reason and stack.

    ``frames`` limits the Python frames shown of each release. Raises :class:`UsageError` when no import of the module
    was seen; an import that is in ``sys.modules`` already releases nothing and so leaves no sign.
    """
    found = imports_of(releases, module)
    if not found:
        raise UsageError(
            f"no release happened while {module} was imported",
            advice=f"the trace holds imports of: {', '.join(_modules(releases)) or 'nothing'}",
            page="gil",
        )
    counts = ", ".join(f"{phase} {count}" for phase, count in count_phases(found).items())
    yield f"import {module}: the GIL was released {len(found)} times ({counts})"
    start = found[0].event.released
    for number, release in enumerate(found, 1):
        yield ""
        yield from _lines(release, number, start, frames)


def _modules(releases: Sequence[Release], most: int = 30) -> list[str]:
    names = dict.fromkeys(
        frame.imports for release in releases for frame in release.process.stack(release.event.node) if frame.imports
    )
    return [*list(names)[:most], *(["..."] if len(names) > most else [])]


def _lines(release: Release, number: int, start: int, frames: int | None) -> Iterator[str]:
    process, event = release.process, release.event
    stack = process.stack(event.node)
    chain = [frame.imports for frame in reversed(stack) if frame.imports]
    yield (
        f"{number}. +{span(event.released - start)}  {process.thread_name(event.thread)}: {release.phase.value}"
        f"  [{' > '.join(chain)}]"
    )
    yield f"     in C: {process.sites[event.site].chain}"
    if release.away:
        yield f"     away for {span(release.away)}, of that {span(release.wait)} waiting for the GIL{_taken(release)}"
    else:
        yield f"     not taken back{_taken(release)}"
    for frame in stack[:frames]:
        yield f"     {frame.function} ({frame.file}:{frame.line})"
    if frames is not None and len(stack) > frames:
        yield f"     ... {len(stack) - frames} more"


def _taken(release: Release) -> str:
    if not release.taken_by_other:
        return ""
    return f"; {release.process.thread_name(release.next_thread)} took it"
