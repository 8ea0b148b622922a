"""List the engines. To add one, write a module with a class like :class:`.engine.Engine` and add it to ``ENGINES``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.errors import ToolchainError
from python_tsan.gil.debugger import GDB, LLDB
from python_tsan.gil.preload import PreloadEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.gil.engine import Engine

ENGINES: tuple[Engine, ...] = (PreloadEngine(), GDB, LLDB)  # the first is the default
ANY_DEBUGGER = "debugger"
NAMES = (*(engine.name for engine in ENGINES), ANY_DEBUGGER)


def find_engine(name: str, env: Mapping[str, str]) -> Engine:
    """Return the engine with this name; for :data:`ANY_DEBUGGER`, the first debugger that is installed.

    Raises :class:`ToolchainError` when it is not installed, and ``KeyError`` when no engine has this name.
    """
    if name not in NAMES:
        raise KeyError(name)
    matching = [engine for engine in ENGINES if (engine.is_debugger if name == ANY_DEBUGGER else engine.name == name)]
    found = next((engine for engine in matching if engine.is_installed(env)), None)
    if found is not None:
        return found
    # Another of the same sort, else the default.
    others = sorted(ENGINES, key=lambda engine: engine.is_debugger != matching[0].is_debugger)
    other = next(one.name for one in others if one not in matching and one.is_installed(env))
    missing = " or ".join(engine.name for engine in matching)
    raise ToolchainError(f"{missing} was not found", advice=f"install {missing}, or use --engine {other}", page="gil")
