"""Sum a trace up in tables, and list the releases during one import; pure. Leaves printing to the verb."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.errors import UsageError
from python_tsan.gil.analysis import imports_around, imports_of
from python_tsan.gil.phases import Phase
from python_tsan.plain_text import counted, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from python_tsan.gil.analysis import Release
    from python_tsan.gil.trace import Process, Trace

COLUMNS = ("releases", "held before", "away", "longest wait", "to another thread")
MOST_ROWS = 20
_MOST_WAITS = 5
_MOST_MODULES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text; its first column names the rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def summarise(releases: Sequence[Release]) -> tuple[Table, ...]:
    """Return the tables: by phase, by module, by C function, by thread, and the longest waits."""
    return (
        _by("phase", releases, lambda one: one.phase.value, most=len(Phase)),
        _by("module", releases, lambda one: one.meaning.module or "(no import)"),
        _by("C function", releases, lambda one: one.function),
        _by("thread", releases, _thread),
        _longest(releases),
        _meanwhile(releases),
    )


def time_lost(processes: Iterable[Process]) -> Table:
    """Return the waits that threads made with the GIL held, the longest first."""
    ranked = sorted((wait for process in processes for wait in process.waits), key=lambda wait: -wait.total)
    rows = tuple(
        (wait.callee, wait.place, str(wait.count), span(wait.total), span(wait.longest), str(wait.others))
        for wait in ranked[:MOST_ROWS]
    )
    columns = ("call", "place", "waits", "total", "longest", "threads that waited for the GIL")
    return Table(title="Time lost: waits with the GIL held", columns=columns, rows=rows)


def count_phases(releases: Iterable[Release]) -> dict[str, int]:
    """Return the number of releases of each phase that has any, in the order of the phases."""
    counts = Counter(release.phase for release in releases)
    return {phase.value: counts[phase] for phase in Phase if counts[phase]}


def _by(what: str, releases: Sequence[Release], name: Callable[[Release], str], most: int = MOST_ROWS) -> Table:
    groups: dict[str, list[Release]] = defaultdict(list)
    for release in releases:
        groups[name(release)].append(release)
    ranked = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    if len(ranked) > most:
        rest = [release for _, members in ranked[most:] for release in members]
        ranked[most:] = [(f"({len(ranked) - most} more)", rest)]
    rows = tuple((key, *_sums(members)) for key, members in ranked)
    return Table(title=f"Releases by {what}", columns=(what, *COLUMNS), rows=rows)


def _sums(releases: Sequence[Release]) -> tuple[str, ...]:
    held, away = (span(sum(times)) for times in zip(*((one.held, one.away) for one in releases), strict=True))
    longest = span(max(one.wait for one in releases))
    return (str(len(releases)), held, away, longest, str(sum(one.taken_by_other for one in releases)))


def _thread(release: Release) -> str:
    process = release.process
    name = process.thread_name(release.event.thread)
    return name if process.record.parent == 0 else f"{name} of {process.record.pid}"


def _longest(releases: Sequence[Release]) -> Table:
    ranked = sorted((one for one in releases if one.wait), key=lambda one: -one.wait)[:_MOST_WAITS]
    rows = tuple(
        (
            span(one.wait),
            one.process.thread_name(one.event.thread),
            one.phase.value,
            one.meaning.module,
            one.function,
            one.process.thread_name(one.next_thread) if one.taken_by_other else "",
        )
        for one in ranked
    )
    columns = ("wait", "thread", "phase", "module", "C function", "next holder")
    return Table(title="Longest waits for the GIL", columns=columns, rows=rows)


def _meanwhile(releases: Sequence[Release]) -> Table:
    counts = Counter(
        (one.process.thread_name(one.event.thread), one.process.thread_name(one.next_thread), one.phase.value)
        for one in releases
        if one.taken_by_other
    )
    rows = tuple((giver, taker, phase, str(count)) for (giver, taker, phase), count in counts.most_common(MOST_ROWS))
    return Table(title="Next holder", columns=("released by", "acquired next by", "phase", "times"), rows=rows)


def caveats(trace: Trace) -> list[str]:
    """Return what the trace lacks, one sentence each."""
    found = []
    if trace.truncated:
        found.append("the trace was cut short; only its complete part is shown")
    for process in trace.processes:
        record = process.record
        who = f"process {record.pid}"
        if record.free_threaded:
            found.append(
                f"{who} is free-threaded and has no GIL: a release means that a thread detaches around a call that "
                "may block, several threads are attached at once, and the next holder is the thread that attached next"
            )
        elif not record.sees_internal:
            found.append(f"{who}: forced switches were not seen")
        if len(process.nodes) <= 1:
            found.append(f"{who}: no Python frames were read, so no phase is known; debuggers read them from 3.13 on")
        if record.dropped:
            found.append(f"{who}: the oldest {record.dropped} events were overwritten")
        if record.lost:
            found.append(f"{who}: {record.lost} events did not fit")
        if record.lost_stacks:
            found.append(f"{who}: {record.lost_stacks} events have no Python frames")
    found += [f"process {one.pid} was not traced ({one.reason}): {one.program}" for one in trace.untraced]
    return found


def why(releases: Sequence[Release], module: str, *, frames: int | None = None) -> Iterator[str]:
    """Yield the lines that list each release during the import of ``module``, with its reason and stack.

    ``frames`` limits the Python frames shown of each release. Raises :class:`UsageError` when no import of the module
    was seen; a module that is already in ``sys.modules`` is found without a release.
    """
    found = imports_of(releases, module)
    if not found:
        raise UsageError(
            f"no release happened while {module} was imported",
            advice=f"the trace has imports of: {', '.join(_modules(releases)) or 'nothing'}",
            page="gil",
        )
    counts = ", ".join(f"{phase} {count}" for phase, count in count_phases(found).items())
    yield f"import {module}: the GIL was released {counted(len(found), 'time')} ({counts})"
    start = found[0].event.released
    for number, release in enumerate(found, 1):
        yield ""
        yield from _lines(release, number, start, frames)


def _modules(releases: Sequence[Release]) -> list[str]:
    names = dict.fromkeys(
        frame.imports for release in releases for frame in release.process.stack(release.event.node) if frame.imports
    )
    return [*list(names)[:_MOST_MODULES], *(["..."] if len(names) > _MOST_MODULES else [])]


def _lines(release: Release, number: int, start: int, frames: int | None) -> Iterator[str]:
    process, event = release.process, release.event
    stack = process.stack(event.node)
    yield (
        f"{number}. +{span(event.released - start)}  {process.thread_name(event.thread)}: {release.phase.value}"
        f"  [{' > '.join(imports_around(release))}]"
    )
    yield f"     in C: {process.sites[event.site].chain}"
    if release.away:
        yield f"     away for {span(release.away)}, of that {span(release.wait)} waiting for the GIL{_taken(release)}"
    else:
        yield f"     not acquired again{_taken(release)}"
    for frame in stack[:frames]:
        yield f"     {frame.function} ({frame.file}:{frame.line})"
    if frames is not None and len(stack) > frames:
        yield f"     ... {len(stack) - frames} more"


def _taken(release: Release) -> str:
    if not release.taken_by_other:
        return ""
    return f"; next holder: {release.process.thread_name(release.next_thread)}"
