"""Say who holds and who waits for what in a program that hangs: lines, and a wait-for graph by name. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from python_tsan.components import component_of
from python_tsan.result.model import Waiter  # noqa: TC001 -- msgspec resolves the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Iterable


class Hang(Struct, frozen=True, kw_only=True):
    """A line for each thread with its places, and the same by name; both empty where nothing explains the hang."""

    lines: tuple[str, ...] = ()
    graph: tuple[Waiter, ...] = ()


def with_cycle(graph: tuple[Waiter, ...]) -> tuple[Waiter, ...]:
    """Mark the threads that wait for each other; what a thread is waited for is added to what it holds."""
    waits = {each.thread: each.held_by for each in graph}
    cycles = component_of(waits)

    def complete(waiter: Waiter) -> Waiter:
        name = waiter.thread
        asked = (each.waits_for for each in graph if name in each.held_by)
        stuck = name in cycles or name in waits[name]
        return replace(waiter, holds=tuple(dict.fromkeys([*waiter.holds, *asked])), stuck=stuck)

    return tuple(map(complete, graph))


def together(parts: Iterable[Hang]) -> Hang:
    """Return what several processes show as one."""
    parts = tuple(parts)
    return Hang(
        lines=tuple(line for part in parts for line in part.lines),
        graph=tuple(waiter for part in parts for waiter in part.graph),
    )
