"""Define a row of the outcome table: its package tree, what each thread imports, and where a thread is held until when.

No thread is started and no file is written here. Named tuples rather than dataclasses: a subject under ThreadSanitizer
pays a fifth of a second for importing :mod:`dataclasses`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

START, ASK, FIND, CREATE, EXEC = "start", "ask", "find", "create", "exec"


class ThreadStates(Protocol):
    """What a condition may ask about the threads of a row."""

    def is_blocked(self, thread: str, module: str) -> bool:
        """Return whether ``thread`` sleeps on the lock of ``module``, or of any module if that is empty."""

    def has_reached(self, thread: str, point: str, module: str) -> bool:
        """Return whether ``thread`` has come to ``point`` of importing ``module``."""

    def has_ended(self, thread: str) -> bool:
        """Return whether ``thread`` has finished, well or not."""


Condition = Callable[[ThreadStates], bool]


def blocked(thread: str, module: str = "") -> Condition:
    """Return the condition that ``thread`` sleeps on the lock of ``module``, or of some module."""
    return lambda watch: watch.is_blocked(thread, module)


def reached(thread: str, point: str, module: str = "") -> Condition:
    """Return the condition that ``thread`` has come to ``point`` of importing ``module``, or to a mark of that name."""
    return lambda watch: watch.has_reached(thread, point, module)


def ended(thread: str) -> Condition:
    """Return the condition that ``thread`` has finished, well or not."""
    return lambda watch: watch.has_ended(thread)


class Hold(NamedTuple):
    """Keep ``thread`` at ``point`` of importing ``module`` until one of the conditions is true.

    ``start`` is before the first import, ``ask`` when a statement has found the module absent and has not asked
    for its lock, ``find`` when the thread owns that lock and has not looked for the module, ``create`` when it has and
    the module is not yet in ``sys.modules``, ``exec`` when the module is there and its body has not begun.
    """

    thread: str
    point: str
    module: str
    until: tuple[Condition, ...]


class Variant(NamedTuple):
    """One way to run a row: what each thread imports in turn, after what the main thread imports.

    A step ``module:function`` calls a function of a module that is there already.
    ``tree`` replaces files of the row's own tree. ``by_name`` makes the threads call ``importlib.import_module`` where
    they would otherwise come to an import statement. ``one_at_a_time`` puts one lock round every thread's imports,
    taken with nothing else held.
    """

    name: str
    threads: Mapping[str, tuple[str, ...]]
    main: tuple[str, ...] = ()
    tree: Mapping[str, str] = {}
    by_name: bool = False
    one_at_a_time: bool = False


class Row(NamedTuple):
    """One line of the outcome table: files by path, the schedule, the hazard first and then its fixes."""

    name: str
    label: str
    summary: str
    tree: Mapping[str, str]
    holds: tuple[Hold, ...]
    variants: tuple[Variant, ...]

    @property
    def modules(self) -> frozenset[str]:
        """Names of the modules in the tree."""
        return frozenset(module_name(path) for path in self.tree)

    def variant(self, name: str) -> Variant:
        """Return the variant of that name. Raises ``LookupError`` with the names that exist."""
        for variant in self.variants:
            if variant.name == name:
                return variant
        raise LookupError(f"no variant {name!r} of {self.name}; there are {[each.name for each in self.variants]}")


def module_name(path: str) -> str:
    """Return the module that ``path`` (relative, with slashes) defines: ``pkg/__init__.py`` gives ``pkg``."""
    parts = path[: -len(".py")].split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
