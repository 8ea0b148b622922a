"""Model CPython's import system: modules, their locks, and threads that can be stopped inside an import.

It follows ``importlib._bootstrap`` and ``import_ensure_initialized`` by the rules of one release. Which schedules to
try, and what a conflict means, is left to ``search``. Pure, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_tsan.imports.model.requests import ImportRequest, LoadStage, Manner, Module
from python_tsan.imports.model.steps import GLOBAL, Deadlock, Handout, Nested, Phase, Point, Step, Waiting, unnest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from python_tsan.imports.model.requests import Program
    from python_tsan.imports.model.rules import Rules


# Requests in order, each with the modules that are looked up to decide whether all of it is there.
Agenda = tuple[tuple[ImportRequest, tuple[str, ...]], ...]
Agendas = dict[tuple[str, LoadStage], Agenda]  # by module and stage


@dataclass(slots=True)
class _Lock:
    owner: str
    count: int = 1


@dataclass(slots=True)
class ImportSystem:
    """The import system at one moment. Threads are named; each drives a generator made by ``start``."""

    program: Program
    rules: Rules
    phases: dict[str, Phase] = field(default_factory=dict)
    finders_import: bool = False
    registered: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    agendas: Agendas = field(default_factory=dict)  # of this program, filled as they are needed
    handouts: list[Handout] = field(default_factory=list)
    stacks: dict[str, list[tuple[str, ImportRequest | None]]] = field(default_factory=dict)
    asking: dict[str, ImportRequest | None] = field(default_factory=dict)
    lookups: list[str] = field(default_factory=list)  # each module that was looked up, each time
    changed: list[tuple[int, str]] = field(default_factory=list)  # whose phase or owner has changed, after which look
    brought: dict[str, tuple[Manner, ImportRequest | None]] = field(
        default_factory=dict
    )  # how a module came to be loaded
    _locks: dict[str, _Lock] = field(default_factory=dict)
    _awaited: dict[str, str] = field(default_factory=dict)
    _making: set[str] = field(default_factory=set)  # what is being found or created
    _stopped: set[str] = field(default_factory=set)

    def start(self, thread: str, entry: str, *later: ImportRequest, stops: bool = True) -> Step:
        """Return the steps of ``thread`` importing ``entry`` with a statement and then making ``later`` requests.

        Without ``stops`` it is never stopped, only sleeps: its steps are only waits.
        """
        self.stacks[thread] = []
        if stops:
            self._stopped.add(thread)
        return unnest(self._steps(thread, entry, later))

    def _steps(self, thread: str, entry: str, later: Iterable[ImportRequest]) -> Nested:
        yield from self._statement(thread, entry, None)
        for request in later:
            yield from self._request(thread, request)

    def lock_for(self, thread: str, names: Iterable[str]) -> None:
        """Let ``thread`` own the locks of these modules, as if it had taken them."""
        self._locks.update({name: _Lock(thread) for name in names})

    def held_by(self, thread: str) -> list[str]:
        """Names of the modules whose locks ``thread`` owns, in the order in which it took them."""
        return [name for name, lock in self._locks.items() if lock.owner == thread]

    def owns(self, thread: str, name: str) -> bool:
        """Return whether ``thread`` owns the lock of a module."""
        lock = self._locks.get(name)
        return lock is not None and lock.owner == thread

    def awaited_attributes(self, module: str) -> frozenset[str]:
        """Return the attributes of which a read waits for the module that has not bound them yet.

        CPython takes what any module has bound by ``lazy from module import name`` for a submodule that may be loaded.
        """
        known = self.registered.get(module, frozenset())
        return frozenset(name for name, owner in known if owner not in self.program or owner in self.phases)

    def phase(self, name: str) -> Phase:
        """Return how far a module is. One that the program does not know was there from the beginning."""
        if name not in self.program:
            return Phase.DONE
        self.lookups.append(name)
        return self.phases.get(name, Phase.ABSENT)

    def _import(self, thread: str, name: str, manner: Manner, request: ImportRequest | None) -> Nested:
        phase = self.phase(name)
        if phase is Phase.DONE:
            return
        if phase is Phase.EXECUTING:
            hard = manner is Manner.BY_NAME and not self.rules.by_name_accepts_partial
            yield from self._wait_for(thread, name, request, hard=hard)
            return
        if manner is Manner.STATEMENT and not self.rules.looks_twice:
            # The module was absent, and that is settled: it is waited for as such even if it is there by then.
            yield from self._stop(thread, Phase.ASKING, name)
        if self.rules.parents_first:
            yield from self._parents(thread, name, manner)
        yield from self._acquire(thread, name, request, hard=True)
        try:
            if not self._listed(name):
                yield from self._load(thread, self.program[name], manner, request)
        finally:
            self._release(name)

    def _wait_for(self, thread: str, name: str, request: ImportRequest | None, *, hard: bool) -> Nested:
        """Take and release the lock of a module that is being executed; without ``hard``, accept it as it is."""
        before = len(self.handouts)
        yield from self._acquire(thread, name, request, hard=hard)
        if len(self.handouts) == before:
            self._release(name)

    def _parents(self, thread: str, name: str, manner: Manner) -> Nested:
        """Follow ``_resolve_parents`` of 3.15: wait for initialising ancestors, then import the immediate parent."""
        parts = name.split(".")
        for count in range(1, len(parts) - 1):
            ancestor = ".".join(parts[:count])
            if self.phase(ancestor) is Phase.EXECUTING:
                yield from self._wait_for(thread, ancestor, None, hard=False)
        if len(parts) > 1:
            yield self._import(thread, ".".join(parts[:-1]), manner, None)

    def _load(self, thread: str, module: Module, manner: Manner, request: ImportRequest | None) -> Nested:
        """Follow ``_find_and_load_unlocked``: the parent first, then create and execute the module."""
        self.brought.setdefault(module.name, (manner, request))
        self.stacks[thread].append((module.name, request))
        parent = self.phase(module.parent) if module.parent else Phase.DONE
        absent = parent in {Phase.ABSENT, Phase.CREATING}
        if absent or (parent is Phase.EXECUTING and self.rules.child_waits_for_parent):
            yield self._import(thread, module.parent, manner, None)
        if not self._listed(module.name):
            # What it requests while it is created may request itself, which is created then and requests no more.
            again = module.name in self._making
            self._making.add(module.name)
            if self.finders_import and not again:
                yield from self._find(thread, module)
            self._enter(module.name, Phase.CREATING)
            yield from self._stop(thread, Phase.CREATING, module.name)
            if not again:
                yield from self._requests(thread, module, LoadStage.CREATE)
                self._making.discard(module.name)
            self._enter(module.name, Phase.EXECUTING)
            yield from self._stop(thread, Phase.EXECUTING, module.name)
            yield from self._requests(thread, module, LoadStage.BODY)
            self._enter(module.name, Phase.DONE)
        self.stacks[thread].pop()

    def _stop(self, thread: str, phase: Phase, name: str) -> tuple[Point, ...]:
        return (Point(phase=phase, module=name),) if thread in self._stopped else ()

    def _enter(self, name: str, phase: Phase) -> None:
        self.phases[name] = phase
        self._note_change(name)

    def _note_change(self, name: str) -> None:
        self.changed.append((len(self.lookups), name))

    def _find(self, thread: str, module: Module) -> Nested:
        """Follow ``_find_spec``: the finders run with the global import lock held, and may import themselves."""
        yield from self._stop(thread, Phase.FINDING, module.name)
        yield from self._acquire(thread, GLOBAL, None, hard=True)
        yield from self._requests(thread, module, LoadStage.FIND)
        self._release(GLOBAL)

    def _requests(self, thread: str, module: Module, stage: LoadStage) -> Iterable[Point | Waiting | Nested]:
        agenda = self.agendas.get((module.name, stage))
        if agenda is None:
            agenda = tuple((each, self._settled_by(each)) for each in module.requests if each.stage is stage)
            self.agendas[module.name, stage] = agenda
        return self._follow(thread, agenda) if agenda else ()

    def _follow(self, thread: str, agenda: Agenda) -> Nested:
        for request, names in agenda:
            for name in names:  # of most of what a program requests, all is complete
                self.lookups.append(name)
                if self.phases.get(name) is not Phase.DONE:
                    yield self._request(thread, request)
                    break

    def _settled_by(self, request: ImportRequest) -> tuple[str, ...]:
        """Return the modules of the program that are complete if all is there that a request requests."""
        if request.names:
            others = [f"{request.module}.{name}" for name in request.names]
        else:
            others = [] if request.manner is Manner.BY_NAME else [request.module.partition(".")[0]]
        return tuple(name for name in (request.module, *others) if name in self.program)

    def _request(self, thread: str, request: ImportRequest) -> Nested:
        if request.manner is Manner.STATEMENT and not request.names:
            yield from self._statement(thread, request.module, request)
            return
        yield from self._import(thread, request.module, request.manner, request)
        for name in request.names:
            # `from package import module` requests the module when the package has no such name yet.
            full = f"{request.module}.{name}"
            if self.phase(full) is not Phase.DONE:
                yield from self._statement(thread, full, request)

    def _statement(self, thread: str, name: str, request: ImportRequest | None) -> Nested:
        """Follow ``PyImport_ImportModuleLevelObject`` without names: to give out ``a.b`` it imports ``a`` once more.

        So ``import a.b`` waits at its end for an ``a`` that another thread is executing.
        """
        yield from self._import(thread, name, Manner.STATEMENT, request)
        if "." in name:
            yield from self._import(thread, name.partition(".")[0], Manner.STATEMENT, request)

    def _listed(self, name: str) -> bool:
        return self.phase(name) in {Phase.EXECUTING, Phase.DONE}

    def _acquire(
        self, thread: str, name: str, request: ImportRequest | None, *, hard: bool
    ) -> Iterable[Point | Waiting]:
        """Take a module's lock. It is looked up under the global import lock, which no search for cycles knows."""
        self.lookups += (GLOBAL, name) if self.finders_import else (name,)
        return () if self._take(thread, name) else self._wait(thread, name, request, hard=hard)

    def _wait(self, thread: str, name: str, request: ImportRequest | None, *, hard: bool) -> Step:
        while not self._take(thread, name):
            if self._is_barred(thread):
                yield from self._sleep(thread, GLOBAL, request)
                continue
            lock = self._locks[name]
            if self._would_deadlock(thread, lock.owner):
                self.asking[thread] = request
                if hard:
                    raise Deadlock(name)
                stack = tuple(self.stacks[thread])
                self.handouts.append(Handout(module=name, owner=lock.owner, request=request, stack=stack))
                return
            yield from self._sleep(thread, name, request)

    def _take(self, thread: str, name: str) -> bool:
        """Take a lock if the thread need not wait for it."""
        if self._is_barred(thread):
            return False
        lock = self._locks.get(name)
        if lock is None:
            self._locks[name] = _Lock(thread)
            self._note_change(name)
        elif lock.owner == thread:
            lock.count += 1
        return lock is None or lock.owner == thread

    def _is_barred(self, thread: str) -> bool:
        barred = self._locks.get(GLOBAL)
        return barred is not None and barred.owner != thread

    def _sleep(self, thread: str, name: str, request: ImportRequest | None) -> Step:
        self._awaited[thread] = name
        self.asking[thread] = request
        yield Waiting(module=name)
        del self._awaited[thread]

    def owner_awaited_by(self, thread: str) -> str:
        """Return which thread owns the lock that ``thread`` sleeps on, or an empty string."""
        lock = self._locks.get(self._awaited.get(thread, ""))
        return lock.owner if lock else ""

    def _would_deadlock(self, thread: str, owner: str) -> bool:
        seen: set[str] = set()
        while owner not in seen:
            if owner == thread:
                return True
            seen.add(owner)
            name = self._awaited.get(owner, "")
            awaited = self._locks.get(name)
            if awaited is None or name == GLOBAL:
                return False
            owner = awaited.owner
        return False

    def _release(self, name: str) -> None:
        lock = self._locks[name]
        lock.count -= 1
        if not lock.count:
            del self._locks[name]
            self._note_change(name)
