"""Draw a trace: an offline page, and the JSON that Perfetto and Chrome read; pure.

Both show, for each thread, when and why it was without the GIL, who held it, and the imports as nested spans. An import
is seen only when the GIL is released in it, so that its span begins at its first release and ends at its last.
"""

from __future__ import annotations

import base64
from array import array
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from python_tsan.gil.analysis import explain_process, holders
from python_tsan.gil.phases import MEANINGS, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.gil.analysis import Release
    from python_tsan.gil.trace import Process, Trace

_GIL_LANE = -1  # the lane of the Chrome trace that shows the holder
_NOBODY = 0xFFFF
_MOST = 0xFFFE  # the page has 16-bit numbers; all larger ones share the last
_PHASES = {phase: number for number, phase in enumerate(Phase)}


class ImportSpan(NamedTuple):
    """A module's import as far as it was seen, in nanoseconds; ``depth`` counts the imports around it."""

    thread: int
    start: int
    end: int
    depth: int
    module: str


def import_spans(process: Process) -> list[ImportSpan]:
    """Return the imports of a process, found by the releases in them, in order of their start."""
    open_: dict[int, list[tuple[int, int]]] = {}  # by thread: node and start of each unfinished import
    last: dict[int, int] = {}
    imports: dict[int, tuple[int, ...]] = {}  # by node
    before: dict[int, tuple[int, ...]] = {}  # by thread
    spans = []
    for released, _, acquired, _, node, thread, _, _ in process.events:
        if not released or not node:
            continue
        now = imports.get(node)
        if now is None:
            now = imports[node] = _importing(process, node)
        if now is not before.get(thread):  # mostly the thread is where it was
            unfinished = open_.setdefault(thread, [])
            same = 0
            while same < min(len(now), len(unfinished)) and now[same] == unfinished[same][0]:
                same += 1
            spans += [
                _close(process, thread, unfinished, depth, last[thread]) for depth in range(same, len(unfinished))
            ]
            unfinished[same:] = [(each, released) for each in now[same:]]
            before[thread] = now
        last[thread] = max(released, acquired)
    for thread, unfinished in open_.items():
        spans += [_close(process, thread, unfinished, depth, last[thread]) for depth in range(len(unfinished))]
    return sorted(spans, key=lambda span: (span.start, span.depth))


def _close(process: Process, thread: int, unfinished: Sequence[tuple[int, int]], depth: int, end: int) -> ImportSpan:
    node, start = unfinished[depth]
    return ImportSpan(thread, start, end, depth, process.nodes[node].imports)


def _importing(process: Process, node: int) -> tuple[int, ...]:
    """Return the nodes of the frames that import something, outermost first."""
    found = []
    while 0 < node < len(process.nodes):
        if process.nodes[node].imports:
            found.append(node)
        parent = process.nodes[node].parent
        node = parent if parent < node else 0
    return tuple(found[::-1])


def chrome_trace(trace: Trace) -> Iterator[str]:
    """Yield the pieces of a Chrome trace: https://ui.perfetto.dev opens it, and so does ``chrome://tracing``.

    Flow arrows lead from each release to the acquisition of the next holder, if that is another thread.
    """
    yield '{"displayTimeUnit":"ns","traceEvents":[\n'
    separator = ""
    for process in trace.processes:
        for event in _chrome_events(process):
            yield separator + msgspec.json.encode(event).decode()
            separator = ",\n"
    yield "\n]}\n"


def _chrome_events(process: Process) -> Iterator[dict[str, object]]:
    pid = process.record.pid
    base = process.record.started

    def event(kind: str, thread: int, time: int, name: str, **more: object) -> dict[str, object]:
        return {"ph": kind, "pid": pid, "tid": thread, "ts": (time - base) / 1000, "name": name, "cat": "gil", **more}

    yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": process.record.executable}}
    yield {"ph": "M", "pid": pid, "tid": _GIL_LANE, "name": "thread_name", "args": {"name": "holder of the GIL"}}
    for thread in process.record.threads:
        name = process.thread_name(thread.ordinal)
        yield {"ph": "M", "pid": pid, "tid": thread.ordinal, "name": "thread_name", "args": {"name": name}}
    for lost in process.held_waits:
        wait = process.waits[lost.wait]
        more = {"place": wait.place, "threads that waited for the GIL": lost.others}
        name = f"{wait.callee} with the GIL held"
        yield event("X", lost.thread, lost.start, name, dur=lost.length / 1000, cname="terrible", args=more)
    for span in import_spans(process):
        yield event("X", span.thread, span.start, f"import {span.module}", dur=(span.end - span.start) / 1000)
    names = {holder: process.thread_name(holder) for holder in {event.thread for event in process.events}}
    for holder, start, end in holders(process):
        if end:
            yield event("X", _GIL_LANE, start, names[holder], dur=(end - start) / 1000)
    taken = {(one.thread, one.acquired) for one in process.events}
    order = sorted(acquired for _, acquired in taken if acquired)
    position = 0
    chains = [site.chain for site in process.sites]
    for number, release in enumerate(explain_process(process)):
        time, chain = release.event.released, chains[release.event.site]
        arguments = {"module": release.meaning.module, "C": chain, "waited_us": release.wait / 1000}
        yield event("X", release.event.thread, time, release.phase.value, dur=release.away / 1000, args=arguments)
        while position < len(order) and order[position] <= time:
            position += 1
        if release.taken_by_other and position < len(order):
            yield event("s", release.event.thread, time, "next", id=f"{pid}.{number}")
            yield event("f", release.next_thread, order[position], "next", id=f"{pid}.{number}", bp="e")


def html_page(trace: Trace) -> str:
    """Return the page: one file that needs no network."""
    from markupsafe import Markup  # noqa: PLC0415 -- jinja2 costs more than a short answer

    from python_tsan.render.escape import script_json  # noqa: PLC0415 -- as above
    from python_tsan.render.page import page_template  # noqa: PLC0415 -- as above

    data = {
        "phases": [{"name": phase.value, "meaning": MEANINGS[phase]} for phase in Phase],
        "processes": [_page_data(process) for process in trace.processes],
    }
    return page_template("python_tsan.gil", "timeline.html.j2").render(
        title=" ".join(trace.command),
        data=Markup(script_json(data)),  # noqa: S704 -- script_json leaves no "<" in it
    )


def _page_data(process: Process) -> dict[str, object]:
    releases = list(explain_process(process))
    spans = import_spans(process)
    names = _Numbers()
    sites = [site.chain for site in process.sites]
    base = min((event.time for event in process.events), default=0)
    return {
        "pid": process.record.pid,
        "program": process.record.executable,
        "threads": {thread.ordinal: process.thread_name(thread.ordinal) for thread in process.record.threads},
        "sites": sites,
        # In microseconds; the last two are spans, which need fewer bytes than times.
        "start": _packed("d", [(one.event.released - base) / 1000 for one in releases]),
        "away": _packed("f", [one.away / 1000 for one in releases]),
        "wait": _packed("f", [one.wait / 1000 for one in releases]),
        "thread": _packed("H", [min(one.event.thread, _MOST) for one in releases]),
        "phase": _packed("B", [_PHASES[one.phase] for one in releases]),
        "site": _packed("H", [min(one.event.site, _MOST) for one in releases]),
        "module": _packed("H", [min(names[one.meaning.module], _MOST) for one in releases]),
        "next": _packed("H", [_next(one) for one in releases]),
        "held": _held(process, base),
        "waits": [f"{wait.callee} at {wait.place}" if wait.place else wait.callee for wait in process.waits],
        "lost": [
            [one.thread, (one.start - base) / 1000, one.length / 1000, one.wait, one.others]
            for one in process.held_waits
        ],
        "imports": [
            [one.thread, (one.start - base) / 1000, (one.end - base) / 1000, one.depth, names[one.module]]
            for one in spans
        ],
        "names": names.texts,
    }


def _next(release: Release) -> int:
    return min(release.next_thread, _MOST) if release.taken_by_other else _NOBODY


def _held(process: Process, base: int) -> dict[str, str]:
    spans = [span for span in holders(process) if span[2]]
    return {
        "thread": _packed("H", [min(thread, _MOST) for thread, _, _ in spans]),
        "start": _packed("d", [(start - base) / 1000 for _, start, _ in spans]),
        "length": _packed("f", [(end - start) / 1000 for _, start, end in spans]),
    }


class _Numbers:
    """Numbers texts in order of their first use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __getitem__(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> list[str]:
        return list(self._numbers)


def _packed(kind: str, values: Sequence[float]) -> str:
    """Return numbers as the page reads them: little-endian, in base64. A million as text would take seconds."""
    return base64.b64encode(array(kind, values).tobytes()).decode()
