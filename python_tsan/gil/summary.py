"""Own the tables that a trace is summed up in; pure. Leaves printing to the verb."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.gil.phases import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from python_tsan.gil.analysis import Release
    from python_tsan.gil.trace import Trace

COLUMNS = ("releases", "held before", "away", "longest wait", "taken by another")
MOST_ROWS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of text, its first column being what the rows are about."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(kw_only=True)
class _Sum:
    count: int = 0
    held: int = 0
    away: int = 0
    wait: int = 0
    taken: int = 0

    def add(self, release: Release) -> None:
        self.count += 1
        self.held += release.held
        self.away += release.away
        self.wait = max(self.wait, release.wait)
        self.taken += release.taken_by_other

    def merge(self, other: _Sum) -> None:
        self.count += other.count
        self.held += other.held
        self.away += other.away
        self.wait = max(self.wait, other.wait)
        self.taken += other.taken

    def cells(self) -> tuple[str, ...]:
        return (str(self.count), span(self.held), span(self.away), span(self.wait), str(self.taken))


def span(nanoseconds: int) -> str:
    """Write a time span of any size: ``950 ns``, ``12.3 µs``, ``4.56 ms``, ``1.20 s``."""
    for unit, size, digits in (("s", 1_000_000_000, 2), ("ms", 1_000_000, 2), ("µs", 1000, 1)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.{digits}f} {unit}"
    return f"{nanoseconds} ns"


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


def count_phases(releases: Iterable[Release]) -> dict[str, int]:
    """Return the number of releases of each phase that has any, in the order of the phases."""
    counts = Counter(release.phase for release in releases)
    return {phase.value: counts[phase] for phase in Phase if counts[phase]}


def _by(what: str, releases: Sequence[Release], name: Callable[[Release], str], most: int = MOST_ROWS) -> Table:
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for release in releases:
        sums[name(release)].add(release)
    ranked = sorted(sums.items(), key=lambda row: (-row[1].count, row[0]))
    rows = [(key, *one.cells()) for key, one in ranked[:most]]
    if len(ranked) > most:
        rest = _Sum()
        for _, one in ranked[most:]:
            rest.merge(one)
        rows.append((f"({len(ranked) - most} more)", *rest.cells()))
    return Table(title=f"Releases by {what}", columns=(what, *COLUMNS), rows=tuple(rows))


def _thread(release: Release) -> str:
    process = release.process
    name = process.thread_name(release.event.thread)
    return name if process.record.parent == 0 else f"{name} of {process.record.pid}"


def _longest(releases: Sequence[Release], most: int = 5) -> Table:
    ranked = sorted((one for one in releases if one.wait), key=lambda one: -one.wait)[:most]
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
    columns = ("wait", "thread", "phase", "module", "C function", "ran meanwhile")
    return Table(title="Longest waits for the GIL", columns=columns, rows=rows)


def _meanwhile(releases: Sequence[Release]) -> Table:
    counts = Counter(
        (one.process.thread_name(one.event.thread), one.process.thread_name(one.next_thread), one.phase.value)
        for one in releases
        if one.taken_by_other
    )
    rows = tuple((giver, taker, phase, str(count)) for (giver, taker, phase), count in counts.most_common(MOST_ROWS))
    return Table(title="Who ran meanwhile", columns=("let go", "took it next", "phase", "times"), rows=rows)


def caveats(trace: Trace) -> list[str]:
    """Say what the trace does not hold."""
    said = []
    if trace.truncated:
        said.append("the trace was cut short; this is what came before")
    for process in trace.processes:
        record = process.record
        who = f"process {record.pid}"
        if record.free_threaded:
            said.append(
                f"{who} is free-threaded: it has no GIL. A release is a thread that detaches from it around "
                "what may block, several are attached at once, and whoever 'took it' merely attached next"
            )
        elif not record.sees_internal:
            said.append(f"{who}: forced switches were not seen")
        if len(process.nodes) <= 1:
            said.append(f"{who}: no Python frames were read, so that no phase is known; debuggers read them since 3.13")
        if record.dropped:
            said.append(f"{who}: the oldest {record.dropped} events were overwritten")
        if record.lost:
            said.append(f"{who}: {record.lost} events found no room")
        if record.lost_stacks:
            said.append(f"{who}: {record.lost_stacks} events have no Python frames")
    said += [f"process {one.pid} was not traced ({one.reason}): {one.program}" for one in trace.untraced]
    return said
