"""Which settings a verb can read, found in the source: every function that it can reach, by the names in it.

A name reaches the function or class that it is bound to. A method is reached when its name occurs as an attribute in a
function that is reached and its class is reached too. Reading is an attribute of something called ``settings``.
"""

import ast
from functools import cache
from pathlib import Path

import python_tsan
from python_tsan.config import OPTIONS

ROOT = Path(python_tsan.__file__).parent
# These load the settings for every verb and act on none.
LOADING = {"python_tsan.config", "python_tsan.cli.options"}
FIELDS = {option.field for option in OPTIONS}


class Module:
    """What a module defines, and what each of its names is bound to: ``(module, name)``."""

    def __init__(self, name, path):
        self.name = name
        self.functions, self.classes, self.bound = {}, {}, {}
        self.tree = ast.parse(path.read_text(encoding="utf-8"))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("python_tsan"):
                self.bound |= {each.asname or each.name: (node.module, each.name) for each in node.names}
        assert package
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef):
                self.functions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.functions |= {each.id: node for each in targets if isinstance(each, ast.Name)}


@cache
def modules():
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


def resolve(module, name):
    """Follow imports to where a name is defined; a module is ``(module, "")``; None for what is not ours."""
    while module in modules():
        here = modules()[module]
        if name in here.functions or name in here.classes:
            return module, name
        if f"{module}.{name}" in modules():
            return f"{module}.{name}", ""
        if name not in here.bound:
            return None
        module, name = here.bound[name]
    return None


class Reach:
    """Everything that can be reached from some functions."""

    def __init__(self, *starts):
        self.seen, self.classes, self.attributes, self.reads = set(), set(), set(), set()
        for start in starts:
            self.visit(*start)
        while self.methods():
            pass

    def methods(self):
        """Visit the methods that became reachable; return whether there were any."""
        found = False
        for module, name in tuple(self.classes):
            for node in modules()[module].classes[name].body:
                key = (module, f"{name}.{getattr(node, 'name', '')}")
                named = isinstance(node, ast.FunctionDef) and (node.name in self.attributes or node.name[:2] == "__")
                if named and key not in self.seen:
                    self.seen.add(key)
                    self.body(module, node)
                    found = True
        return found

    def visit(self, module, name):
        if (module, name) in self.seen:
            return
        self.seen.add((module, name))
        here = modules()[module]
        if name in here.functions:
            self.body(module, here.functions[name])
        else:
            self.classes.add((module, name))

    def body(self, module, node):
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and (target := resolve(module, each.id)) and target[1]:
                self.visit(*target)
            elif isinstance(each, ast.Attribute):
                self.attribute(module, each)

    def attribute(self, module, node):
        owner = ast.unparse(node.value)
        self.attributes.add(node.attr)
        if module in LOADING:
            pass
        elif node.attr in FIELDS and owner.rpartition(".")[2] == "settings":
            self.reads.add(node.attr)
        elif node.attr == "layout":
            self.reads.add("cache")  # the layout is that of the cache
        target = resolve(module, owner) if owner.isidentifier() else None
        if target and not target[1] and (found := resolve(target[0], node.attr)) and found[1]:
            self.visit(*found)


def settings_read_by(function):
    """Return the fields of the settings that a function can read."""
    return Reach((function.__module__, function.__name__)).reads
