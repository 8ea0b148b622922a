"""Have the target interpreter read the source of modules: what functions import, and what bodies contain."""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from python_tsan.errors import SubjectError
from python_tsan.imports.model.probe import START_SECONDS
from python_tsan.imports.model.requests import ImportRequest, Manner
from python_tsan.imports.model.source import Body, read_body
from python_tsan.plain_text import one_line
from python_tsan.process import in_parallel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from python_tsan.imports.model.probe import Probe
    from python_tsan.imports.model.requests import Program

SECONDS_A_FILE = 1.0  # the longest module of a large package takes that on a busy machine
MORE_FILES = 4
FILES_A_PROCESS = 16
Calls = dict[str, tuple[ImportRequest, ...]]


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
            self._bodies[file] = read_body(answer["facts"]) if "facts" in answer else None
            if "problem" in answer:
                self.problems[name] = one_line(answer["problem"])


def find_calls(probe: Probe, program: Program, roots: set[str], *, jobs: int) -> tuple[Calls, dict[str, str]]:
    """Return the requests that functions make when they are called, of every module of these top-level packages.

    A function is named ``module:function``, a method ``module:Class.method``, and an attribute that a module's
    ``__getattr__`` loads when it is first read as ``module:attribute``. The second value has a line for each module
    whose source could not be read.
    """
    modules = [
        (name, module.file)
        for name, module in program.items()
        if name.partition(".")[0] in roots and has_source(module.file)
    ]
    answers = ask(probe, "calls", modules, jobs=jobs)
    problems = {name: one_line(answer["problem"]) for name, answer in answers.items() if "problem" in answer}
    found: Calls = {}
    for name, file in modules:
        for call, requests in answers[name].get("facts", {}).items():
            found[call] = tuple(_request(each, file) for each in requests)
    lazy = {name: requests for name, requests in found.items() if _is_attribute(name, requests)}
    if lazy:
        readable = [(name, file) for name, file in modules if name not in problems]
        for name, answer in ask(probe, "attributes", readable, names=list(lazy), jobs=jobs).items():
            for function, reads in answer.get("facts", {}).items():
                call = f"{name}:{function}"
                found[call] = (*found.get(call, ()), *(request for read in reads for request in lazy[read]))
    return found, problems


def _request(item: dict[str, Any], file: str) -> ImportRequest:
    return ImportRequest(
        module=item["module"],
        manner=Manner(item["kind"]),
        file=file,
        line=item["line"],
        names=tuple(item["names"]),
    )


def _is_attribute(name: str, requests: tuple[ImportRequest, ...]) -> bool:
    return [request.module for request in requests] == [name.replace(":", ".")]


def ask(
    probe: Probe, kind: str, modules: Sequence[tuple[str, str]], *, names: Sequence[str] = (), jobs: int
) -> dict[str, dict[str, Any]]:
    """Return the answer of ``source_reader`` for each of the modules, which are pairs of name and file, by name.

    Raises SubjectError when the interpreter ends before it has answered for all of them.
    """
    processes = min(jobs, math.ceil(len(modules) / FILES_A_PROCESS))
    shares = [modules[number::processes] for number in range(processes)]
    answers = in_parallel(lambda share: _ask(probe, kind, share, names), shares, jobs=jobs)
    return {name: answer for share in answers for name, answer in share.items()}


def _ask(
    probe: Probe, kind: str, modules: Sequence[tuple[str, str]], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    deadline = START_SECONDS + probe.patience + SECONDS_A_FILE * len(modules)
    with tempfile.NamedTemporaryFile("w", prefix="python-tsan-sources-", suffix=".json") as order:
        json.dump({"kind": kind, "modules": list(modules), "names": list(names)}, order)
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
