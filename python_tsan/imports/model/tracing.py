"""Trace many entry points: which share a process, what each brings in, and which cannot be imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from python_tsan.imports.model.probe import TraceEndedError
from python_tsan.imports.model.requests import ImportRequest, merge, read_trace
from python_tsan.process import in_parallel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from python_tsan.imports.model.probe import Probe
    from python_tsan.imports.model.requests import Program

_NOT_PARSED = ("SyntaxError: ", "IndentationError: ", "TabError: ")
# Which of two modules comes first decides whether such an import fails, so that it can fail for the program, too.
_CIRCULAR = "(most likely due to a circular import)"
NO_NAME = "is not the name of a module"
NOT_TRACED = "had not been traced when the scan was interrupted"
# The interpreter's start has imported it, or what traces: json and threading, for example.
ALREADY = "is imported before the trace begins, so that no thread of the program can be the first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What the entries bring in, and why some of them are no entries of a thread, by entry."""

    program: Program
    problems: dict[str, str]


class TracingCut(KeyboardInterrupt):
    """An interrupt while entries were traced: ``traced`` has those that were, and the others among its problems."""

    def __init__(self, traced: Traced) -> None:
        super().__init__()
        self.traced = traced


def trace_entries(probe: Probe, entries: Sequence[str], *, main: Sequence[str] = (), jobs: int) -> Traced:
    """Trace ``entries`` behind the main thread's imports ``main``, ``jobs`` processes at a time.

    Entries below one top-level package share a process, which imports that package first: an import of ``p.x`` runs all
    of ``p`` before it looks for ``p.x`` in every release, so that a process of its own would see the same.

    Raises :class:`TracingCut` when it is interrupted.
    """
    names = [entry for entry in entries if all(part.isidentifier() for part in entry.split("."))]
    roots = dict.fromkeys(entry.partition(".")[0] for entry in names)
    groups = [[entry for entry in names if entry.partition(".")[0] == root] for root in roots]
    made: list[tuple[list[str], Traced]] = []

    def trace(group: list[str]) -> tuple[list[str], Traced]:
        return group, _trace_group(probe, group[0].partition(".")[0], group, main)

    try:
        made = in_parallel(trace, groups, jobs=jobs, on_result=made.append)
    except KeyboardInterrupt as interrupt:
        raise TracingCut(_together(entries, names, made)) from interrupt
    return _together(entries, names, made)


def _together(entries: Sequence[str], names: Sequence[str], made: Sequence[tuple[list[str], Traced]]) -> Traced:
    """Return the traces of groups as one, with the reason of each entry that has none."""
    reached = {entry for group, _ in made for entry in group}
    problems = {entry: NOT_TRACED if entry in names else NO_NAME for entry in entries if entry not in reached}
    for _, traced in made:
        problems |= traced.problems
    return Traced(
        program=merge(traced.program for _, traced in made),
        problems={entry: problems[entry] for entry in entries if entry in problems},
    )


def trace_later(probe: Probe, later: Mapping[str, Sequence[str]], *, main: Sequence[str] = (), jobs: int) -> Traced:
    """Trace what is imported once a package is there, by package.

    What cannot be imported is no entry of a thread. It is a problem only if its source cannot be parsed, or if it fails
    by a cycle: a name that is taken from a module need not be a module, and an optional dependency need not be there.
    """
    traces = in_parallel(lambda each: _trace_group(probe, each[0], each[1], main), later.items(), jobs=jobs)
    return Traced(
        program=merge(traced.program for traced in traces),
        problems={
            name: problem
            for traced in traces
            for name, problem in traced.problems.items()
            if problem.startswith(_NOT_PARSED) or _CIRCULAR in problem
        },
    )


def trace_reads(
    probe: Probe, reads: Sequence[str], *, main: Sequence[str] = ()
) -> tuple[Program, dict[str, tuple[ImportRequest, ...]]]:
    """Read attributes of modules, which may be proxies that import then, and return what that brings in and requests.

    A read that fails, that ends its process, or that requests nothing is not among them.
    """
    programs: list[Program] = []
    found: dict[str, tuple[ImportRequest, ...]] = {}
    for name in reads:
        try:
            trace = probe.trace([name], main=main)
        except TraceEndedError:
            continue
        programs.append(read_trace(trace))
        reads_made = msgspec.convert(trace["reads"], dict[str, tuple[ImportRequest, ...]])
        found |= {call: requests for call, requests in reads_made.items() if requests}
    return merge(programs), found


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
