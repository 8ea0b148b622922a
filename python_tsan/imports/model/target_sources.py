"""Have the target interpreter read the source of modules: what functions import, and what bodies contain."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from python_tsan.errors import SubjectError
from python_tsan.imports.model.probe import START_SECONDS
from python_tsan.imports.model.requests import ImportRequest, LazyName, Manner
from python_tsan.imports.model.source import Body
from python_tsan.plain_text import one_line
from python_tsan.process import in_parallel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from python_tsan.imports.model.probe import Probe
    from python_tsan.imports.model.requests import Module, Program

SECONDS_A_FILE = 1.0  # the longest module of a large package takes that on a busy machine
MORE_FILES = 4
FILES_A_PROCESS = 16
Calls = dict[str, tuple[ImportRequest, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyNames:
    """What the use of a name requests that an import binds, by the module that binds it and the name.

    The place of a request is its statement. ``unused`` are the names of which an import is still to come. ``problems``
    has a line for each module whose source could not be read.
    """

    bound: Mapping[tuple[str, str], ImportRequest] = field(default_factory=dict)
    unused: Collection[tuple[str, str]] = ()
    problems: Mapping[str, str] = field(default_factory=dict)

    def with_more(self, other: LazyNames) -> LazyNames:
        """Return these names and those of modules that came in later."""
        return LazyNames(
            bound={**other.bound, **self.bound},
            unused={*self.unused, *other.unused},
            problems={**self.problems, **other.problems},
        )


NO_LAZY_NAMES = LazyNames()


@dataclass(slots=True, eq=False)
class TargetSources:
    """The sources of a program, read by the interpreter that imports it, as they are needed.

    Starting it takes as long as parsing several files, and most files are never needed. So each question reads more
    than it asks for, of ``first``, the modules that can be part of a cycle: some more each time, packages first.
    """

    probe: Probe
    program: Program
    first: Collection[str]
    jobs: int
    problems: dict[str, str] = field(default_factory=dict)
    _bodies: dict[str, Body | None] = field(default_factory=dict)
    _questions: int = 0

    def check(self) -> None:
        """Read what has not been read of ``first``, save what the trace has seen compiled and has not changed since."""
        unread = {
            module.file: name
            for name in self.first
            if (module := self.program.get(name))
            and has_source(module.file)
            and module.file not in self._bodies
            and (module.stamp is None or module.stamp != _stamp(module.file))
        }
        if unread:
            self._read(unread)

    def text(self, file: str) -> str | None:
        """Return the text of a file, None if it has no source, as with extension modules."""
        return read_text(file)

    def bodies(self, files: Iterable[str]) -> list[Body | None]:
        """Return the bodies of files in order, None for one that has no source or a problem."""
        needed = list(files)
        missing = {file for file in needed if has_source(file) and file not in self._bodies}
        if missing:
            self._questions += 1
            unread = {
                module.file: name
                for name, module in self.program.items()
                if (name in self.first or module.file in missing)
                and has_source(module.file)
                and module.file not in self._bodies
            }
            others = sorted(unread.keys() - missing, key=lambda file: (not file.endswith("__init__.py"), file))
            more = others[: MORE_FILES * self._questions]
            self._read({file: unread[file] for file in (*missing, *more)})
        return [self._bodies.get(file) for file in needed]

    def _read(self, modules: dict[str, str]) -> None:
        answers = ask(self.probe, "body", [(name, file) for file, name in modules.items()], jobs=self.jobs)
        for file, name in modules.items():
            answer = answers[name]
            self._bodies[file] = msgspec.convert(answer["facts"], Body) if "facts" in answer else None
            if "problem" in answer:
                self.problems[name] = one_line(answer["problem"])


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def find_calls(
    probe: Probe, program: Program, roots: set[str], *, jobs: int, lazy: LazyNames = NO_LAZY_NAMES
) -> tuple[Calls, dict[str, str]]:
    """Return the requests that functions make when they are called, of every module of these top-level packages.

    A function is named ``module:function``, a method ``module:Class.method``, and an attribute that a module's
    ``__getattr__`` loads when it is first read as ``module:attribute``. The uses of ``lazy`` names are requests, too,
    and so are such reads of the modules of other packages.
    The second value has a line for each module whose source could not be read.
    """
    modules = [
        (name, module.file)
        for name, module in program.items()
        if (name.partition(".")[0] in roots or module.has_getattr) and has_source(module.file)
    ]
    answers = ask(probe, "calls", modules, lazy={name: sorted(program[name].lazy) for name, _ in modules}, jobs=jobs)
    problems = {name: one_line(answer["problem"]) for name, answer in answers.items() if "problem" in answer}
    found: Calls = {}
    reads: set[str] = set()
    for name, file in modules:
        for call, requests in answers[name].get("facts", {}).items():
            found[call] = tuple(msgspec.convert({"file": file, **each}, ImportRequest) for each in requests)
            if any("read" in each for each in requests):
                reads.add(call)
    bound: Calls = {f"{owner}:{name}": (lazy.bound[owner, name],) for owner, name in lazy.unused}
    loaded = {
        name: requests
        for name, requests in found.items()
        if name in reads or [request.module for request in requests] == [name.replace(":", ".")]
    }
    if loaded or bound:
        readable = {name: file for name, file in modules if name not in problems}
        names = [*loaded, *bound]
        for name, answer in ask(probe, "attributes", [*readable.items()], names=names, jobs=jobs).items():
            for function, places in answer.get("facts", {}).items():
                call = f"{name}:{function}"
                uses = [
                    replace(each, file=readable[name], line=line)
                    for read, line in places
                    for each in bound.get(read, ())
                ]
                found[call] = (
                    *_together(found.get(call, ()), uses),
                    *(request for read, _ in places for request in loaded.get(read, ())),
                )
    bound.update((name, loaded[name]) for name in reads)
    if bound:
        found = {call: tuple(_with_names(requests, bound)) for call, requests in found.items()}
    return {
        call: requests for call, requests in found.items() if call.partition(".")[0].partition(":")[0] in roots
    }, problems


def _together(known: Iterable[ImportRequest], uses: Iterable[ImportRequest]) -> list[ImportRequest]:
    """Return what a function of one file requests, by line, each once: a submodule can be read by two ways."""
    found: dict[tuple[object, ...], ImportRequest] = {}
    for each in (*known, *uses):
        found.setdefault((each.module, each.names, each.line), each)
    return sorted(found.values(), key=lambda each: each.line)


def _with_names(
    requests: Iterable[ImportRequest], bound: Mapping[str, tuple[ImportRequest, ...]]
) -> Iterator[ImportRequest]:
    """Yield requests, and behind ``from m import x`` what the read of ``m.x`` requests, which may be such again.

    The statement reads it, and so does the use of a name that ``lazy from m import x`` binds.
    """
    for request in requests:
        yield request
        left, seen = [request], set()
        while left:
            each = left.pop(0)
            for read in (f"{each.module}:{name}" for name in each.names):
                if read not in seen:
                    seen.add(read)
                    more = [
                        replace(one, file=request.file, line=request.line, risks=request.risks)
                        for one in bound.get(read, ())
                    ]
                    yield from more
                    left += more


def find_lazy(probe: Probe, program: Program, *, jobs: int) -> LazyNames:
    """Read which names the imports bind of each module that has lazy ones, or that has used some in its body."""
    modules = [
        (name, module.file)
        for name, module in program.items()
        if has_source(module.file) and (module.lazy or any_lazy(module))
    ]
    answers = ask(probe, "lazy", modules, jobs=jobs)
    bound: dict[tuple[str, str], ImportRequest] = {}
    unused: dict[tuple[str, str], None] = {}
    for module, file in modules:
        for item in answers[module].get("facts", ()):
            parent, _, name = item["name"].rpartition(".")
            place = LazyName(owner=parent or module, name=name, place=f"{file}:{item['line']}")
            bound[place.owner, name] = ImportRequest(
                module=item["module"],
                manner=Manner.STATEMENT,
                file=file,
                line=item["line"],
                names=tuple(item["names"]),
                lazy=place,
            )
            # The attribute of a package is loaded when it is missing, by any name of the package.
            if parent or name in program[module].lazy:
                unused[place.owner, name] = None
    problems = {name: one_line(answer["problem"]) for name, answer in answers.items() if "problem" in answer}
    return LazyNames(bound=bound, unused=unused, problems=problems)


def with_places(program: Program, lazy: LazyNames) -> Program:
    """Return a program whose uses of lazy names know what bound them, where a statement explains it."""
    explained: dict[tuple[str, tuple[str, ...]], list[LazyName]] = {}
    for request in lazy.bound.values():
        if request.lazy:
            explained.setdefault((request.module, request.names), []).append(request.lazy)

    def placed(request: ImportRequest) -> ImportRequest:
        if request.lazy is None:
            return request
        names = explained.get((request.module, request.names), ())
        own = (each for each in names if each.place.startswith(f"{request.file}:"))
        return replace(request, lazy=next(own, next(iter(names), request.lazy)))

    return {
        name: replace(module, requests=tuple(map(placed, module.requests))) if any_lazy(module) else module
        for name, module in program.items()
    }


def registered(program: Program, lazy: LazyNames) -> dict[str, frozenset[tuple[str, str]]]:
    """Return the names that lazy imports take from a module, each with the module of the import, by module."""
    used = {(each.lazy.owner, each.lazy.name) for module in program.values() for each in module.requests if each.lazy}
    found: dict[str, set[tuple[str, str]]] = {}
    for (owner, _), request in lazy.bound.items():
        for name in request.names:
            if request.lazy and ((owner, request.lazy.name) in lazy.unused or (owner, request.lazy.name) in used):
                found.setdefault(request.module, set()).add((name, owner))
    return {module: frozenset(names) for module, names in found.items()}


def any_lazy(module: Module) -> bool:
    """Return whether a body has used a lazy name."""
    return any(request.lazy for request in module.requests)


def ask(
    probe: Probe,
    kind: str,
    modules: Sequence[tuple[str, str]],
    *,
    names: Sequence[str] = (),
    lazy: Mapping[str, Sequence[str]] | None = None,
    jobs: int,
) -> dict[str, dict[str, Any]]:
    """Return the answer of ``source_reader`` for each of the modules, which are pairs of name and file, by name.

    Raises SubjectError when the interpreter ends before it has answered for all of them.
    """
    processes = min(jobs, math.ceil(len(modules) / FILES_A_PROCESS))
    shares = [modules[number::processes] for number in range(processes)]
    answers = in_parallel(lambda share: _ask(probe, kind, share, names, lazy or {}), shares, jobs=jobs)
    return {name: answer for share in answers for name, answer in share.items()}


def _ask(
    probe: Probe, kind: str, modules: Sequence[tuple[str, str]], names: Sequence[str], lazy: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    deadline = START_SECONDS + probe.patience + SECONDS_A_FILE * len(modules)
    with tempfile.NamedTemporaryFile("w", prefix="python-tsan-sources-", suffix=".json") as order:
        wanted = {name: lazy[name] for name, _ in modules if lazy.get(name)}
        json.dump({"kind": kind, "modules": list(modules), "names": list(names), "lazy": wanted}, order)
        order.flush()
        lines = probe.lines(["sources", order.name], what="reading the source of modules", deadline=deadline)
    answers = {line["module"]: line for line in lines if "module" in line}
    if len(answers) < len(modules):
        unread = next(name for name, _ in modules if name not in answers)
        raise SubjectError(f"the interpreter ended before it had read the source of {unread}")
    return answers


def has_source(file: str) -> bool:
    """Return whether a module's file is source text; extension modules and namespace packages have none."""
    return file.endswith(".py")


@cache
def read_text(file: str) -> str | None:
    """Return the text of a file to quote lines from, None if it does not exist."""
    if not has_source(file):
        return None
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
