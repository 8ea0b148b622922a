"""Write the page that explains why the GIL was released during one import: Markdown with an SVG. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.errors import UsageError
from python_tsan.gil.analysis import explain_trace, imports_of
from python_tsan.gil.phases import MEANINGS, Phase
from python_tsan.gil.summary import caveats, count_phases, summarise
from python_tsan.gil.trace import GilCall
from python_tsan.plain_text import counted, span
from python_tsan.render.escape import html
from python_tsan.render.table import markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.gil.analysis import Release
    from python_tsan.gil.summary import Table
    from python_tsan.gil.trace import Trace

_FIRST = 5  # releases shown with their stacks
_FRAMES = 4
_LEFT, _WIDTH, _ROW = 150, 820, 22


def page(trace: Trace, module: str, *, picture: str = "", timeline: str = "") -> Iterator[str]:
    """Yield the page's lines. ``picture`` and ``timeline`` are the paths of the pictures, as seen from the page.

    No path of the machine gets into it. Raises :class:`UsageError` when the trace has no release in an import of
    ``module``.
    """
    releases = explain_trace(trace)
    found = imports_of(releases, module)
    if not found:
        raise UsageError(f"no release happened while {module} was imported", page="gil")
    process = found[0].process
    program = process.record.executable.rpartition("/")[2]
    yield "# Why the GIL is released during an import"
    yield ""
    yield "<!-- Made by `nox -s gil_page`; do not edit. -->"
    yield ""
    yield (
        f"One run of `{program}` with CPython {process.record.python}, traced with the {trace.engine} engine. "
        f"While `{module}` was imported for the first time, the GIL was released **{counted(len(found), 'time')}**. "
        "Each time, another thread may run and begin an import of its own: in this window, module locks can cross."
    )
    yield ""
    if picture:
        yield f"![each release during the import, by phase and time]({picture})"
        yield ""
    yield from _phases(found)
    yield from _first(found, module)
    yield from _markdown(summarise(found)[2])
    yield from _others(releases, found)
    if timeline:
        yield from _timeline(timeline)
    for caveat in caveats(trace):
        yield f"- {caveat}"


def without_folders(trace: Trace) -> Trace:
    """Return the trace with the names of programs alone, for a picture that shows no folder of the machine."""
    processes = (
        replace(one, record=replace(one.record, executable=one.record.executable.rpartition("/")[2]))
        for one in trace.processes
    )
    return replace(
        trace,
        command=tuple(word.rpartition("/")[2] if word.startswith("/") else word for word in trace.command),
        processes=tuple(processes),
    )


def _timeline(path: str) -> Iterator[str]:
    yield "## The whole run as a timeline"
    yield ""
    yield (
        "`python-tsan gil timeline` makes such a page of any trace; it needs no network. It also writes a file for "
        "https://ui.perfetto.dev, in which arrows lead from each release to the next holder."
    )
    yield ""
    yield f"![lanes of threads, holder of the GIL, nested imports]({path})"
    yield ""


def _phases(found: Sequence[Release]) -> Iterator[str]:
    counts = count_phases(found)
    away = Counter[str]()
    for one in found:
        away[one.phase.value] += one.away
    yield "## Releases by phase"
    yield ""
    rows = (
        (phase.value, f"{count}", span(away[phase.value]) if count else "", MEANINGS[phase])
        for phase in Phase
        for count in (counts.get(phase.value, 0),)
    )
    yield from markdown_table(("phase", "releases", "time without the GIL", "what the thread did"), rows, right={1, 2})
    yield ""
    yield (
        "`marshal.loads`, `compile`, `dlopen` and an extension's initialisation function never release the GIL: "
        "a phase without releases matters as much as one with many."
    )
    yield ""


def _first(found: Sequence[Release], module: str) -> Iterator[str]:
    yield f"## The first releases of `import {module}`"
    yield ""
    for number, one in enumerate(found[:_FIRST], 1):
        frames = one.process.stack(one.event.node)[:_FRAMES]
        stack = " < ".join(f"`{frame.function}`" for frame in frames)
        yield f"{number}. **{one.phase.value}** in C `{one.process.sites[one.event.site].chain}`, from {stack}"
    yield ""


def _markdown(table: Table) -> Iterator[str]:
    yield f"## {table.title} during the import"
    yield ""
    rows = ((f"`{first}`", *cells) for first, *cells in table.rows)
    yield from markdown_table(table.columns, rows, right=range(1, len(table.columns)))
    yield ""


def _others(releases: Sequence[Release], found: Sequence[Release]) -> Iterator[str]:
    importer = found[0].event.thread
    workers = [one for one in releases if one.event.thread != importer]
    if not workers:
        return
    importing = sum(1 for one in workers if one.meaning.module)
    calls = Counter(one.function for one in workers if one.event.release_call != GilCall.INTERNAL)
    forced = sum(1 for one in workers if one.phase is Phase.FORCED)
    threads = len({one.event.thread for one in workers})
    yield "## Releases by other threads"
    yield ""
    yield (
        f"{counted(threads, 'other thread')} released the GIL {counted(len(workers), 'time')}, {importing} of them in "
        "an import: a module that is already in `sys.modules` is found without a lock and without I/O. Forced "
        f"switches, because another thread had waited for 5 ms: {forced}."
    )
    yield ""
    counted_calls = ((f"`{name}`", f"{count}") for name, count in calls.most_common())
    yield from markdown_table(("C function", "releases"), counted_calls, right={1})
    yield ""


def picture(trace: Trace, module: str) -> str:
    """Return an SVG: one row for each phase, one tick for each release during the import of ``module``."""
    found = imports_of(explain_trace(trace), module)
    counts = count_phases(found)
    names = [phase.value for phase in Phase if phase.value in counts]
    start = found[0].event.released if found else 0
    total = max((one.event.acquired or one.event.released for one in found), default=1) - start or 1
    height = len(names) * _ROW + 34
    rows = []
    for index, name in enumerate(names):
        y = index * _ROW + 6
        rows.append(f'<text x="8" y="{y + 12}">{html(name)}</text>')
        rows.append(f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end" fill="#667">{counts[name]}</text>')
        rows.append(f'<path d="M{_LEFT} {y + 16}H{_LEFT + _WIDTH}" stroke="#ccd2dc"/>')
        places = {
            round(_LEFT + (one.event.released - start) / total * _WIDTH, 1) for one in found if one.phase.value == name
        }
        ticks = "".join(f"M{place:g} {y}v15" for place in sorted(places))
        rows.append(f'<path d="{ticks}" stroke="#2f6fb0" stroke-width=".8"/>')
    axis = f'<text x="{_LEFT}" y="{height - 8}">0</text>'
    axis += f'<text x="{_LEFT + _WIDTH}" y="{height - 8}" text-anchor="end">{span(total)}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 10} {height}" '
        'font-family="system-ui, sans-serif" font-size="12">'
        f"<title>Releases of the GIL during import {html(module)}</title>"
        '<rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(rows)}{axis}</svg>\n"
    )
