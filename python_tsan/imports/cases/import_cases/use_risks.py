"""Find what can go wrong at an import besides module locks: a lock of the program that is held, a fork, a handler.

What follows for two threads is left to ``python_tsan.imports.search.use_doubts``.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .lazy_names import FUNCTIONS, dotted, outside

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
    held = list(_held(nodes, name))
    forks = [node.lineno for node in nodes if isinstance(node, ast.Call) and _last(dotted(node.func)) == "fork"]
    for request in requests:
        line = request["line"]
        risks = [f"{LOCK}{meant(lock)}" for first, last, lock in held if first <= line <= last]
        risks += [FORK] if any(fork < line for fork in forks) else []
        if request.get("lazy"):
            risks += [FINALIZER] if _last(name) == "__del__" else [HANDLER] if _last(name) in handlers else []
        if risks:
            request["risks"] = risks


def locks_of(
    tree: ast.Module, functions: Mapping[str, ast.AST], imported: Iterable[str], meant: Callable[[str], str]
) -> dict[str, Any]:
    """Return what a module has to do with locks: those that its body and each function take, and how to follow names.

    ``locks`` are the first and last line between which the body holds each, ``taken`` the locks of each function with
    their lines, ``calls`` what each calls (the body has the empty string as name), and ``aliases`` what names mean that
    the module imports or binds to something of its own. ``imported`` are the names that imports bind.
    """
    body = list(outside(tree, FUNCTIONS))
    classes = {each.name for each in tree.body if isinstance(each, ast.ClassDef)}
    aliases = {name: name for name in imported}
    for each in tree.body:
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            value = dotted(each.value.func) if isinstance(each.value, ast.Call) else dotted(each.value)
            if value and (value in classes or not isinstance(each.value, ast.Call)):
                aliases[each.targets[0].id] = value
    decorators = (
        decorator
        for each in functions.values()
        for decorator in getattr(each, "decorator_list", ())
        if dotted(decorator)
    )
    own = {name: list(ast.walk(each)) for name, each in functions.items()}
    calls = {name: {meant(each) for each in _calls(nodes, name)} for name, nodes in own.items()}
    calls[""] = {meant(each) for each in (*_calls(body, ""), *map(dotted, decorators))}
    taken = {name: sorted({(line, meant(lock)) for line, _, lock in _held(each, name)}) for name, each in own.items()}
    return {
        "locks": [(first, last, meant(lock)) for first, last, lock in _held(body, "")],
        "calls": {name: sorted(found) for name, found in calls.items() if found},
        "taken": {name: found for name, found in taken.items() if found},
        "aliases": {name: meant(value) for name, value in aliases.items()},
    }


def _calls(nodes: Iterable[ast.AST], function: str) -> Iterator[str]:
    """Yield the names by which code of this function calls something."""
    names = (dotted(node.func) for node in nodes if isinstance(node, ast.Call))
    return (_of_class(name, function) for name in names if name)


def _of_class(name: str, function: str) -> str:
    """Return a name in which a method's ``self`` and ``cls`` are its class."""
    first, dot, rest = name.partition(".")
    return f"{function.rpartition('.')[0]}.{rest}" if dot and first in {"self", "cls"} else name


def _instead(name: str, aliases: Mapping[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return f"{aliases.get(first, first)}{dot}{rest}"


def _held(nodes: Collection[ast.AST], function: str) -> Iterator[tuple[int, int, str]]:
    """Yield the first and last line between which code of this function holds a lock, and the lock's name there."""
    calls = []
    aliases = {
        node.targets[0].id: name
        for node in nodes
        if function and isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if (name := dotted(node.value))
    }
    for node in nodes:
        if isinstance(node, ast.With):
            last = node.end_lineno or node.lineno
            for name in (name for each in node.items if (name := dotted(each.context_expr))):
                yield node.body[0].lineno, last, _of_class(_instead(name, aliases), function)
        elif isinstance(node, ast.Call):
            lock, _, action = dotted(node.func).rpartition(".")
            if action == "enter_context" and node.args:
                lock, action = dotted(node.args[0]), "acquire"
            calls.append((node.lineno, lock, action))
    for line, lock, action in calls:
        if lock and action == "acquire":
            ends = (at for at, other, done in calls if at > line and (other, done) == (lock, "release"))
            yield line, min(ends, default=_FOREVER), _of_class(_instead(lock, aliases), function)


def _last(name: str) -> str:
    return name.rpartition(".")[2]
