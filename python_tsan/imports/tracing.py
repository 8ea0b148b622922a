"""Own the traces of many entries: which are made in one process, what each brings in, and which cannot be imported."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.imports.probe import TraceEndedError
from python_tsan.imports.requests import merge, read_trace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_tsan.imports.probe import Probe
    from python_tsan.imports.requests import Program

NO_NAME = "is not the name of a module"
# The interpreter's start has imported it, or what traces: json and threading, for example.
ALREADY = "is imported before the watching begins, so that nobody can be seen to be the first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What the entries bring in, and why some of them are no entries of a thread, by entry."""

    program: Program
    problems: dict[str, str]


def trace_entries(probe: Probe, entries: Sequence[str], *, main: Sequence[str] = (), jobs: int) -> Traced:
    """Trace ``entries`` behind the main thread's imports ``main``, ``jobs`` processes at a time.

    Entries below one top-level package share a process, which imports that package first: an import of ``p.x`` runs all
    of ``p`` before it looks for ``p.x`` in every release, so that a process of its own would see the same.
    """
    names = [entry for entry in entries if all(part.isidentifier() for part in entry.split("."))]
    roots = dict.fromkeys(entry.partition(".")[0] for entry in names)
    groups = [[entry for entry in names if entry.partition(".")[0] == root] for root in roots]
    with ThreadPoolExecutor(jobs) as pool:
        traces = list(pool.map(lambda group: _trace_group(probe, group[0].partition(".")[0], group, main), groups))
    told = {entry: NO_NAME for entry in entries if entry not in names}
    for traced in traces:
        told |= traced.problems
    return Traced(
        program=merge(traced.program for traced in traces),
        problems={entry: told[entry] for entry in entries if entry in told},
    )


def trace_later(probe: Probe, later: Mapping[str, Sequence[str]], *, main: Sequence[str] = (), jobs: int) -> Program:
    """Trace what is imported once a package is there, by package. What cannot be imported is nobody's entry."""
    with ThreadPoolExecutor(jobs) as pool:
        traces = pool.map(lambda each: _trace_group(probe, each[0], each[1], main), later.items())
        return merge(traced.program for traced in traces)


def _trace_group(probe: Probe, root: str, entries: Sequence[str], main: Sequence[str]) -> Traced:
    """Trace entries behind the package ``root``. One that ends the process is left out, and the others tried again."""
    problems: dict[str, str] = {}
    while left := [entry for entry in entries if entry not in problems]:
        steps = list(dict.fromkeys([root, *left]))
        try:
            trace = probe.trace(steps, main=main)
        except TraceEndedError as ended:
            culprits = left if ended.entry in {root, *main} else [ended.entry]
            problems |= dict.fromkeys(culprits, ended.message)
            continue
        failed = next((f"{name}: {trace['errors'][name]}" for name in main if name in trace["errors"]), "")
        for entry in left:
            problem = failed or trace["errors"].get(entry, "") or (ALREADY if entry in trace["already"] else "")
            if problem:
                problems[entry] = problem
        return Traced(program=read_trace(trace), problems=problems)
    return Traced(program={}, problems=problems)
