"""Measure how soon a browser shows the timeline of a long trace."""

from __future__ import annotations

import random
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.gil.timeline import html_page
from python_tsan.gil.trace import Event, GilCall, Node, Process, ProcessRecord, Thread, Trace
from python_tsan.symbols import CFunction, Site
from tools.bench.table import Row
from tools.browser import find_browser

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS = 1_000_000
LIMIT_SECONDS = 5.0
_SECONDS = 180.0
_THREADS, _MODULES, _SITES = 8, 200, 60
_PAINTED = re.compile(r'data-painted="(\d+)"')


def timeline_row(env: Mapping[str, str], *, events: int = EVENTS) -> Row:
    """Open the page of a trace of ``events`` releases in a headless Chromium; its own clock says when it is painted."""
    what = f"timeline of {events:,} releases in Chromium"
    limit = f"{LIMIT_SECONDS:.0f} s"
    browser = find_browser(env)
    if browser is None:
        return Row(what=what, measured="Chromium is not installed", limit=limit)
    started = time.monotonic()
    page = html_page(long_trace(events))
    written = time.monotonic() - started
    with tempfile.TemporaryDirectory(prefix="python-tsan-bench-") as folder:
        file = Path(folder) / "timeline.html"
        file.write_text(page, encoding="utf-8")
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile")
        # Virtual time is what makes it wait for the picture before it prints what the document holds.
        command: list[str | Path] = [browser, *options, "--virtual-time-budget=60000", "--dump-dom", file.as_uri()]
        ended = process.run(command, env=env, timeout=_SECONDS)
    painted = _PAINTED.search(ended.stdout)
    if not painted:
        return Row(what=what, measured="no picture", limit=limit, met=False)
    seconds = int(painted[1]) / 1000
    return Row(
        what=f"{what}, {len(page) / 1e6:.0f} MB, written in {written:.0f} s",
        measured=f"{seconds:.1f} s",
        cost="until it is painted",
        limit=limit,
        met=seconds <= LIMIT_SECONDS,
    )


def long_trace(events: int) -> Trace:
    """Return a trace as a long run would leave it: threads that take turns, imports nested ten deep; always one."""
    chance = random.Random(1)  # noqa: S311 -- a test pattern
    nodes, places = [Node(0, "", "", 0, "", ""), Node(0, "main.py", "<module>", 3, "__main__", "")], []
    for number in range(_MODULES):
        parent = len(nodes) - 2 if number % 10 else 1
        nodes.append(Node(parent, "<frozen importlib._bootstrap>", "_find_and_load", 1, "", f"package{number}"))
        nodes.append(Node(len(nodes) - 1, "<frozen importlib._bootstrap_external>", "_path_stat", 1, "", ""))
        places.append(len(nodes) - 1)
    functions = [Site(library="/lib.so", offset=one, functions=(CFunction(f"function{one}"),)) for one in range(_SITES)]
    rows, now = [], 1000
    for number in range(events):
        asked = now + chance.randrange(200, 2000)
        taken = asked + chance.randrange(500)
        node, thread, site = places[number * _MODULES // events], chance.randrange(_THREADS), chance.randrange(_SITES)
        rows.append(Event(now, asked, taken, site, node, thread, GilCall.SAVE_RESTORE, GilCall.SAVE_RESTORE))
        now = taken + chance.randrange(100, 3000)
    record = ProcessRecord(
        pid=1,
        parent=0,
        executable="python",
        python="3.13.5",
        free_threaded=False,
        sees_internal=True,
        started=0,
        started_unix=0,
        threads=tuple(Thread(ordinal=number, tid=number + 1, name="worker") for number in range(_THREADS)),
    )
    made = Process(record=record, sites=tuple(functions), nodes=tuple(nodes), events=tuple(rows))
    return Trace(engine="preload", command=("python",), exit_code=0, started_at="", processes=(made,))
