"""Own the programs that build numpy: Cython, brought here once, and what Meson is told of compilers and Pythons."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from python_tsan.cpython.from_pypi import install_tool, lock_slug
from python_tsan.cpython.locks import CYTHON
from python_tsan.cpython.numpy_source.plan import interpreter_script, native_file
from python_tsan.cpython.uv import find_tool

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain


def obtain_cython(layout: Layout, console: Console) -> Path:
    """Return the folder that holds Cython, compiled for this Python. Raises ``BuildError`` where it cannot be had."""
    slug = f"{lock_slug(CYTHON)}-py{sys.version_info.major}{sys.version_info.minor}"
    return install_tool(slug, CYTHON.file.read_text(encoding="utf-8"), layout=layout, console=console)


def write_programs(folder: Path, base: Interpreter, *, toolchain: Toolchain, cache: Path | None, cython: Path) -> None:
    """Write into ``folder`` the programs that stand for others, and ``native.ini``, which tells Meson of all."""
    target = [*toolchain.launcher, str(base.executable)]
    python = _script(folder / "python", interpreter_script(target=target, host=[sys.executable]))
    compiler = _script(folder / "cython", f'#!/bin/sh\nPYTHONPATH={cython} exec {sys.executable} -m cython "$@"\n')
    candidate, cached = toolchain.candidate, [str(cache)] if cache else []
    described = native_file(
        {
            "c": [*cached, str(candidate.cc)],
            "cpp": [*cached, str(candidate.cxx or candidate.cc)],
            "python": [str(python)],
            "cython": [str(compiler)],
            "ninja": [str(find_tool("ninja"))],
        }
    )
    (folder / "native.ini").write_text(described, encoding="utf-8")


def _script(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path
