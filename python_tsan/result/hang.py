"""Say who holds and who waits for what in a program that hangs: lines, and a wait-for graph by name. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from python_tsan.result.model import Waiter  # noqa: TC001 -- msgspec resolves the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Iterable


class Hang(Struct, frozen=True, kw_only=True):
    """A line for each thread with its places, and the same by name; both empty where nothing explains the hang."""

    lines: tuple[str, ...] = ()
    graph: tuple[Waiter, ...] = ()


def with_circle(graph: tuple[Waiter, ...]) -> tuple[Waiter, ...]:
    """Mark the threads that wait for each other; what a thread is waited for is added to what it holds."""
    held = {(owner, each.waits_for) for each in graph for owner in each.held_by}
    by_name = {
        each.thread: replace(
            each, holds=tuple(dict.fromkeys([*each.holds, *(lock for owner, lock in held if owner == each.thread)]))
        )
        for each in graph
    }
    stuck = {name for name in by_name if _comes_back(name, by_name)}
    return tuple(replace(each, stuck=each.thread in stuck) for each in by_name.values())


def _comes_back(name: str, by_name: dict[str, Waiter]) -> bool:
    seen: set[str] = set()
    left = list(by_name[name].held_by)
    while left:
        thread = left.pop()
        if thread == name:
            return True
        if thread not in seen and thread in by_name:
            seen.add(thread)
            left += by_name[thread].held_by
    return False


def together(parts: Iterable[Hang]) -> Hang:
    """Return what several processes show as one."""
    parts = tuple(parts)
    return Hang(
        lines=tuple(line for part in parts for line in part.lines),
        graph=tuple(waiter for part in parts for waiter in part.graph),
    )
