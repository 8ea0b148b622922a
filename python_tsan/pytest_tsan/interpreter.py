"""Find the Python that runs tests marked ``tsan``, and the ThreadSanitizer runtime to preload into it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.manifest import read_manifest
from python_tsan.errors import ToolchainError, UsageError
from python_tsan.running.elf import read_elf
from python_tsan.toolchain import choose_toolchain
from python_tsan.toolchain.model import Family

if TYPE_CHECKING:
    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedTestPython:
    """A Python that runs marked tests.

    ``preload`` is the runtime to preload into it, None if it is instrumented and has the runtime in it.
    ``interpreter`` describes it if python-tsan built it.
    """

    executable: Path
    toolchain: Toolchain
    preload: Path | None = None
    interpreter: Interpreter | None = None


def find_python(named: str, settings: Settings, *, layout: Layout, console: Console) -> MarkedTestPython:
    """Return the Python that was named, else the one that runs pytest.

    Raises :class:`UsageError` when the named one is not there, and :class:`ToolchainError` when no compiler works or
    its runtime cannot be preloaded.
    """
    # An environment's python is kept as it is spelled: that is how it finds its packages.
    python = Path(named or sys.executable).absolute()
    if not python.is_file() or not os.access(python, os.X_OK):
        raise UsageError(
            f"the Python for marked tests is not there: {python}",
            advice="correct --tsan-python, or tsan_python in pytest's settings",
            page="marked-tests",
        )
    toolchain = choose_toolchain(settings.toolchain, layout=layout, console=console)
    program = python.resolve()
    if read_elf(program).instrumented:
        return MarkedTestPython(
            executable=python, toolchain=toolchain, interpreter=read_manifest(program.parent.parent)
        )
    return MarkedTestPython(executable=python, toolchain=toolchain, preload=shared_runtime(toolchain))


def shared_runtime(toolchain: Toolchain) -> Path:
    """Return the runtime as a library that can be preloaded into a program that is not instrumented.

    GCC's always is one; LLVM's is next to the static one, if it was built.

    Raises :class:`ToolchainError` where it is not there.
    """
    library = toolchain.runtime
    if toolchain.candidate.family is Family.CLANG:
        library = library.with_suffix(".so")
    if library.suffix == ".a" or not library.is_file():
        raise ToolchainError(
            f"{toolchain.name} has no shared ThreadSanitizer runtime, which a Python that is not instrumented needs",
            evidence=library,
            advice="name a Python built by `python-tsan build` with --tsan-python, or choose another toolchain",
            page="marked-tests",
        )
    return library
