"""Parse modules with the interpreter that runs them, and return what a prediction needs of their source.

The target's own parser is asked because another release may reject its syntax or read it differently. What the facts
mean is left to ``python_tsan.imports.model``.
"""

from __future__ import annotations

import ast
import os
import re
import warnings
from typing import TYPE_CHECKING

from .lazy_names import DEFINITIONS, FUNCTIONS, dotted, resolve, statements_of, uses_in
from .use_risks import handlers_of, locks_of, mark

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import Any

GETATTR = "__getattr__"
# An import that is no whole line at the margin, one by name, or a module's __getattr__: without one of them no function
# imports anything.
_WORTH_PARSING = re.compile(
    rb"(?:^[ \t]+|[:;][ \t]*)(?:lazy[ \t]+)?(?:import|from)\s|^def __getattr__\(|import_module\(", re.MULTILINE
)
# Statements whose inner statements may begin after a line although they begin before it.
_COMPOUND = (ast.If, ast.With, ast.For, ast.ClassDef)
_CASE = getattr(ast, "match_case", ast.ExceptHandler)  # from 3.10 on


def read_sources(order: Mapping[str, Any], note: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Give ``note`` the facts of each of the ``modules`` of an order, pairs of name and file, and return a last answer.

    Its ``kind`` is ``calls``, ``attributes`` (reads of its ``names`` in functions), ``lazy`` (what imports bind) or
    ``body``. ``lazy`` are the names that modules bind lazily, by module. A file that cannot be read or parsed has a
    ``problem`` in place of facts.
    """
    warnings.simplefilter("ignore")  # of old escape sequences, which an environment may have made errors
    kind, names = order["kind"], order["names"]
    for module, file in order["modules"]:
        lazy = order["lazy"].get(module, ())
        try:
            with open(file, "rb") as stream:  # noqa: PTH123 -- pathlib would be an import of its own
                source = stream.read()
            if kind == "body":
                facts: object = body_of(ast.parse(source), module, file)
            elif kind == "calls":
                facts = calls_of(ast.parse(source), module, file, lazy) if lazy or _WORTH_PARSING.search(source) else {}
            elif kind == "lazy":
                facts = statements_of(ast.parse(source), package_of(module, file))
            elif any(name.partition(":")[0].rpartition(".")[2].encode() in source for name in names):
                facts = attributes_of(ast.parse(source), names, package_of(module, file))
            else:
                facts = {}
        except OSError as error:
            note({"module": module, "problem": f"cannot be read: {error.strerror}"})
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            note({"module": module, "problem": f"cannot be parsed: {type(error).__name__}: {error}"})
        else:
            note({"module": module, "facts": facts})
    return {"finished": len(order["modules"])}


def package_of(module: str, file: str) -> str:
    """Return the package to which relative imports of a module refer."""
    return module if file.endswith("__init__.py") else module.rpartition(".")[0]


def body_of(tree: ast.Module, module: str = "", file: str = "") -> dict[str, Any]:
    """Return what a module's body binds, imports, reads, calls and locks, and what its functions read.

    ``bindings`` are lines and names; ``reads`` are lines, dotted names and attributes. The line of a read is that of
    the outermost statement that counts as one piece: it runs behind a line only if all of that statement does.
    """
    functions: dict[str, set[tuple[str, str]]] = {}
    imported = [each["name"] for each in statements_of(tree, package_of(module, file)) if "." not in each["name"]]
    for node in ast.walk(tree):
        if isinstance(node, DEFINITIONS):
            found = functions.setdefault(node.name, set())
            for statement in node.body:
                found.update((name, attribute) for _, name, attribute in _reads(statement))
    return {
        "bindings": list(_bound(tree.body)),
        "imports": list(_imports(tree)),
        "reads": sorted(set(_reads(tree))),
        "functions": {name: sorted(found) for name, found in functions.items()},
        "called": sorted({_called_name(node) for _, node in _run(tree, None) if isinstance(node, ast.Call)}),
        **locks_of(tree, dict(_functions(tree, "")), imported, _lock_names(tree, module, file)),
    }


def _bound(statements: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    """Yield each name that statements bind, with the line of the innermost statement that binds it."""
    for statement in statements:
        line = statement.lineno
        if isinstance(statement, (*DEFINITIONS, ast.ClassDef)):
            yield line, statement.name
        elif isinstance(statement, ast.Import):
            yield from ((line, alias.asname or alias.name.partition(".")[0]) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            yield from ((line, alias.asname or alias.name) for alias in statement.names)
        else:
            yield from _bound_inside(statement)


def _bound_inside(statement: ast.stmt) -> Iterator[tuple[int, str]]:
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield from _bound([child])
        elif isinstance(child, (ast.ExceptHandler, _CASE)):
            yield from _bound(child.body)
        else:
            for node in ast.walk(child):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield statement.lineno, node.id


def _imports(tree: ast.Module) -> Iterator[tuple[int, str, str, str]]:
    """Yield the level, module, name and bound name of each import; an ``import`` statement has level -1 and no name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((-1, alias.name, "", alias.asname or "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, node.module or "", alias.name, alias.asname or "") for alias in node.names)


def _reads(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    for line, node in _run(tree, None):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            name = dotted(node.value)
            if name:
                yield line, name, node.attr


def _run(node: ast.AST, line: int | None) -> Iterator[tuple[int, ast.AST]]:
    """Yield what runs when a body runs, with its line: nothing inside functions, nor behind a test of what is there."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FUNCTIONS) or _tests_first(child):
            continue
        own = None if isinstance(child, _COMPOUND) else getattr(child, "lineno", None)
        inner = own if line is None else line if own is None else min(line, own)
        yield inner or 0, child
        yield from _run(child, inner)


def _tests_first(node: ast.AST) -> bool:
    if isinstance(node, (ast.If, ast.IfExp)):
        return any(isinstance(part, ast.Name) and part.id in {"hasattr", "getattr"} for part in ast.walk(node.test))
    return isinstance(node, ast.Try)


def _called_name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def calls_of(tree: ast.Module, module: str, file: str, lazy: Collection[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """Return the requests that each function of a module makes when it is called, by ``module:function``.

    A use of one of the module's ``lazy`` names is a request, too, and what a function requests that it calls by name is
    one in the line of the call. What a module's ``__getattr__`` loads is returned for each name that it compares with,
    marked as a ``read``; if it computes the name of the module, for each name that the source spells out.
    """
    package = package_of(module, file)
    statements = statements_of(tree, package) if lazy else ()
    code = compile(tree, file, "exec", dont_inherit=True) if lazy else None
    uses = uses_in(code, module, file, statements, lazy) if code else {}
    handlers, meant = handlers_of(tree) if lazy else (), _lock_names(tree, module, file)
    functions = dict(_functions(tree, ""))
    own = {name: [*_requests(each, package), *uses.get(name, ())] for name, each in functions.items()}
    calls: dict[str, list[dict[str, Any]]] = {}
    for name, function in functions.items():
        requests = _with_called(name, own, functions, {name})
        if name == GETATTR:
            guarded, computed = _guarded(function, requests, module), _attributes(function, tree, module, file)
            calls.update({read: guarded.get(read, []) + computed.get(read, []) for read in (*guarded, *computed)})
        if requests:
            mark(requests, name, function, handlers, meant)
            calls[f"{module}:{name}"] = requests
    return calls


def _with_called(
    name: str, own: Mapping[str, list[dict[str, Any]]], functions: Mapping[str, ast.AST], seen: set[str]
) -> list[dict[str, Any]]:
    """Return copies of what a function requests and what those do that it calls, by line, each request once.

    Called are functions and classes of the module and methods of the same class, by their names. ``seen`` are those
    that have been followed already.
    """
    requests = [dict(each) for each in own[name]]
    for node in ast.walk(functions[name]) if any(own.values()) else ():
        if isinstance(node, ast.Call) and (written := dotted(node.func)):
            first, _, rest = written.partition(".")
            if first in {"self", "cls"}:
                written = f"{name.rpartition('.')[0]}.{rest}"
            for called in ({written, f"{written}.__init__"} & own.keys()) - seen:
                seen.add(called)
                requests += [{**each, "line": node.lineno} for each in _with_called(called, own, functions, seen)]
    found: dict[tuple[object, ...], dict[str, Any]] = {}
    for each in sorted(requests, key=lambda each: each["line"]):
        found.setdefault((each["module"], *each["names"], bool(each.get("lazy"))), each)
    return list(found.values())


def _guarded(function: ast.AST, requests: Collection[dict[str, Any]], module: str) -> dict[str, list[dict[str, Any]]]:
    """Return what a ``__getattr__`` requests for each name that it compares with, by ``module:name``."""
    guards = []
    for node in ast.walk(function):
        test = getattr(node, "test", None) or getattr(node, "pattern", None)
        if test is not None and isinstance(node, (ast.If, _CASE)):
            words = {each.value for each in ast.walk(test) if isinstance(each, ast.Constant)}
            guards.append((words, node.body[0].lineno, node.body[-1].end_lineno or 0))
    names = {word for words, _, _ in guards for word in words if isinstance(word, str) and word.isidentifier()}
    found = {}
    for name in sorted(names):
        loaded = [
            {**each, "read": True}
            for each in requests
            if all(name in words for words, first, last in guards if first <= each["line"] <= last)
        ]
        if loaded:
            found[f"{module}:{name}"] = loaded
    return found


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield the functions and methods with their names; what a function defines inside belongs to it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, DEFINITIONS):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.stmt):
            yield from _functions(child, prefix)


def _requests(function: ast.AST, package: str) -> Iterator[dict[str, Any]]:
    nodes = [node for node in ast.walk(function) if isinstance(node, (ast.Import, ast.ImportFrom, ast.Call))]
    for node in sorted(nodes, key=lambda each: (each.lineno, each.col_offset)):
        if isinstance(node, ast.Call):
            target = _spelt_out(node, package)
            if target:
                yield {"module": target, "manner": "by_name", "names": [], "line": node.lineno}
        elif isinstance(node, ast.ImportFrom):
            base = resolve(node.module or "", node.level, package)
            if base:
                names = [alias.name for alias in node.names if alias.name != "*"]
                yield {"module": base, "manner": "statement", "names": names, "line": node.lineno}
        else:
            for alias in node.names:
                yield {"module": alias.name, "manner": "statement", "names": [], "line": node.lineno}


def _imports_by_name(call: ast.Call) -> bool:
    return _called_name(call) in {"import_module", "__import__"} and bool(call.args)


def _spelt_out(call: ast.Call, package: str) -> str:
    """Return the module that ``import_module("name")`` or ``__import__("name")`` requests, if it is spelt out."""
    if not _imports_by_name(call) or not isinstance(call.args[0], ast.Constant):
        return ""
    name = call.args[0].value
    if not isinstance(name, str):
        return ""
    return resolve(name.lstrip("."), len(name) - len(name.lstrip(".")), package)


def _attributes(function: ast.AST, tree: ast.Module, module: str, file: str) -> dict[str, list[dict[str, Any]]]:
    """Return one call for each submodule that a ``__getattr__`` may load by a name that it computes."""
    computed = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and _imports_by_name(node) and not isinstance(node.args[0], ast.Constant)
    ]
    if not computed or not file.endswith("__init__.py"):
        return {}
    folder = file[: -len("__init__.py")]
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    line = computed[0].lineno
    return {
        f"{module}:{word}": [{"module": f"{module}.{word}", "manner": "by_name", "names": [], "line": line}]
        for word in sorted(words)
        if word.isidentifier() and any(os.path.isfile(f"{folder}{word}{end}") for end in (".py", "/__init__.py"))  # noqa: PTH113 -- as above
    }


def attributes_of(tree: ast.Module, names: Collection[str], package: str = "") -> dict[str, list[tuple[str, int]]]:
    """Return which of ``names``, spelt ``module:attribute``, each function reads and in which line, by function."""
    wanted, known = frozenset(names), {each["name"]: each for each in statements_of(tree, package)}
    found: dict[str, list[tuple[str, int]]] = {}
    for function, node in _functions(tree, ""):
        own = {each["name"]: each for each in statements_of(node, package)}
        reads = [
            (read, each.lineno)
            for each in ast.walk(node)
            if isinstance(each, ast.Attribute)
            and (read := f"{_meant(dotted(each.value), {**known, **own})}:{each.attr}") in wanted
        ]
        if reads:
            found[function] = reads
    return found


def _lock_names(tree: ast.AST, module: str, file: str) -> Callable[[str], str]:
    """Return what gives the full name of a lock that a module names: one that it does not import is its own."""
    imported = {each["name"]: each for each in statements_of(tree, package_of(module, file))}
    return lambda name: _meant(name, imported) if name.partition(".")[0] in imported else f"{module}.{name}"


def _meant(name: str, imported: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the full name of the module that a dotted name means, as far as imports bind its first part."""
    first, dot, rest = name.partition(".")
    statement = imported.get(first)
    return ".".join([statement["module"], *statement["names"]]) + dot + rest if statement else name
