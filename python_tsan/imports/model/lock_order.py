"""Build the lock-order graph: while a module's lock is held, which others may be requested. Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.components import component_of
from python_tsan.imports.model.requests import LoadStage
from python_tsan.imports.model.steps import GLOBAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.imports.model.requests import ImportRequest, Module, Program
    from python_tsan.imports.model.rules import Rules

Graph = dict[str, tuple[str, ...]]


def lock_order(program: Program, rules: Rules) -> Graph:
    """Return, for each module, those whose locks may be requested while its own is held.

    A child's parents are among them, save where a release resolves them before it takes the child's lock. Where a
    finder imports, the global import lock is one of them: a search for a module takes it, and a finder holds it.
    """
    graph = {name: tuple(dict.fromkeys(_asked(module, program, rules))) for name, module in program.items()}
    if finding := finder_requests(program):
        graph = {name: (*asked, GLOBAL) for name, asked in graph.items()}
        graph[GLOBAL] = tuple(dict.fromkeys(name for request in finding for name in targets(request, program)))
    return graph


def finder_requests(program: Program) -> list[ImportRequest]:
    """Return what finders request while they look for modules."""
    return [request for module in program.values() for request in module.requests if request.stage is LoadStage.FIND]


def _asked(module: Module, program: Program, rules: Rules) -> Iterator[str]:
    if module.parent in program and not rules.parents_first:
        yield module.parent
    for request in module.requests:
        yield from targets(request, program)


def targets(request: ImportRequest, program: Program) -> Iterator[str]:
    """Yield the modules of a program whose locks a request may request."""
    for target in request.targets:
        parts = target.split(".")
        yield from (name for count in range(len(parts), 0, -1) if (name := ".".join(parts[:count])) in program)


def askers(graph: Graph) -> dict[str, frozenset[str]]:
    """Return, for each module, the others that hold their locks while its own may be requested."""
    found: dict[str, set[str]] = {}
    for name, asked in graph.items():
        for target in asked:
            if target != name:
                found.setdefault(target, set()).add(name)
    return {name: frozenset(names) for name, names in found.items()}


def cyclic_modules(program: Program, rules: Rules) -> dict[str, int]:
    """Return on which component of cycles of the lock-order graph each module lies, as a number, by module.

    A module that is on none cannot be part of a deadlock, nor can two modules that lie on different ones.
    """
    return component_of(lock_order(program, rules))


def reaching_cycles(program: Program, rules: Rules) -> frozenset[str]:
    """Return the modules whose import may request the lock of one that lies on a cycle, those on cycles included."""
    askers: dict[str, list[str]] = {}
    for name, module in program.items():
        asked = {target for request in module.requests for target in targets(request, program)}
        for target in {*asked, module.parent}:
            askers.setdefault(target, []).append(name)
    reached = set(cyclic_modules(program, rules))
    work = list(reached)
    while work:
        for name in askers.get(work.pop(), ()):
            if name not in reached:
                reached.add(name)
                work.append(name)
    return frozenset(reached)
