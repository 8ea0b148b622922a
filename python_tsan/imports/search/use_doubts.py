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
from python_tsan.imports.model.steps import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.imports.model.program_model import Model
    from python_tsan.imports.model.requests import ImportRequest

_WORDS = {
    FINALIZER: "a __del__ uses the lazy name {0}: if it runs while its thread imports {0}, it gets an ImportCycleError",
    HANDLER: "a signal handler uses the lazy name {0}: in a thread that imports {0}, it gets an ImportCycleError",
    FORK: "{0} is imported after a fork: if another thread was importing {0}, the child waits forever",
}
# Without one of them, a source need not be parsed for its locks.
_TAKES_LOCK = re.compile(r"^\s*with\s+[\w.]+\s*(?:as\b|[,:])|\.acquire\(", re.MULTILINE)
_REMEDY = "; import {0} on the main thread first"


@dataclass(frozen=True, slots=True, kw_only=True)
class UseDoubt:
    """A function ``call`` that requests ``module`` at ``place``, and in ``text`` what can go wrong there."""

    call: str
    module: str
    place: str
    text: str


def use_doubts(model: Model, entries: Iterable[str]) -> tuple[UseDoubt, ...]:
    """Return the doubts about the calls of a model and the bodies of ``entries``: one for a module and a lock."""
    found: dict[tuple[str, str], UseDoubt] = {}
    for name, module, request in (*_of_bodies(model, entries), *_of_calls(model)):
        for kind, text in _texts(model, request):
            doubt = UseDoubt(call=name, module=module, place=request.place, text=text + _REMEDY.format(module))
            found.setdefault((module, kind if kind.startswith(LOCK) else name), doubt)
    return tuple(found.values())


def _of_calls(model: Model) -> Iterator[tuple[str, str, ImportRequest]]:
    """Yield the requests with a risk by which a call may import a module, with both names."""
    finished = cache(lambda module: model.after([module]).phases)
    for call, requests in model.calls.items():
        first = {request.module: request for request in reversed(requests)}  # later ones find the module complete
        for module, request in first.items():
            if request.risks and finished(home(call)).get(module) is not Phase.DONE:
                yield call, module, request


def _of_bodies(model: Model, entries: Iterable[str]) -> Iterator[tuple[str, str, ImportRequest]]:
    """Yield the requests that the body of an entry makes with a lock held."""
    named = (module for name in entries if (module := model.program.get(name)))
    modules = [each for each in named if _TAKES_LOCK.search(model.sources.text(each.file) or "")]
    for module, body in zip(modules, model.sources.bodies([each.file for each in modules]), strict=True):
        locks = body.locks if body else ()
        first = {request.module: request for request in reversed(module.requests)}
        for request in first.values():
            line = request.body_line or request.line
            held = tuple(f"{LOCK}{lock}" for begin, end, lock in locks if begin <= line <= end)
            if held and model.phases.get(request.module) is not Phase.DONE:
                yield module.name, request.module, replace(request, risks=held)


def _texts(model: Model, request: ImportRequest) -> Iterator[tuple[str, str]]:
    name = request.module
    for risk in request.risks:
        if risk in _WORDS:
            yield risk, _WORDS[risk].format(name)
        elif taken := _taken(model, request, lock := risk.removeprefix(LOCK)):
            module, line = taken
            where = f"{model.program[module].file}:{line}"
            held = f"{name} is imported with {lock} held, which the body of {module} takes at {where}"
            yield risk, f"{held}: a thread that is importing it and this one wait for each other forever"


def _taken(model: Model, request: ImportRequest, lock: str) -> tuple[str, int] | None:
    """Return a module that the request loads whose body takes the lock, and in which line."""
    loaded = [name for name in _loaded(model, request) if name in model.program]
    bodies = model.sources.bodies([model.program[name].file for name in loaded])
    places = (
        (name, line)
        for name, body in zip(loaded, bodies, strict=True)
        if body
        for line, _, at in body.locks
        if at == lock
    )
    return next(places, None)


def _loaded(model: Model, request: ImportRequest) -> list[str]:
    """Return the modules that a request loads, as far as they are not complete when the threads begin."""
    left = [request.module, *(f"{request.module}.{name}" for name in request.names)]
    found: dict[str, None] = {}
    while left:
        name = left.pop()
        module = model.program.get(name)
        if name in found or module is None or model.phases.get(name) is Phase.DONE:
            continue
        found[name] = None
        left += [module.parent, *(each.module for each in module.requests)]
        left += [f"{each.module}.{part}" for each in module.requests for part in each.names]
    return list(found)
