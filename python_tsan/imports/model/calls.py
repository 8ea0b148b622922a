"""Own the imports inside functions, read from source: what a thread that calls a function imports, and where. Pure.

A function is named ``module:function``, a method ``module:Class.method``, and an attribute that a module's
``__getattr__`` loads when it is first asked for ``module:attribute``.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.imports.model.requests import ImportRequest, Manner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from python_tsan.imports.model.requests import Module

GETATTR = "__getattr__"
# An indented import, an import by name, or a module's __getattr__: without one of them there is nothing to parse for.
_WORTH_PARSING = re.compile(r"^[ \t]+(?:import|from)\s|^def __getattr__\(|import_module\(", re.MULTILINE)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The module that a function stands in, as imports in it are resolved."""

    module: str
    file: str

    @property
    def package(self) -> str:
        """What a relative import starts from."""
        return self.module if self.file.endswith("__init__.py") else self.module.rpartition(".")[0]


def calls_in(module: Module, source: str, exists: Callable[[str], bool]) -> dict[str, tuple[ImportRequest, ...]]:
    """Return the requests that each function of a module makes when it is called, by the call's name.

    ``exists`` tells of a path whether a file is there: what a ``__getattr__`` loads by a computed name is tried for
    each name that the module spells out. Source that cannot be parsed has no calls.
    """
    if not _WORTH_PARSING.search(source):
        return {}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    place = Place(module=module.name, file=module.file)
    calls: dict[str, tuple[ImportRequest, ...]] = {}
    for name, function in _functions(tree, ""):
        if name == GETATTR:
            calls |= _attributes(function, tree, place, exists)
        requests = tuple(_requests(function, place))
        if requests:
            calls[f"{module.name}:{name}"] = requests
    return calls


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield the functions and methods with their names; what stands inside a function belongs to it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.stmt):
            yield from _functions(child, prefix)


def _requests(function: ast.AST, place: Place) -> Iterator[ImportRequest]:
    nodes = [node for node in ast.walk(function) if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call))]
    for node in sorted(nodes, key=lambda each: (each.lineno, each.col_offset)):
        if isinstance(node, ast.Call):
            target = _named(node, place.package)
            if target:
                yield _request(place, node, target, Manner.BY_NAME)
        elif isinstance(node, ast.ImportFrom):
            base = resolve(node.module or "", node.level, place.package)
            if base:
                names = tuple(alias.name for alias in node.names if alias.name != "*")
                yield _request(place, node, base, Manner.STATEMENT, names)
        else:
            for alias in node.names:
                yield _request(place, node, alias.name, Manner.STATEMENT)


def _request(
    place: Place, node: ast.expr | ast.stmt, target: str, manner: Manner, names: tuple[str, ...] = ()
) -> ImportRequest:
    return ImportRequest(module=target, manner=manner, file=place.file, line=node.lineno, names=names)


def resolve(name: str, level: int, package: str) -> str:
    """Return the absolute name that a relative one means in ``package``, an empty string if there is none."""
    if not level:
        return name
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - level + 1]
    return ".".join([*kept, name] if name else kept) if len(parts) >= level else ""


def _named(call: ast.Call, package: str) -> str:
    """Return the module that ``import_module("name")`` or ``__import__("name")`` asks for, if it is spelt out."""
    if not _imports_by_name(call) or not isinstance(call.args[0], ast.Constant):
        return ""
    name = call.args[0].value
    if not isinstance(name, str):
        return ""
    return resolve(name.lstrip("."), len(name) - len(name.lstrip(".")), package)


def _imports_by_name(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"import_module", "__import__"} and bool(call.args)


def _attributes(
    function: ast.AST, tree: ast.Module, place: Place, exists: Callable[[str], bool]
) -> dict[str, tuple[ImportRequest, ...]]:
    """Return one call for each submodule that a ``__getattr__`` may load by a name that it computes."""
    computed = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and _imports_by_name(node) and not isinstance(node.args[0], ast.Constant)
    ]
    if not computed or not place.file.endswith("__init__.py"):
        return {}
    folder = place.file.removesuffix("__init__.py")
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {
        f"{place.module}:{word}": (_request(place, computed[0], f"{place.module}.{word}", Manner.BY_NAME),)
        for word in sorted(words)
        if word.isidentifier() and (exists(f"{folder}{word}.py") or exists(f"{folder}{word}/__init__.py"))
    }


def asked_attributes(
    module: Module, source: str, lazy: Mapping[str, tuple[ImportRequest, ...]]
) -> dict[str, tuple[ImportRequest, ...]]:
    """Return the calls of a module's functions that read an attribute which a package loads when it is asked for it."""
    if not any(name.partition(":")[0].rpartition(".")[2] in source for name in lazy):
        return {}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    calls: dict[str, tuple[ImportRequest, ...]] = {}
    for name, function in _functions(tree, ""):
        reads = [f"{_dotted(node.value)}:{node.attr}" for node in ast.walk(function) if isinstance(node, ast.Attribute)]
        requests = tuple(request for read in reads for request in lazy.get(read, ()))
        if requests:
            calls[f"{module.name}:{name}"] = requests
    return calls


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
