"""Find where T2 blocks against a T1 that is stopped, and remember it by the modules that T2 has looked up on its way.

T2 does the same wherever all modules that it looks up are in the same state, for any T1. Pure, no I/O.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from operator import neg
from typing import TYPE_CHECKING

from python_tsan.imports.model.program_model import FIRST, SECOND
from python_tsan.imports.model.steps import Phase
from python_tsan.imports.search.decision_tree import DecisionTree
from python_tsan.imports.search.partial_modules import standing_at
from python_tsan.imports.search.schedules import run_until_blocked
from python_tsan.imports.search.solo_trace import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from python_tsan.imports.model.program_model import Model
    from python_tsan.imports.search.solo_trace import SoloTrace

ABSENT = State(Phase.ABSENT, owned=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockedThread:
    """T2 blocked on the lock ``awaited`` of T1's, or at its end if that is empty; it owns the locks ``held``.

    ``changes`` are the states that it has brought modules to, and ``lines`` where it stands in those that it holds.
    """

    awaited: str
    held: tuple[str, ...]
    changes: Mapping[str, State]
    lines: Mapping[str, int]


@dataclass(slots=True)
class BlockedThreads:
    """Where the thread of one entry has blocked so far."""

    model: Model
    entry: str
    root: DecisionTree[BlockedThread] = field(default_factory=DecisionTree)

    def learn(self, states: Mapping[str, State], held: Iterable[str]) -> None:
        """Run T2 in a world of these states, in which T1 owns ``held``, and remember its way."""
        machine = self.model.machine({name: state.phase for name, state in states.items()})
        machine.lock_for(FIRST, held)
        steps = self.model.start(machine, SECOND, self.entry, stops=False)
        awaited = run_until_blocked(steps)
        owned = tuple(machine.held_by(SECOND))
        blocked = BlockedThread(
            awaited=awaited or "",
            held=owned,
            changes={
                name: State(machine.phases.get(name, Phase.ABSENT), machine.owns(SECOND, name))
                for name in dict.fromkeys(name for _, name in machine.changed)
            },
            lines={name: standing_at(machine, SECOND, name) for name in owned},
        )
        steps.close()  # and not before: it gives up its locks
        self.root.add(machine.lookups, lambda name: states.get(name, ABSENT), blocked)


@dataclass(slots=True)
class Walk:
    """The way of T2 through its memory, followed from stop to stop of one T1, whose world there is ``states``.

    T2 blocks at the same place from a stop on ``until`` there is news of a module that it has looked up.
    """

    memory: BlockedThreads
    one: SoloTrace
    states: dict[str, State]
    _here: int = -1
    _way: list[DecisionTree[BlockedThread]] = field(default_factory=list)
    _until: list[int] = field(default_factory=list)  # of the way so far, for each of its nodes

    @property
    def until(self) -> int:
        """The next stop at which T2 may sleep elsewhere."""
        return self._until[-1]

    def look(self, number: int) -> BlockedThread:
        """Return where T2 blocks while T1 is at a stop; stops must come in order."""
        self.go_to(number)
        self._turn()
        # The hot loop of a search: what each round reads is in local names.
        way, untils, here = self._way, self._until, self._here
        state_of, changes_of = self.states.get, self.one.changes.get
        node, until = way[-1], untils[-1]
        while True:
            after = node.branches.get(state_of(node.module, ABSENT))
            if after is None:
                self.memory.learn(self.states, self.one.stops[number].held)
            elif isinstance(after, BlockedThread):
                return after
            else:
                node = after
                # As next_change, of modules that mostly have no news at all
                changes = changes_of(node.module)
                if changes and changes[-1] > here:
                    until = min(until, changes[bisect_right(changes, here)])
                way.append(node)
                untils.append(until)

    def go_to(self, number: int) -> None:
        """Run T1 to a stop."""
        for stop in self.one.stops[self._here + 1 : number + 1]:
            self.states.update(stop.news)
        self._here = number

    def _turn(self) -> None:
        """Go back to the first module of which there is news: from there on T2 goes another way."""
        if not self._way:
            self._push(self.memory.root)
        kept = bisect_left(self._until, -self._here, key=neg)
        if kept < len(self._way):
            node = self._way[kept]
            del self._way[kept:], self._until[kept:]
            self._push(node)

    def _push(self, node: DecisionTree[BlockedThread]) -> None:
        until = self.one.next_change(node.module, self._here)
        self._way.append(node)
        self._until.append(min(until, self._until[-1]) if self._until else until)
