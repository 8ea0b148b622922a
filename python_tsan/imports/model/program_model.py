"""Combine what a prediction rests on: a program, the rules of a release, and how far its modules are. Pure, no I/O."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from python_tsan.imports.model.import_system import Agendas, ImportSystem
from python_tsan.imports.model.steps import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from python_tsan.imports.model.requests import ImportRequest, Program
    from python_tsan.imports.model.rules import Rules
    from python_tsan.imports.model.source import Sources
    from python_tsan.imports.model.steps import Step

FIRST, SECOND, MAIN = "T1", "T2", "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a prediction rests on.

    ``sources`` answers for the modules' source files; ``phases`` is how far each module is when the
    threads begin (a module that it does not name is absent). ``calls`` has what else a thread requests after it has
    imported an entry, by entry. ``registered`` are the names that lazy imports take from a module, each with the module
    of the import.
    """

    program: Program
    rules: Rules
    sources: Sources
    phases: Mapping[str, Phase] = field(default_factory=dict)
    calls: Mapping[str, tuple[ImportRequest, ...]] = field(default_factory=dict)
    finders_import: bool = False
    registered: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    _agendas: Agendas = field(init=False, default_factory=dict, repr=False, compare=False)

    def machine(self, phases: Mapping[str, Phase] | None = None) -> ImportSystem:
        """Return the import system as the threads find it, or with its modules so far as ``phases`` says."""
        return ImportSystem(
            self.program,
            self.rules,
            phases=dict(self.phases if phases is None else phases),
            finders_import=self.finders_import,
            registered=self.registered,
            agendas=self._agendas,
        )

    def start(self, machine: ImportSystem, thread: str, entry: str, *, stops: bool = True) -> Step:
        """Return the steps of ``thread`` at the imports of ``entry``."""
        return machine.start(thread, home(entry), *self.calls.get(entry, ()), stops=stops)

    def after(self, main: Iterable[str]) -> Model:
        """Return the model in which the main thread has also imported ``main``, in that order."""
        machine = self.machine()
        for module in main:
            collections.deque(self.start(machine, MAIN, module, stops=False), maxlen=0)
        return replace(self, phases=machine.phases)

    def finished_by(self, module: str) -> frozenset[str]:
        """Return the modules that are complete once a lone thread has imported ``module``."""
        return frozenset(name for name, phase in self.after([module]).phases.items() if phase is Phase.DONE)


def home(entry: str) -> str:
    """Return the module of an entry: what a thread imports before it makes the requests of a call."""
    return entry.partition(":")[0]
