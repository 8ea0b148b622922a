"""Find a compiler's ThreadSanitizer runtime."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from python_tsan.storage import is_file
from python_tsan.toolchain.model import Candidate, Family
from python_tsan.toolchain.search import ask

if TYPE_CHECKING:
    from collections.abc import Iterator

# A linker script in place of a library, as Fedora ships libtsan.so: "INPUT ( /usr/lib64/libtsan.so.2.0.0 )"
_LINKER_SCRIPT = re.compile(rb"\bINPUT\s*\(\s*(?P<path>\S+)\s*\)")
# As clang prints: "InstalledDir: /usr/lib/llvm-19/bin"; as Zig: "InstalledDir: /venv/site-packages/ziglang"
_INSTALLED = re.compile(r"^InstalledDir: (?P<folder>.+)$", re.MULTILINE)


def find_runtime(candidate: Candidate) -> Path | None:
    """Return the runtime library that ``-fsanitize=thread`` links, links followed, or None if it is not installed."""
    for name in _names(candidate):
        # A compiler that does not know the file prints the name as it was asked.
        path = Path(ask(candidate.cc, f"-print-file-name={name}"))
        if path.is_absolute() and is_file(path):
            library = _behind_linker_script(path.resolve())
            if is_file(library):
                return library
    return None


def is_zig(candidate: Candidate) -> bool:
    """Return whether the compiler is a part of Zig, which compiles its runtime when it links."""
    installed = _INSTALLED.search(ask(candidate.cc, "--version"))
    return installed is not None and is_file(Path(installed["folder"]) / "zig")


def runtime_folders(candidate: Candidate) -> tuple[Path, ...]:
    """Return the folders that change when a package brings the runtime; they may not exist yet."""
    folders: tuple[Path, ...]
    match candidate.family:
        case Family.CLANG:
            resources = Path(ask(candidate.cc, "-print-resource-dir"))
            folders = (
                resources,
                resources / "lib",
                resources / "lib/linux",
                Path(ask(candidate.cc, "-print-runtime-dir")),
            )
        case Family.GCC:
            own = Path(ask(candidate.cc, "-print-libgcc-file-name")).parent
            folders = (own, Path(ask(candidate.cc, "-print-file-name=libstdc++.so")).resolve().parent)
        case _:
            assert_never(candidate.family)
    return tuple(folder for folder in folders if folder.is_absolute())


def _names(candidate: Candidate) -> Iterator[str]:
    match candidate.family:
        case Family.CLANG:
            # The layout by operating system, then the one by target (LLVM_ENABLE_PER_TARGET_RUNTIME_DIR).
            yield f"libclang_rt.tsan-{candidate.architecture}.a"
            yield "libclang_rt.tsan.a"
        case Family.GCC:
            yield "libtsan.so"
            yield "libtsan.a"
        case _:
            assert_never(candidate.family)


def _behind_linker_script(path: Path) -> Path:
    with path.open("rb") as file:
        start = file.read(4096)
    script = None if start.startswith((b"\x7fELF", b"!<arch>")) else _LINKER_SCRIPT.search(start)
    return Path(os.fsdecode(script["path"])) if script else path
