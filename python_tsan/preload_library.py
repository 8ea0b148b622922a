"""Build a library that is preloaded into any program, once for each state of its sources and compiler."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from dataclasses import dataclass
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

SECONDS = 180.0
COMPILERS = ("c++", "g++", "clang++")
COMMON = "common"  # the folder of what several libraries are built from
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PreloadLibrary:
    """One library: its file name, its folder below ``native/preload``, what it is called in messages.

    ``otherwise`` is what a user without a compiler can do.
    """

    name: str
    folder: str
    title: str
    flags: tuple[str, ...] = ()
    otherwise: str = ""


# A compiler makes calls of memset and memcpy out of loops, and a sanitizer would see those.
LOCK_RECORDER = PreloadLibrary(
    name="libpython_tsan_locks.so",
    folder="locks",
    title="lock recorder",
    flags=("-ffreestanding", "-fno-stack-protector", "-ftls-model=initial-exec"),
    otherwise=", or use --detect races",
)
GIL_TRACER = PreloadLibrary(
    name="libpython_tsan_gil_tracer.so", folder="tracer", title="GIL tracer", otherwise=", or use --engine debugger"
)


def build_library(library: PreloadLibrary, *, layout: Layout, console: Console) -> Path:
    """Return the library; build it unless one of the same sources and compiler exists.

    Raises :class:`ToolchainError` without a C++ compiler, and ``BuildError`` with the compiler's output when it fails.
    """
    compiler = _find_compiler(library)
    folder = native_folder() / "preload" / library.folder
    sources = [path for each in (folder, folder.parent / COMMON) for path in sorted(each.glob("*.[ch]pp"))]
    versions = folder / f"versions-{platform.machine()}.map"
    if versions.is_file():
        sources.append(versions)
    key = _key(library, compiler, sources)
    name = f"{library.title.lower().replace(' ', '-')}-{key}"

    def fill(work: Path) -> Path:
        console.note(f"Building the {library.title}")
        log = writable(layout.logs / "tools") / f"{name}.log"
        units = [path for path in sources if path.suffix == ".cpp"]
        script = [f"-Wl,--version-script={versions}"] if versions in sources else []
        command: list[str | Path] = [compiler, *FLAGS, *library.flags, *units, *script, *LIBRARIES, "-o"]
        command.append(work / library.name)
        ended = process.run(command, stdout=log, timeout=SECONDS)
        if not ended.ok:
            raise step_error(f"build the {library.title}", ended, log)
        return work

    return artifact(
        layout.root / "tools" / name,
        fill,
        key=name,
        ready=lambda folder: existing(folder / library.name),
        layout=layout,
        console=console,
    )[0]


def _find_compiler(library: PreloadLibrary) -> Path:
    # Any compiler works, since the library uses none of its runtime libraries and is not instrumented.
    names = (os.environ.get("CXX", ""), *COMPILERS)
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        raise ToolchainError(
            f"no C++ compiler was found to build the preloaded {library.title}",
            advice=f"install g++ or clang++{library.otherwise}",
        )
    return Path(found)


def _key(library: PreloadLibrary, compiler: Path, sources: list[Path]) -> str:
    digest = hashlib.sha256(repr((str(compiler.resolve()), FLAGS, library.flags, LIBRARIES)).encode())
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:20]
