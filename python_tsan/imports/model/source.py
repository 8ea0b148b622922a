"""Answer what a module's source means for a prediction: names bound before a line, attributes read too early. Pure.

A partially initialized module that is handed out does no harm by itself, but an attribute that it has not bound yet,
read before its body has ended, does. Reads are looked for in the body that requested it, and in functions there that
bodies call. The facts come from the target's own parser, by ``import_cases.source_reader``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

_MODULE_NAMES = frozenset({"__name__", "__doc__", "__file__", "__path__", "__package__", "__spec__", "__loader__"})
_STATEMENT = -1  # the level of an ``import`` statement among the facts
Read = tuple[str, str]  # a dotted name, and the attribute that is read of it


def statement_at(place: str, *, read: Callable[[str], str | None]) -> str:
    """Return the line of source at a place ``file:line``, without its indentation; empty if it is unavailable."""
    file, _, line = place.rpartition(":")
    lines = (read(file) or "").splitlines() if file else []
    return lines[int(line) - 1].strip() if lines and 0 < int(line) <= len(lines) else ""


class Sources(Protocol):
    """What a model knows of source files. ``problems`` has a line for each file that could not be read or parsed."""

    @property
    def problems(self) -> Mapping[str, str]:
        """Why files have no body, by module."""

    def check(self) -> None:
        """Add a problem for each module of a cycle whose source cannot be parsed, also if no question has read it."""

    def text(self, file: str) -> str | None:
        """Return the text of a file, None if it has no source, as with extension modules."""

    def bodies(self, files: Iterable[str]) -> list[Body | None]:
        """Return the bodies of files in order, None for one that has no source or a problem."""


@dataclass(frozen=True, eq=False)
class Body:
    """What the target's parser reports of one module's body, as ``source_reader.body_of`` writes it.

    The last four are what ``use_risks.locks_of`` returns.
    """

    bindings: tuple[tuple[int, str], ...]
    imports: tuple[tuple[int, str, str, str], ...]
    reads: tuple[tuple[int, str, str], ...]
    functions: dict[str, tuple[Read, ...]]
    called: frozenset[str]
    locks: tuple[tuple[int, int, str], ...] = ()
    calls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    taken: dict[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def bound_before(self, line: int) -> frozenset[str] | None:
        """Return the names bound by statements that begin before ``line``, or None behind a star import.

        Names bound in only one branch count, since a name that may be there must not be reported as missing.
        """
        names = frozenset(name for at, name in self.bindings if at < line)
        return None if "*" in names else names | _MODULE_NAMES

    def read_of(
        self,
        target: str,
        *,
        package: str,
        line: int,
        outer: Iterable[Body] | None,
        awaited: Container[str] = (),
    ) -> frozenset[str]:
        """Return the attributes of the module ``target`` that bodies read once this one has imported it at ``line``.

        This body is in ``package``; ``outer`` are the bodies that wait for it. Without ``outer``, every function of
        this body counts as called. A read that the source itself tests first, by ``hasattr`` or a ``try``, does not
        count. Nor does one of the attributes ``awaited`` in a function that only ``outer`` call: it waits for the
        module, whose lock nobody needs by then.
        """
        names = frozenset(self._names_for(target, package))
        if not names:
            return frozenset()
        functions = self._functions
        called = functions if outer is None else functions & self.called.union(*(body.called for body in outer))
        reads = [(name, attribute) for at, name, attribute in self.reads if at > line]
        reads += (
            (name, attribute)
            for function in called
            for name, attribute in self.functions[function]
            if outer is None or function in self.called or attribute not in awaited
        )
        return frozenset(attribute for name, attribute in reads if name in names)

    @cached_property
    def _functions(self) -> frozenset[str]:
        return frozenset(self.functions)

    def _names_for(self, target: str, package: str) -> Iterator[str]:
        """Yield the names, dotted as they are written, by which this body knows the module ``target``."""
        for level, module, name, alias in self.imports:
            if level == _STATEMENT:
                if module == target:
                    yield alias or target
                continue
            parents = package.split(".")
            base = parents[: len(parents) - level + 1] if level else []
            if ".".join([*base, *filter(None, [module]), name]) == target:
                yield alias or name
