"""Build the model of a prediction from entry points: traces, and what functions import when they are called."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from python_tsan.imports.model.lock_order import cyclic_modules, finder_requests, reaching_cycles
from python_tsan.imports.model.program_model import Model, home
from python_tsan.imports.model.requests import merge
from python_tsan.imports.model.rules import LAZY_SINCE, rules_of
from python_tsan.imports.model.target_sources import (
    NO_LAZY_NAMES,
    TargetSources,
    find_calls,
    find_lazy,
    registered,
    with_places,
)
from python_tsan.imports.model.tracing import trace_entries, trace_later, trace_reads

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from python_tsan.imports.model.probe import Probe
    from python_tsan.imports.model.requests import ImportRequest, Program
    from python_tsan.imports.model.target_sources import Calls, LazyNames
    from python_tsan.imports.model.tracing import Traced

NO_CALL = "is not a function with an import inside, nor an attribute that imports when it is read"
NOT_FOLLOWED = "is imported by LazyLoader when it is read; name {0}:ATTRIBUTE as an entry to scan that"
# Calls of which each imports what can be part of a cycle; pairs grow with their square.
MOST_CALLS = 12
CHOOSING = 0.5  # the part of the time for calls in which they may be chosen, so that some is left to search


@dataclass(frozen=True, slots=True, kw_only=True)
class Modelled:
    """A model, the calls that are entries too, and why named entries are not entries of a thread, by entry.

    ``unread`` says of modules why their source could not be read, by module; the imports of such a module are known.
    ``left_out`` is the number of calls that would be entries too, were they not beyond the limit, and of those that
    were not looked at in time. ``seconds`` is how long it took to look for them.
    """

    model: Model
    calls: tuple[str, ...]
    left_out: int
    problems: dict[str, str]
    unread: dict[str, str]
    seconds: float = 0.0


def model_of(
    probe: Probe,
    entries: Sequence[str],
    *,
    main: Sequence[str] = (),
    jobs: int,
    calls: bool = False,
    call_seconds: float = math.inf,
    traced: Traced | None = None,
) -> Modelled:
    """Trace ``entries`` and return the model of their imports behind ``main``.

    An entry ``module:function`` imports the module and then what stands in the function. With ``calls``, such entries
    are looked for in the packages of the entries for ``call_seconds``, and the first ``MOST_CALLS`` that matter are
    returned. ``traced`` is what the entries bring in where that is known.
    """
    modules = list(dict.fromkeys(map(home, entries)))
    traced = traced or trace_entries(probe, modules, main=main, jobs=jobs)
    problems = {entry: traced.problems[home(entry)] for entry in entries if home(entry) in traced.problems}
    begun = time.monotonic()
    program = traced.program
    named = [entry for entry in entries if ":" in entry and entry not in problems]
    lazy = _lazy_names(probe, program, jobs)
    program = with_places(program, lazy)
    found: Calls = {}
    unread: dict[str, str] = dict(lazy.problems)
    tried: set[str] = set()
    # What a call brings in may have lazy names, the uses of which bring in more: a chain of them has any length.
    while named or calls:
        roots = {name.partition(".")[0] for name in modules}
        found, problems_of_calls = find_calls(probe, program, roots, lazy=lazy, jobs=jobs)
        needed = found if calls else {entry: found[entry] for entry in named if entry in found}
        later = _targets_by_package(needed, known=tried | program.keys())
        traced_later = trace_later(probe, later, main=main, jobs=jobs)
        more = _lazy_names(probe, traced_later.program, jobs)
        program = merge([program, with_places(traced_later.program, more)])
        unread |= {**problems_of_calls, **traced_later.problems, **more.problems}
        tried.update(name for names in later.values() for name in names)
        lazy = lazy.with_more(more)
        if not traced_later.program:
            break
    if unknown := [entry for entry in named if entry not in found]:
        more_program, reads = trace_reads(probe, unknown, main=main)
        program, found = merge([program, more_program]), {**found, **reads}
    problems |= dict.fromkeys((entry for entry in named if entry not in found), NO_CALL)
    unread |= _unloaded(program, entries) if named or calls else {}
    rules = rules_of(probe.python.version)
    model = Model(
        program=program,
        rules=rules,
        sources=TargetSources(probe, program, first=cyclic_modules(program, rules), jobs=jobs),
        calls=found if calls else {entry: found[entry] for entry in named if entry in found},
        finders_import=bool(finder_requests(program)),
        registered=registered(program, lazy),
    ).after(main)
    others, unseen = _that_matter(model, named, until=begun + CHOOSING * call_seconds) if calls else ([], 0)
    kept = tuple(others[:MOST_CALLS])
    return Modelled(
        model=model,
        calls=kept,
        left_out=len(others) - len(kept) + unseen,
        problems=problems,
        unread=unread,
        seconds=time.monotonic() - begun,
    )


def _unloaded(program: Program, entries: Sequence[str]) -> dict[str, str]:
    """Return a line for each proxy that a module of the entries' packages binds and whose reads are no entries."""
    roots, known = (
        {home(entry).partition(".")[0] for entry in entries},
        {home(entry) for entry in entries if ":" in entry},
    )
    return {
        f"{name}: {proxy}": NOT_FOLLOWED.format(proxy)
        for name, module in program.items()
        if name.partition(".")[0] in roots
        for proxy in module.unloaded
        if proxy not in known
    }


def _lazy_names(probe: Probe, program: Program, jobs: int) -> LazyNames:
    return find_lazy(probe, program, jobs=jobs) if probe.python.version >= LAZY_SINCE else NO_LAZY_NAMES


def _targets_by_package(
    calls: Mapping[str, tuple[ImportRequest, ...]], *, known: Container[str]
) -> dict[str, list[str]]:
    """Return what the calls import and the entries have not brought in, by the top-level package of the call."""
    later: dict[str, dict[str, None]] = {}
    for call, requests in calls.items():
        root = home(call).partition(".")[0]
        for name in (name for request in requests for name in request.targets):
            if name not in known:
                later.setdefault(root, {})[name] = None
    return {root: list(names) for root, names in later.items()}


def _that_matter(model: Model, named: Container[str], *, until: float) -> tuple[list[str], int]:
    """Return the calls that import something that can be part of a cycle and that their module has not imported.

    Those come first that a user of the package is most likely to make. Of the calls in one top-level package that
    import the same, the first stands for all. The second value is how many were not looked at before the time was over.
    """
    reaching = reaching_cycles(model.program, model.rules)
    finished = cache(model.finished_by)
    known: set[tuple[str, frozenset[str]]] = set()
    found: list[str] = []
    ordered = sorted((call for call in model.calls if call not in named), key=_likelihood)
    for place, call in enumerate(ordered):
        if time.monotonic() > until:
            return found, len(ordered) - place
        module = home(call)
        names = {name for request in model.calls[call] for name in request.targets if name in model.program}
        if names.isdisjoint(reaching):
            continue
        package = module.partition(".")[0]
        # A module that its package imports is complete with it, and brings in no more.
        needed = names - finished(package)
        if not needed.isdisjoint(reaching) and module not in finished(package):
            needed -= finished(module)
        if not needed.isdisjoint(reaching) and (package, frozenset(needed)) not in known:
            known.add((package, frozenset(needed)))
            found.append(call)
    return found, 0


def _likelihood(call: str) -> tuple[bool, int]:
    """Sort what users call to the front: public functions, of the modules that are nested least."""
    names = call.replace(":", ".").split(".")
    private = any(name.startswith("_") and not name.endswith("__") for name in names)
    return private, home(call).count(".")
