"""Build the library that is preloaded, once for each state of its sources and compiler."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.artifact import artifact, existing, writable
from python_tsan.cpython.diagnosis import step_error
from python_tsan.errors import ToolchainError
from python_tsan.paths import native_folder

if TYPE_CHECKING:
    from python_tsan.console import Console
    from python_tsan.paths import Layout

NAME = "libpython_tsan_gil_tracer.so"
SECONDS = 180.0
COMPILERS = ("c++", "g++", "clang++")
# No C++ runtime: the library is loaded into any process, with any libstdc++ or none. It needs unwind tables: a thread
# that Python ends during its finalization unwinds through it.
FLAGS = (
    "-std=c++17",
    "-O2",
    "-g1",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-fno-threadsafe-statics",
    "-fno-rtti",
    "-fno-exceptions",
    "-fasynchronous-unwind-tables",
    "-Wl,-z,defs",
    "-nodefaultlibs",
)
LIBRARIES = ("-lc", "-lgcc_s", "-lgcc", "-ldl", "-lpthread")


def build_tracer(*, layout: Layout, console: Console) -> Path:
    """Return the library; build it unless one of the same sources and compiler exists.

    Raises :class:`ToolchainError` without a C++ compiler, and ``BuildError`` with the compiler's output when it fails.
    """
    compiler = _find_compiler()
    sources = sorted((native_folder() / "preload" / "tracer").glob("*.[ch]pp"))
    key = _key(compiler, sources)
    name = f"gil-tracer-{key}"

    def fill(work: Path) -> Path:
        console.note("Building the GIL tracer")
        log = writable(layout.logs / "tools") / f"{name}.log"
        units = [path for path in sources if path.suffix == ".cpp"]
        ended = process.run([compiler, *FLAGS, *units, *LIBRARIES, "-o", work / NAME], stdout=log, timeout=SECONDS)
        if not ended.ok:
            raise step_error("build the GIL tracer", ended, log)
        return work

    return artifact(
        layout.root / "tools" / name,
        fill,
        key=name,
        ready=lambda folder: existing(folder / NAME),
        layout=layout,
        console=console,
    )[0]


def _find_compiler() -> Path:
    # Any compiler works, since the library uses none of its runtime libraries and is not instrumented.
    names = (os.environ.get("CXX", ""), *COMPILERS)
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        raise ToolchainError(
            "no C++ compiler was found to build the preloaded tracer",
            advice="install g++ or clang++, or use --engine debugger",
        )
    return Path(found)


def _key(compiler: Path, sources: list[Path]) -> str:
    digest = hashlib.sha256(repr((str(compiler.resolve()), FLAGS, LIBRARIES)).encode())
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
