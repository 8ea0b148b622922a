"""Own where T2 falls asleep against a T1 that stands still, remembered by what T2 has looked at on its way.

T2 does the same wherever all modules that it goes by are in the same state, whoever T1 is. Pure, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from python_tsan.imports.alone import State
from python_tsan.imports.half_made import standing_at
from python_tsan.imports.hazards import run_until_asleep
from python_tsan.imports.looks import Node
from python_tsan.imports.model import FIRST, SECOND
from python_tsan.imports.steps import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from python_tsan.imports.model import Model

ABSENT = State(Phase.ABSENT, owned=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleeper:
    """T2 asleep on the lock ``awaited`` of T1's, or at its end if that is empty; it owns the locks ``held``.

    ``changes`` are the states that it has brought modules to, and ``lines`` where it stands in those that it holds.
    """

    awaited: str
    held: tuple[str, ...]
    changes: Mapping[str, State]
    lines: Mapping[str, int]


@dataclass(slots=True)
class Memory:
    """Where the thread of one entry has fallen asleep so far."""

    model: Model
    entry: str
    root: Node[Sleeper] = field(default_factory=Node)

    def learn(self, states: Mapping[str, State], held: Iterable[str]) -> None:
        """Run T2 in a world of these states, in which T1 owns ``held``, and remember its way."""
        phases = {name: state.phase for name, state in states.items()}
        machine = replace(self.model, phases=phases).machine()
        machine.lock_for(FIRST, held)
        steps = self.model.start(machine, SECOND, self.entry)
        awaited = run_until_asleep(steps)
        owned = tuple(machine.held_by(SECOND))
        sleeper = Sleeper(
            awaited=awaited or "",
            held=owned,
            changes={
                name: State(machine.phases.get(name, Phase.ABSENT), machine.owns(SECOND, name))
                for name in dict.fromkeys(name for _, name in machine.changed)
            },
            lines={name: standing_at(machine, SECOND, name) for name in owned},
        )
        steps.close()  # and not before: it gives up its locks
        self.root.add(machine.looks, lambda name: states.get(name, ABSENT), sleeper)


@dataclass(slots=True)
class Walk:
    """The way of T2 through its memory, followed from stop to stop of one T1, whose world is ``states``."""

    memory: Memory
    states: dict[str, State]
    sleeper: Sleeper | None = None
    _way: list[Node[Sleeper]] = field(default_factory=list)
    _depth: dict[str, int] = field(default_factory=dict)

    def take(self, news: Mapping[str, State]) -> None:
        """Take in what T1 has changed. T2 goes another way from the first module on that it goes by."""
        self.states.update(news)
        cut = min((self._depth[name] for name in news if name in self._depth), default=None)
        if cut is not None:
            self.sleeper = None
            for node in self._way[cut + 1 :]:
                del self._depth[node.module]
            del self._way[cut + 1 :]

    def look(self, held: Iterable[str]) -> Sleeper:
        """Return where T2 sleeps now."""
        if not self._way:
            self._push(self.memory.root)
        while self.sleeper is None:
            last = self._way[-1]
            after = last.branches.get(self.states.get(last.module, ABSENT))
            if after is None:
                self.memory.learn(self.states, held)
            elif isinstance(after, Sleeper):
                self.sleeper = after
            else:
                self._push(after)
        return self.sleeper

    def _push(self, node: Node[Sleeper]) -> None:
        self._depth[node.module] = len(self._way)
        self._way.append(node)
