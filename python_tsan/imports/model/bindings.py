"""Own which names a module's body has bound before a given line, read from its source. Pure, no I/O."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def bound_before(source: str, line: int) -> frozenset[str] | None:
    """Return the names bound by statements that end before ``line``, or None when that cannot be told.

    It cannot be told for source that does not parse, nor after a star import. Names bound in only one branch count,
    since a name that may be there must not be reported as missing.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    names = set(_bound(tree.body, line))
    return None if "*" in names else frozenset(names | _MODULE_NAMES)


_MODULE_NAMES = frozenset({"__name__", "__doc__", "__file__", "__path__", "__package__", "__spec__", "__loader__"})


def _bound(statements: list[ast.stmt], line: int) -> Iterator[str]:
    for statement in statements:
        if statement.lineno >= line:
            return
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from _imported(statement)
        else:
            yield from _inside(statement, line)


def _imported(statement: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for alias in statement.names:
        yield alias.asname or (alias.name.partition(".")[0] if isinstance(statement, ast.Import) else alias.name)


def _inside(statement: ast.stmt, line: int) -> Iterator[str]:
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield from _bound([child], line)
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            yield from _bound(child.body, line)
        else:
            yield from (
                node.id for node in ast.walk(child) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            )
