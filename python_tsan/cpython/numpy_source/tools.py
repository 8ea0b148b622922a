"""Own the programs that build numpy: Cython, brought here once, and what Meson is told of compilers and Pythons."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import resources
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.diagnosis import step_error
from python_tsan.cpython.locking import writable
from python_tsan.cpython.locks import CYTHON
from python_tsan.cpython.numpy_source.plan import interpreter_script, native_file
from python_tsan.cpython.uv import find_tool, uv_install

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.paths import Layout
    from python_tsan.toolchain.model import Toolchain

INSTALL_SECONDS = 300.0


def obtain_cython(layout: Layout, console: Console) -> Path:
    """Return the folder that holds Cython, installed by its lock unless it is there. Raises ``BuildError``."""
    with resources.as_file(CYTHON.file) as lock:
        folder = (
            layout.root / "tools" / f"cython-{lock.stat().st_size}-{sys.version_info.major}{sys.version_info.minor}"
        )
        if folder.is_dir():
            return folder
        console.note("Installing Cython from PyPI.")
        log = writable(layout.logs / "tools") / "cython.log"
        partial = folder.with_name(f".{folder.name}-{os.getpid()}")
        ended = process.run(
            [*uv_install(lock), "--target", partial, "--python", sys.executable], stdout=log, timeout=INSTALL_SECONDS
        )
    if not ended.ok:
        shutil.rmtree(partial, ignore_errors=True)
        raise step_error("install cython", ended, log)
    if not folder.is_dir():
        partial.rename(folder)
    return folder


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
