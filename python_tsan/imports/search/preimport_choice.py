"""Choose what the main thread must import so that no hazard is left; leave trying it to ``preimport``. Pure, no I/O."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports.model.program_model import home
from python_tsan.imports.model.steps import GLOBAL
from python_tsan.imports.search.prediction import predict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from python_tsan.imports.model.program_model import Model
    from python_tsan.imports.search.schedules import Hazard

EXACT_LIMIT = 20_000  # combinations that are tried before the shortest list gives way to a short one


def choose(
    model: Model,
    entries: tuple[str, ...],
    *,
    known: Iterable[Hazard] | None = None,
    advance: Callable[[float], None] = lambda _fraction: None,
) -> tuple[str, ...]:
    """Return the shortest list behind which no hazard between ``entries`` is predicted.

    ``known`` are the hazards that a scan has predicted without a list; they need not be predicted again. ``advance``
    receives how much of the search behind a list is done.

    A hazard needs two modules that are not there yet. Importing a module finishes what it brings in; the list finishes
    one of the two for each hazard. Hazards that only show behind the list are added until none is left (an implicit
    hitting set: Moreno-Centeno and Karp, Operations Research 61(2), 2013).
    """
    conflicts: list[frozenset[str]] = []
    imported = [(home(entry), *(each.module for each in model.calls.get(entry, ()))) for entry in entries]
    candidates = {name: model.finished_by(name) for names in imported for name in names}
    modules: tuple[str, ...] = ()
    hazards = list(predict(model, entries) if known is None else known)
    while hazards:
        for hazard in hazards:
            conflicts.append(frozenset({hazard.awaited, hazard.closing}))
            for name in _named(hazard):
                if name not in candidates:
                    candidates[name] = model.finished_by(name)
        modules = cover(conflicts, candidates, entries)
        hazards = list(predict(model.after(modules), entries, advance))
    return modules


def _named(hazard: Hazard) -> tuple[str, ...]:
    called = (request.module for requests in hazard.calls for request in requests)
    names = (home(hazard.first), home(hazard.second), *called, hazard.awaited, hazard.closing)
    return tuple(name for name in names if name != GLOBAL)


def removers(hazard: Hazard, finishes: Callable[[str], frozenset[str]]) -> tuple[str, ...]:
    """Return the modules of a hazard of which any one, imported on the main thread, removes it.

    ``finishes`` is :meth:`Model.finished_by`, remembered. Those that bring in the least come first. A module
    whose import completes neither of the two that the threads wait for leaves the cycle as it is.
    """
    conflict = {hazard.awaited, hazard.closing}
    brings = {name: finishes(name) for name in dict.fromkeys(_named(hazard))}
    settling = [name for name, finished in brings.items() if not conflict.isdisjoint(finished)]
    return tuple(sorted(settling, key=lambda name: (len(brings[name]), name)))


def cover(
    conflicts: Iterable[frozenset[str]], candidates: dict[str, frozenset[str]], entries: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the fewest ``candidates`` that finish a module of each conflict, those that settle the most first.

    Of candidates that settle the same, one of ``entries`` is taken, then the one that brings in the least. Beyond
    ``EXACT_LIMIT`` combinations it takes the candidate that settles the most again and again, which may be longer.
    Raises SubjectError when not even all of them do.
    """
    pairs = list(dict.fromkeys(conflicts))
    cheapest = sorted(candidates, key=lambda name: (name not in entries, len(candidates[name]), name.count("."), name))
    settles = _useful(
        {
            name: frozenset(index for index, pair in enumerate(pairs) if not pair.isdisjoint(candidates[name]))
            for name in cheapest
        }
    )
    needed = frozenset(range(len(pairs)))
    if frozenset().union(*settles.values()) != needed:
        raise SubjectError("no list of imports on the main thread removes every hazard")
    tried = 0
    for size in range(1, len(settles) + 1):
        for names in combinations(settles, size):
            tried += 1
            if frozenset().union(*(settles[name] for name in names)) == needed:
                return names
            if tried > EXACT_LIMIT:
                return _greedy(settles, needed)
    return ()


def _useful(settles: dict[str, frozenset[int]]) -> dict[str, frozenset[int]]:
    """Leave out each candidate that settles no more than another; of equals the first stays."""
    kept: dict[str, frozenset[int]] = {}
    for name in sorted(settles, key=lambda each: -len(settles[each])):
        if not any(settles[name] <= other for other in kept.values()):
            kept[name] = settles[name]
    return kept


def _greedy(settles: dict[str, frozenset[int]], needed: frozenset[int]) -> tuple[str, ...]:
    chosen: list[str] = []
    while needed:
        chosen.append(max(settles, key=lambda name: len(settles[name] & needed)))
        needed -= settles[chosen[-1]]
    return tuple(name for name in settles if name in chosen)
