"""Join a scan with the GIL tracer: which release let another thread in while a lock of a hazard was held.

The traced run follows no schedule: two threads begin the two imports together, as a program would. What the releases
mean is left to :mod:`python_tsan.gil`, and how a window reads to ``wording``.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.errors import PythonTsanError
from python_tsan.gil.analysis import explain_trace, find_window
from python_tsan.gil.preload import trace_preloaded
from python_tsan.imports.document import WindowRecord

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.imports.document import Document, HazardRecord, ThreadRecord
    from python_tsan.imports.model.probe import Probe

MOST_TRACES = 10  # each is a run of the program; more than a reader compares
# Its output must not mix with a result, nor may a thread that deadlocks keep it for ever.
_PROGRAM = """
import os, sys, threading
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
os.dup2(1, 2)
for name in filter(None, sys.argv[1].split(",")):
    __import__(name)
together = threading.Barrier(2)
def run(names):
    together.wait()
    try:
        for name in names.split(","):
            __import__(name)
    except BaseException:
        pass
threads = [threading.Thread(target=run, args=(names,), daemon=True) for names in sys.argv[2:]]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(20)
"""


def with_windows(document: Document, probe: Probe, library: Path) -> Document:
    """Return ``document`` with the window of each hazard that is not refuted, or with the reason why it is missing.

    ``probe`` made the document, and ``library`` is the tracer. After the first trace that cannot be made, no other is
    tried.
    """
    hazards = list(document.hazards)
    problem = ""
    for number, hazard in enumerate(hazards[:MOST_TRACES]):
        if not hazard.stands:
            continue
        try:
            window = WindowRecord(problem=problem) if problem else _window(document, hazard, probe, library)
        except PythonTsanError as error:
            problem = error.message
            window = WindowRecord(problem=problem)
        hazards[number] = replace(hazard, window=window)
    return replace(document, hazards=tuple(hazards))


def _window(document: Document, hazard: HazardRecord, probe: Probe, library: Path) -> WindowRecord:
    imported = [_imported_by(thread) for thread in hazard.threads]
    command = [*probe.python.command, "-c", _PROGRAM, ",".join(document.main), *imported]
    folders = os.pathsep.join([*map(str, probe.path), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PYTHONPATH": folders, "PYTHON_LAZY_IMPORTS": probe.lazy}
    trace = trace_preloaded(command, library=library, env=env)
    found = find_window(explain_trace(trace), held_chain(hazard))
    if found is None and trace.untraced:
        lost = trace.untraced[0]
        return WindowRecord(problem=f"process {lost.pid} was not traced ({lost.reason}): {lost.program}")
    if found is None:
        return WindowRecord(problem="the traced run never released the GIL with that lock held")
    release = found.release
    return WindowRecord(
        releases=found.releases,
        phase=release.phase.value,
        module=release.meaning.module,
        function=release.process.sites[release.event.site].chain,
        intruder=found.intruder.meaning.module if found.entered and found.intruder else "",
    )


def _imported_by(thread: ThreadRecord) -> str:
    """Return what a thread imports, with commas: of a call its module, and the import by which it takes part."""
    module, _, called = thread.imports.partition(":")
    return f"{module},{thread.links[0].module}" if called and thread.links else module


def held_chain(hazard: HazardRecord) -> list[str]:
    """Return what T1 is importing from its entry to the module whose lock T2 waits for: the window is open below it."""
    one = hazard.threads[0]
    modules = [link.module for link in one.chain]
    return modules[: modules.index(one.holds) + 1] if one.holds in modules else [one.holds]
