"""Describe the modules of a program: which module requests which, where, and when. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Manner(Enum):
    """How a module is requested. The two wait in different ways up to 3.14."""

    STATEMENT = "statement"
    BY_NAME = "by_name"  # importlib.import_module


class LoadStage(Enum):
    """When in its loading a module makes a request."""

    FIND = "find"  # by a finder, with the global import lock held
    CREATE = "create"  # before it is in sys.modules, as in a PyInit_* function
    BODY = "body"

    # As in Phase: the hash of a member's name would be the slowest part of a large search.
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyName:
    """The name whose use is a request: the attribute ``name`` of the module ``owner``, bound at ``place`` (PEP 810).

    All are empty where a trace has seen the use, and not what bound the name.
    """

    owner: str
    name: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """One import request: ``module`` is requested at ``file:line``, and ``names`` are taken from it.

    ``body_line`` is where the body stands that makes it, which may call a function elsewhere; 0 if it is not known.
    ``lazy`` is the name of which this is the first use, None for an import statement. ``risks`` are what matters there
    besides module locks, in the words of ``import_cases.use_risks``.
    """

    module: str
    manner: Manner
    file: str
    line: int
    names: tuple[str, ...] = ()
    stage: LoadStage = LoadStage.BODY
    body_line: int = 0
    lazy: LazyName | None = None
    risks: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where the request stands, as an editor takes it."""
        return f"{self.file}:{self.line}"

    @property
    def targets(self) -> tuple[str, ...]:
        """What may be modules of all that is requested, the outer one first: a name that is taken need not be one."""
        return (self.module, *(f"{self.module}.{name}" for name in self.names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module and the requests that its loading makes, in order.

    ``lazy`` are the names of it that nothing has used by the end of its body: their first use is an import. ``stamp``
    is time and size of a source that was certainly compiled, None where that is not known. With ``has_getattr``, a
    read of it may import. ``unloaded`` are modules that it binds, and that ``LazyLoader`` imports when they are read.
    """

    name: str
    file: str = ""
    requests: tuple[ImportRequest, ...] = ()
    lazy: frozenset[str] = frozenset()
    stamp: tuple[int, ...] | None = None
    has_getattr: bool = False
    unloaded: tuple[str, ...] = ()

    @property
    def parent(self) -> str:
        """The package that holds it, or an empty string."""
        return self.name.rpartition(".")[0]


Program = dict[str, Module]


def read_trace(trace: Mapping[str, Any]) -> Program:
    """Read the JSON object that ``import_cases.probe trace`` prints."""
    return msgspec.convert(trace["modules"], Program)


def merge(programs: Iterable[Program]) -> Program:
    """Join the traces of several roots: what a module requests may depend on what was there before.

    To the longer of two records of one module come the requests that only the other has, in the order of their lines.
    """
    merged: Program = {}
    for program in programs:
        for name, module in program.items():
            known = merged.get(name)
            both = module if known is None else _join(*sorted((module, known), key=lambda each: len(each.requests)))
            merged[name] = both
    return merged


def _join(shorter: Module, longer: Module) -> Module:
    requests = list(longer.requests)
    for request in shorter.requests:
        if request not in longer.requests:
            later = (
                place
                for place, each in enumerate(requests)
                if (each.stage, each.file) == (request.stage, request.file) and each.line > request.line
            )
            requests.insert(next(later, len(requests)), request)
    return replace(longer, requests=tuple(requests), lazy=longer.lazy | shorter.lazy)
