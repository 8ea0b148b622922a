"""Find what can go wrong at an import besides module locks: a lock of the program that is held, a fork, a handler.

What follows for two threads is left to ``python_tsan.imports.search.use_doubts``.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .lazy_names import FUNCTIONS, dotted, outside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import Any

FINALIZER, HANDLER, FORK = "finalizer", "handler", "fork"
LOCK = "lock "  # and its name
_FOREVER = 1 << 30


def handlers_of(tree: ast.AST) -> set[str]:
    """Return the names of the functions that a module makes handlers of signals."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > 1)
    return {_last(dotted(call.args[1])) for call in calls if _last(dotted(call.func)) == "signal"}


def mark(
    requests: Iterable[dict[str, Any]],
    name: str,
    function: ast.AST,
    handlers: Collection[str],
    meant: Callable[[str], str],
) -> None:
    """Write ``risks`` into each request that a function makes where something other than a module lock matters.

    A ``__del__`` and a handler matter for the use of a lazy name alone. ``meant`` names a lock in full.
    """
    nodes = list(ast.walk(function))
    held = list(_held(nodes))
    forks = [node.lineno for node in nodes if isinstance(node, ast.Call) and _last(dotted(node.func)) == "fork"]
    for request in requests:
        line = request["line"]
        risks = [f"{LOCK}{meant(lock)}" for first, last, lock in held if first <= line <= last]
        risks += [FORK] if any(fork < line for fork in forks) else []
        if request.get("lazy"):
            risks += [FINALIZER] if _last(name) == "__del__" else [HANDLER] if _last(name) in handlers else []
        if risks:
            request["risks"] = risks


def locks_of(tree: ast.Module, meant: Callable[[str], str]) -> list[tuple[int, int, str]]:
    """Return the locks that a body takes, or a function of it that it calls by name, with first and last line."""
    body = list(outside(tree, FUNCTIONS))
    called = {dotted(node.func) for node in body if isinstance(node, ast.Call)}
    inside = [each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name in called]
    nodes = [*body, *(node for each in inside for node in ast.walk(each))]
    return [(first, last, meant(lock)) for first, last, lock in _held(nodes)]


def _held(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, int, str]]:
    """Yield the first and last line between which code holds a lock, and the lock's name as it is written there."""
    calls = []
    for node in nodes:
        if isinstance(node, ast.With):
            last = node.end_lineno or node.lineno
            yield from ((node.body[0].lineno, last, name) for each in node.items if (name := dotted(each.context_expr)))
        elif isinstance(node, ast.Call):
            calls.append((node.lineno, *dotted(node.func).rpartition(".")[::2]))
    for line, lock, action in calls:
        if lock and action == "acquire":
            ends = (at for at, other, done in calls if at > line and (other, done) == (lock, "release"))
            yield line, min(ends, default=_FOREVER), lock


def _last(name: str) -> str:
    return name.rpartition(".")[2]
