"""Predict what no pair of module locks explains: functions that import with a lock held, or where nobody may wait.

Directed runs do not try it, because they follow imports and not the program's own code. So it is reported as a doubt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from python_tsan.imports.cases.import_cases.use_risks import FINALIZER, FORK, HANDLER, LOCK
from python_tsan.imports.model.program_model import home
from python_tsan.imports.model.source import statement_at
from python_tsan.imports.model.steps import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from python_tsan.imports.model.program_model import Model
    from python_tsan.imports.model.requests import ImportRequest

_WORDS = {
    FINALIZER: "a __del__ uses the lazy name {0}: if it runs while its thread imports {0}, it gets an ImportCycleError",
    HANDLER: "a signal handler uses the lazy name {0}: in a thread that imports {0}, it gets an ImportCycleError",
    FORK: "{0} is imported after a fork: if another thread was importing {0}, the child waits forever",
}
_MOST_NAMES = 8  # by which one thing is known; names that mean each other have no end
# Without one of them, a source need not be parsed for its locks.
_TAKES_LOCK = re.compile(r"^\s*with\s+[\w.]+\s*(?:as\b|[,:])|\.acquire\(", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseDoubt:
    """A function ``entry`` that imports ``module`` at ``where``, and in ``text`` what else can go wrong there."""

    entry: str
    module: str
    where: str
    statement: str
    text: str


def use_doubts(model: Model, entries: Iterable[str]) -> tuple[UseDoubt, ...]:
    """Return the doubts about the calls of a model and the bodies of ``entries``: one for a module and a lock."""
    found: dict[tuple[str, str], UseDoubt] = {}
    for name, request, phases in (*_of_bodies(model, entries), *_of_calls(model)):
        absent = [each for each in _targets(model, request) if phases.get(each) is not Phase.DONE]
        for kind, text in _texts(model, request, absent[-1], phases) if absent else ():
            doubt = UseDoubt(
                entry=name,
                module=absent[-1],
                where=request.place,
                statement=statement_at(request.place, read=model.sources.text),
                text=f"{text}; import {absent[-1]} on the main thread first",
            )
            found.setdefault((absent[-1], kind if kind.startswith(LOCK) else name), doubt)
    return tuple(found.values())


def _of_calls(model: Model) -> Iterator[tuple[str, ImportRequest, Mapping[str, Phase]]]:
    """Yield each call's requests that have a risk, with its name and how far modules are when it is called."""
    finished = cache(lambda module: model.after([module]).phases)
    for call, requests in model.calls.items():
        if any(request.risks for request in requests):
            yield from ((call, each, finished(home(call))) for each in _first(model, requests) if each.risks)


def _of_bodies(model: Model, entries: Iterable[str]) -> Iterator[tuple[str, ImportRequest, Mapping[str, Phase]]]:
    """Yield the requests that the body of an entry makes with a lock held, as those of calls."""
    named = (module for name in entries if (module := model.program.get(name)))
    modules = [each for each in named if _takes_lock(model, each.file)]
    for module, body in zip(modules, model.sources.bodies([each.file for each in modules]), strict=True):
        for request in _first(model, module.requests):
            line = request.body_line or request.line
            locks = body.locks if body else ()
            held = tuple(f"{LOCK}{lock}" for begin, end, lock in locks if begin <= line <= end)
            if held:
                yield module.name, replace(request, risks=held), model.phases


def _first(model: Model, requests: Iterable[ImportRequest]) -> list[ImportRequest]:
    """Return the requests that are not made before: a later one finds its modules complete."""
    return list({_targets(model, each): each for each in reversed([*requests])}.values())


def _targets(model: Model, request: ImportRequest) -> tuple[str, ...]:
    """Return the modules that a request names, the outer one first."""
    outer, *parts = request.targets
    return (outer, *(name for name in parts if name in model.program))


def _texts(model: Model, request: ImportRequest, name: str, phases: Mapping[str, Phase]) -> Iterator[tuple[str, str]]:
    for risk in request.risks:
        if risk in _WORDS:
            yield risk, _WORDS[risk].format(name)
        elif taken := _taken(model, _loaded(model, request, phases), lock := risk.removeprefix(LOCK)):
            module, file, line = taken
            where = f"{file}:{line}"
            held = f"{name} is imported with {lock} held, which the body of {module} takes at {where}"
            yield risk, f"{held}: a thread that is importing it and this one wait for each other forever"


def _taken(model: Model, loaded: Sequence[str], lock: str) -> tuple[str, str, int] | None:
    """Return the first of the modules whose body takes the lock, and where: it may call what takes it elsewhere."""
    meant = _full(model, lock)
    model.sources.bodies([model.program[name].file for name in loaded])  # in one question
    return next(
        (
            (name, file, line)
            for name in loaded
            for file, line, taken in _locks(model, name)
            if _full(model, taken) == meant
        ),
        None,
    )


def _locks(model: Model, module: str) -> Iterator[tuple[str, int, str]]:
    """Yield file and line where a body takes a lock, or what it calls by name: here, and in modules that take locks."""
    seen, left = set(), [(module, "")]
    while left:
        name, function = left.pop(0)
        file = model.program[name].file
        known = (name, function) in seen or (name != module and not _takes_lock(model, file))
        body = None if known else model.sources.bodies([file])[0]
        seen.add((name, function))
        if body is None:
            continue
        taken = body.taken.get(function, ()) if function else [(line, lock) for line, _, lock in body.locks]
        yield from ((file, line, lock) for line, lock in taken)
        for call in body.calls.get(function, ()):
            home, called = _split(model, _full(model, call))
            left += [(home, called), (home, f"{called}.__init__")] if home else []


def _takes_lock(model: Model, file: str) -> bool:
    return bool(_TAKES_LOCK.search(model.sources.text(file) or ""))


def _full(model: Model, name: str) -> str:
    """Return a dotted name without what stands in it for something of another module, or for an object of a class."""
    for _ in range(_MOST_NAMES):
        home, rest = _split(model, name)
        first, dot, more = rest.partition(".")
        body = model.sources.bodies([model.program[home].file])[0] if home else None
        if body is None or first not in body.aliases:
            break
        name = f"{body.aliases[first]}{dot}{more}"
    return name


def _split(model: Model, name: str) -> tuple[str, str]:
    """Return the module of the program that a dotted name begins with, and the rest; the first is empty without one."""
    parts = name.split(".")
    homes = (".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    home = next((each for each in homes if each in model.program), "")
    return home, name[len(home) + 1 :] if home else name


def _loaded(model: Model, request: ImportRequest, phases: Mapping[str, Phase]) -> list[str]:
    """Return the modules that a request loads, as far as they are not complete before."""
    left = [*_targets(model, request)]
    found: dict[str, None] = {}
    while left:
        name = left.pop()
        module = model.program.get(name)
        if name in found or module is None or phases.get(name) is Phase.DONE:
            continue
        found[name] = None
        left.append(module.parent)
        left += [target for each in module.requests for target in _targets(model, each)]
    return list(found)
