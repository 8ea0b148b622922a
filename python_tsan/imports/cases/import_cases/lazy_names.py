"""Find in a module's source the imports that PEP 810 can make lazy, and where functions use the names that they bind.

The caller says which names are lazy. A trace sees that in the module itself, so that modes, filters,
``__lazy_modules__`` and the rules for ``with`` and ``try`` need no model here.
"""

from __future__ import annotations

import ast
import sys
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Any

MODES = NORMAL, ALL = "normal", "all"
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
FUNCTIONS = (*DEFINITIONS, ast.Lambda)


def statements_of(tree: ast.AST, package: str) -> list[dict[str, Any]]:
    """Return what each import at module level binds: ``name``, and the ``module`` and ``names`` that its use requests.

    ``import a.b`` binds ``a``, whose use imports ``a`` only. The attribute ``a.b`` has a request of its own, which is
    returned with the name ``a.b``.
    """
    found: list[dict[str, Any]] = []
    for node in outside(tree, (*FUNCTIONS, ast.ClassDef)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name, module, names in _bound_by(node, package):
                found.append({"name": name, "module": module, "names": names, "line": node.lineno})
    return found


def outside(node: ast.AST, scopes: tuple[type[ast.AST], ...]) -> Iterator[ast.AST]:
    """Yield what a node contains, without nodes of these kinds and what is in them."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, scopes):
            yield child
            yield from outside(child, scopes)


def _bound_by(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str, list[str]]]:
    if isinstance(node, ast.ImportFrom):
        base = resolve(node.module or "", node.level, package)
        yield from ((each.asname or each.name, base, [each.name]) for each in node.names if base and each.name != "*")
    else:
        for each in node.names:
            parts = each.name.split(".")
            if each.asname:
                yield each.asname, ".".join(parts[:-1]) or each.name, parts[-1:] if len(parts) > 1 else []
            else:
                yield from ((".".join(parts[:n]), ".".join(parts[:n]), []) for n in range(1, len(parts) + 1))


def resolve(name: str, level: int, package: str) -> str:
    """Return the absolute name that a relative one means in ``package``, an empty string if it means no module."""
    if not level:
        return name
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - level + 1]
    return ".".join([*kept, name] if name else kept) if len(parts) >= level else ""


def uses_in(
    function: ast.AST, module: str, file: str, statements: Collection[dict[str, Any]], lazy: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Yield a request for each lazy name that a function uses, with the line of the use, in the order of the source.

    ``lazy`` are the names that the module binds lazily, which is in ``file``. A name that the function binds itself is
    its own.
    """
    own = _bound_in(function)
    bound = {each["name"]: each for each in statements if each["name"] in lazy or "." in each["name"]}
    nodes = _executed(function.body if isinstance(function, DEFINITIONS) else [function])
    reads = [node for node in nodes if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)]
    for node in sorted(reads, key=lambda each: (each.lineno, each.end_col_offset or 0)):
        name = dotted(node)
        if name in bound and name.partition(".")[0] not in own:
            statement, (parent, _, last) = bound[name], name.rpartition(".")
            place = f"{file}:{statement['line']}"
            yield {
                "module": statement["module"],
                "manner": "statement",
                "names": statement["names"],
                "line": node.lineno,
                "lazy": {"owner": parent or module, "name": last, "place": place},
            }


def _executed(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield nodes and what they contain, without annotations, which are not evaluated when a function runs."""
    for node in nodes:
        yield node
        parts = (value for name, value in ast.iter_fields(node) if name not in {"annotation", "returns"})
        for part in parts:
            inner = part if isinstance(part, list) else [part]
            yield from _executed(each for each in inner if isinstance(each, ast.AST))


def _bound_in(function: ast.AST) -> set[str]:
    """Return the names that are a function's own: its arguments, and what it stores or imports without ``global``."""
    own: set[str] = set()
    shared: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            own.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            own.update((each.asname or each.name).partition(".")[0] for each in node.names)
        elif isinstance(node, ast.Global):
            shared.update(node.names)
    return own - shared


def dotted(node: ast.AST) -> str:
    """Return a chain of names as it is written, an empty string for any other expression."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def set_mode(mode: str) -> None:
    """Make what is imported from here on lazy as the ``mode`` says: ``normal``, or ``all`` from 3.15 on."""
    if mode != NORMAL:
        sys.set_lazy_imports(mode)  # type: ignore[attr-defined]


def names_of(module: object) -> list[str]:
    """Return the names of a module that no use has resolved yet. It resolves none: ``vars`` shows what is there."""
    kind = getattr(types, "LazyImportType", None)
    return [] if kind is None else [name for name, value in list(vars(module).items()) if type(value) is kind]
