"""Find the strongly connected components of a graph, by Tarjan's algorithm (1972) without recursion. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Node = TypeVar("Node")


def component_of(successors: Mapping[Node, Iterable[Node]]) -> dict[Node, int]:
    """Return the number of its component for every node that is on a cycle of two nodes or more."""
    cycles = (members for members in components(successors) if len(members) > 1)
    return {node: number for number, members in enumerate(cycles) for node in members}


def components(successors: Mapping[Node, Iterable[Node]]) -> Iterator[frozenset[Node]]:
    """Yield every component; a path may be longer than the interpreter's stack."""
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    stack: list[Node] = []
    on_stack: set[Node] = set()
    for root in successors:
        if root in index:
            continue
        work = [(root, iter(successors.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(successors.get(other, ()))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    members = [stack.pop()]
                    while members[-1] != node:
                        members.append(stack.pop())
                    on_stack.difference_update(members)
                    yield frozenset(members)
