"""Own what is known of the modules of a program: which module asks for which, where, and when. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Manner(Enum):
    """How a module is asked for. The two wait in different ways up to 3.14."""

    STATEMENT = "statement"
    BY_NAME = "by_name"  # importlib.import_module


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One import request: ``module`` is asked for at ``file:line``, and ``names`` are taken from it.

    ``created`` is False while the asking module is not in ``sys.modules`` yet, as in a ``PyInit_*`` function.
    """

    module: str
    manner: Manner
    file: str
    line: int
    names: tuple[str, ...] = ()
    created: bool = True

    @property
    def place(self) -> str:
        """Where the request stands, as an editor takes it."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module and the requests that its loading makes, in order."""

    name: str
    file: str = ""
    requests: tuple[Request, ...] = ()

    @property
    def parent(self) -> str:
        """The package that holds it, or an empty string."""
        return self.name.rpartition(".")[0]


Program = dict[str, Module]


def read_trace(trace: Mapping[str, Any]) -> Program:
    """Read the JSON object that ``import_probe trace`` prints."""
    return {
        name: Module(name=name, file=entry["file"], requests=tuple(_read_request(item) for item in entry["requests"]))
        for name, entry in trace["modules"].items()
    }


def _read_request(item: Mapping[str, Any]) -> Request:
    return Request(
        module=item["module"],
        manner=Manner(item["kind"]),
        file=item["file"],
        line=item["line"],
        names=tuple(item["names"]),
        created=item["created"],
    )


def merge(programs: Iterable[Program]) -> Program:
    """Join the traces of several roots. Of two records of one module the longer is kept.

    A module's body runs once in each trace, but what it asks for may depend on what was there before.
    """
    merged: Program = {}
    for program in programs:
        for name, module in program.items():
            known = merged.get(name)
            if known is None or len(module.requests) > len(known.requests):
                merged[name] = module
    return merged
