"""Import modules from several threads without deadlocks; the C++ header of this name is its twin.

Opt-in, standard library only, CPython 3.9 and later; this file can be copied into a project that installs nothing::

    from python_tsan.safe_import import safe_import

    json = safe_import("json")

It takes the deadlocks away that CPython itself takes away in 3.15.2, and does nothing from there on.
``docs/safe-import.md`` says what it does not save from.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType, ModuleType

__all__ = ["FIXED_IN", "import_lazy_names", "is_needed", "safe_import"]

# gh-83065 takes parents first from 3.15.0 on; gh-159963 fixes what it broke.
FIXED_IN = (3, 15, 2)

_BOOTSTRAP = "<frozen importlib._bootstrap>"
# Re-entrant: a finalizer may call safe_import from anywhere, also from inside the turn of its own thread.
_turn = threading.RLock()


def is_needed() -> bool:
    """Return whether this interpreter deadlocks where it need not."""
    return sys.implementation.name == "cpython" and sys.version_info[:3] < FIXED_IN


def safe_import(name: str) -> ModuleType:
    """Import a module by its full name and return it, as :func:`importlib.import_module` does.

    Where :func:`is_needed`, one thread imports at a time and takes parents before their modules. A thread that is
    inside an import owns a module's lock and waits for nobody's turn: whose turn it is may be waiting for that module.
    Raises what the import raises; a relative name is a ``TypeError``.
    """
    if not is_needed():
        return importlib.import_module(name)
    module = _complete(name)
    if module is not None:
        return module
    if _is_inside_an_import():
        return _parents_first(name)
    with _turn:
        return _parents_first(name)


def import_lazy_names(module: ModuleType) -> None:
    """Import what the first uses of a module's lazy names would import (PEP 810, CPython 3.15).

    Call it on the main thread, before others begin: they import nothing later, perhaps with a lock of the program held.
    Raises what the first name raises that fails. ``vars(module)`` returns lazy objects, an attribute uses them.
    """
    kind = getattr(types, "LazyImportType", None)
    for name, value in list(vars(module).items()):
        if type(value) is kind:
            _use_submodules(getattr(module, name))


def _use_submodules(package: object) -> None:
    """Use the submodules that are registered as lazy: the name ``a`` of ``lazy import a.b`` is the package alone.

    Which module has registered one is not known. So one that fails, and may be optional elsewhere, is left out.
    """
    start = f"{getattr(package, '__name__', '')}."
    registered = set(getattr(sys, "lazy_modules", ())) if isinstance(package, types.ModuleType) else ()
    for first in sorted({name[len(start) :].partition(".")[0] for name in registered if name.startswith(start)}):
        try:
            found = getattr(package, first)
        except (AttributeError, ImportError):
            continue
        if getattr(found, "__name__", "") == f"{start}{first}":
            _use_submodules(found)


def _complete(name: str) -> ModuleType | None:
    """Return the module if its body has ended. A lookup in ``sys.modules`` alone hands out half-made ones."""
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    return None if getattr(spec, "_initializing", False) else module


def _is_inside_an_import() -> bool:
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 -- inspect.currentframe() is the same with an import more
    while frame is not None:
        if frame.f_code.co_filename == _BOOTSTRAP:
            return True
        frame = frame.f_back
    return False


def _parents_first(name: str) -> ModuleType:
    parts = name.split(".")
    for count in range(1, len(parts)):
        parent = ".".join(parts[:count])
        if parent:  # a relative name has none, and import_module refuses it in its own words
            importlib.import_module(parent)
    return importlib.import_module(name)


# A fork waits until nobody is inside an import of ours: its child would inherit a module's lock without an owner.
if is_needed() and hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_turn.acquire, after_in_parent=_turn.release, after_in_child=_turn.release)
