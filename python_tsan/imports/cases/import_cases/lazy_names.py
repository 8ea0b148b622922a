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
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

MODES = NORMAL, ALL = "normal", "all"
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
FUNCTIONS = (*DEFINITIONS, ast.Lambda)
GLOBAL_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})  # the second in a class
ATTRIBUTE_READS = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
CO_OPTIMIZED = 1  # a function's, and not that of a class or a module: inspect


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
    code: types.CodeType, module: str, file: str, statements: Collection[dict[str, Any]], lazy: Collection[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return a request for each lazy name that a function uses, with the line of the use, by function.

    ``code`` is that of the module in ``file``, and ``lazy`` are the names that it binds lazily. The compiler has
    decided which names are a function's own, and what is evaluated when it runs.
    """
    bound = {each["name"]: each for each in statements if each["name"] in lazy or "." in each["name"]}
    found: dict[str, list[dict[str, Any]]] = {}
    for function, name, line in _reads(code, ""):
        if name in bound:
            statement, (parent, _, last) = bound[name], name.rpartition(".")
            place = f"{file}:{statement['line']}"
            request = {
                "module": statement["module"],
                "manner": "statement",
                "names": statement["names"],
                "line": line,
                "lazy": {"owner": parent or module, "name": last, "place": place},
            }
            found.setdefault(function, []).append(request)
    return found


def _reads(code: types.CodeType, function: str) -> Iterator[tuple[str, str, int]]:
    """Yield the function, the name and the line for each global name that a function reads, and each attribute of it.

    What a function defines inside belongs to it. Annotations and type aliases are evaluated elsewhere, if ever.
    """
    import dis  # noqa: PLC0415 -- a trace, which needs other parts of this module, must not have cached it

    name, stored = "", set()  # the second: by a class
    for each in dis.get_instructions(code) if function else ():
        if each.opname == "STORE_NAME":
            stored.add(each.argval)
        if each.opname in GLOBAL_READS:
            name = "" if each.argval in stored else each.argval
        elif each.opname in ATTRIBUTE_READS and name:
            name += f".{each.argval}"
        elif each.opname != "EXTENDED_ARG":
            name = ""
        if name and each.positions and each.positions.lineno:
            yield function, name, each.positions.lineno
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType) and inner.co_name != "__annotate__" and ".format" not in inner.co_varnames:
            is_function = inner.co_flags & CO_OPTIMIZED and not inner.co_qualname.startswith("<")
            yield from _reads(inner, function or (inner.co_qualname if is_function else ""))


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


def names_of(names: Mapping[str, object]) -> list[str]:
    """Return which names of a module no use has resolved yet. It resolves none: the mapping has what is there."""
    kind = getattr(types, "LazyImportType", None)
    return [] if kind is None else [name for name, value in list(names.items()) if type(value) is kind]
