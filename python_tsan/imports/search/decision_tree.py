"""Remember deterministic threads as trees of lookups, in which the same answers lead to the same end. Pure.

A node is the module that a thread looks up next, a branch what it sees there, and a leaf what comes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

Leaf = TypeVar("Leaf")


@dataclass(slots=True)
class DecisionTree(Generic[Leaf]):
    """A module, and what follows by what is seen there. No module is called as the root of a tree."""

    module: str = ""
    branches: dict[Hashable, DecisionTree[Leaf] | Leaf] = field(default_factory=dict)

    def add(self, lookups: Iterable[str], see: Callable[[str], Hashable], leaf: Leaf) -> None:
        """Remember below this root that a thread that makes ``lookups`` in this order ends in ``leaf``."""
        node = self
        for name in dict.fromkeys(lookups):
            seen = see(node.module)
            after = node.branches.get(seen)
            if after is None:
                after = node.branches[seen] = DecisionTree(name)
            if not isinstance(after, DecisionTree):
                raise TypeError(f"a thread that ended before it looked at {name} has gone on, having seen the same")
            node = after
        node.branches[see(node.module)] = leaf

    def find(self, see: Callable[[str], Hashable]) -> Leaf | None:
        """Return where a thread ends that sees this, None if it is not known."""
        node: DecisionTree[Leaf] | Leaf | None = self
        while isinstance(node, DecisionTree):
            node = node.branches.get(see(node.module))
        return node
