"""Own which attributes of a module are read while other modules' bodies run, told from their source. Pure, no I/O.

A half-made module that is handed out does no harm by itself, but an attribute that it has not bound yet, read before
its body has ended, does. Reads are looked for in the body that asked for it, and in functions there that bodies call.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def read_attributes(asker: str, outer: Iterable[str] | None, target: str, package: str, line: int) -> frozenset[str]:
    """Return the attributes of the module ``target`` that bodies read once ``asker`` has imported it at ``line``.

    ``asker`` and ``outer`` are sources: of the body that imports ``target``, in ``package``, and of those that wait
    for it; without ``outer``, every function of ``asker`` is taken to be called. A read that the source itself makes
    sure of first, by ``hasattr`` or a ``try``, does not count.
    """
    names = frozenset(_names_for(asker, target, package))
    if not names:
        return frozenset()
    functions = frozenset(_functions_in(asker))
    called = functions if outer is None else functions & _called_by((asker, *outer))
    return frozenset(_reads(_parse(asker), names, line)).union(*(_reads_in(asker, name, names) for name in called))


@cache
def _functions_in(source: str) -> Mapping[str, list[ast.stmt]]:
    """Return the statements of each function in a body, by its bare name."""
    found: dict[str, list[ast.stmt]] = {}
    for node in ast.walk(_parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.setdefault(node.name, []).extend(node.body)
    return found


@cache
def _reads_in(source: str, function: str, names: frozenset[str]) -> frozenset[str]:
    return frozenset(read for statement in _functions_in(source)[function] for read in _reads(statement, names, 0))


def _called_by(sources: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*map(_called_in, sources))


@cache
def _called_in(source: str) -> frozenset[str]:
    return frozenset(_called(_parse(source)))


@cache
def _parse(source: str) -> ast.Module:
    """Parse a body. One that cannot be parsed reads nothing."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


@cache
def _imports_in(source: str) -> list[ast.Import | ast.ImportFrom]:
    return [node for node in ast.walk(_parse(source)) if isinstance(node, (ast.Import, ast.ImportFrom))]


def _names_for(source: str, target: str, package: str) -> Iterator[str]:
    """Yield the names, dotted as they are written, by which a body knows the module ``target``."""
    for node in _imports_in(source):
        if isinstance(node, ast.Import):
            yield from (alias.asname or target for alias in node.names if alias.name == target)
        else:
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            whole = ".".join([*base, node.module] if node.module else base)
            yield from (alias.asname or alias.name for alias in node.names if f"{whole}.{alias.name}" == target)


def _called(tree: ast.Module) -> Iterator[str]:
    """Yield the bare names of what a body calls as it runs."""
    for node in _run(tree, 0):
        if isinstance(node, ast.Call):
            function = node.func
            yield function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _reads(tree: ast.AST, names: frozenset[str], line: int) -> Iterator[str]:
    for node in _run(tree, line):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and ast.unparse(node.value) in names:
            yield node.attr


def _run(node: ast.AST, line: int) -> Iterator[ast.AST]:
    """Yield what runs when a body runs: not what stands in functions, nor behind a look at what is there."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS) or _looks_first(child):
            continue
        if getattr(child, "lineno", line + 1) > line or isinstance(child, (ast.If, ast.With, ast.For, ast.ClassDef)):
            yield child
            yield from _run(child, line)


def _looks_first(node: ast.AST) -> bool:
    if isinstance(node, (ast.If, ast.IfExp)):
        return any(isinstance(part, ast.Name) and part.id in {"hasattr", "getattr"} for part in ast.walk(node.test))
    return isinstance(node, ast.Try)
