"""List which loaded objects the sanitizer could see into, and what a verdict does not cover without the others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.plain_text import some_of
from python_tsan.result.model import SharedObject
from python_tsan.running.elf import Runtime, is_elf, read_elf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.running.elf import ElfFacts

# The sanitizer intercepts the functions of these instead of seeing into them; nobody instruments them.
_SYSTEM = re.compile(
    r"(?:ld-[\w-]+|lib(?:c|m|dl|rt|pthread|resolv|util|anl|nss_\w+|gcc_s|stdc\+\+|c\+\+|c\+\+abi|unwind|tsan"
    r"|clang_rt[\w.-]*|python_tsan_(?:companion|locks)))(?:-[\d.]+)?\.so(?:\.|$)"
)
# libopenblas.so.0.3.21, libz.so.1
_FILE_VERSION = re.compile(r"\.so\.(?P<version>\d[\d.]*)$")
LIBPYTHON = re.compile(r"libpython3[\w.]*\.so")
MAX_NAMED = 5


def inspect_objects(paths: Iterable[str]) -> tuple[SharedObject, ...]:
    """Return one record for each object, the program first, in the order of loading; one that is met twice once."""
    files = [read_elf(Path(path)) for path in dict.fromkeys(paths)]
    return tuple(
        SharedObject(
            path=str(each.path), instrumented=each.instrumented, build_id=each.build_id, version=_version(each)
        )
        for each in files
    )


def watched_objects(paths: Iterable[str]) -> list[str]:
    """Return what was mapped, without the programs that start, name or debug the one that is judged.

    Seen from outside, the shell and the symbolizer look like parts of it. Their libraries are mostly of the system.
    """
    kept = []
    for path in paths:
        facts = read_elf(Path(path))
        tool = facts.instrumented is False and not facts.soname and ".so" not in Path(path).name
        if not tool:
            kept.append(path)
    return kept


def _version(facts: ElfFacts) -> str:
    """Return the version by the wheel that brought the file, else by the name behind all links, else by the soname."""
    for parent in facts.path.parents:
        if parent.parent.name in {"site-packages", "dist-packages"}:
            package = parent.name.removesuffix(".libs").partition(".")[0]
            for record in parent.parent.glob(f"{package}-*.dist-info"):
                return record.name.removeprefix(f"{package}-").removesuffix(".dist-info")
    for name in (facts.path.resolve().name, facts.soname):
        if found := _FILE_VERSION.search(name):
            return found["version"]
    return ""


def is_system(path: str) -> bool:
    """Return whether an object is of the C or C++ runtime, or the sanitizer's own, whose calls are intercepted."""
    return bool(_SYSTEM.match(path.rpartition("/")[2]))


def downgrades(objects: tuple[SharedObject, ...]) -> Iterator[str]:
    """Say in whole sentences what a verdict on these objects does not cover."""
    blind = [Path(each.path).name for each in objects if each.instrumented is False and not is_system(each.path)]
    unknown = [Path(each.path).name for each in objects if each.instrumented is None]
    for name in blind:
        if LIBPYTHON.match(name):
            yield f"{name} is not instrumented: accesses inside CPython itself were not seen."
    others = [name for name in blind if not LIBPYTHON.match(name)]
    if others:
        are, them = ("is", "it") if len(others) == 1 else ("are", "them")
        yield f"{some_of(others, MAX_NAMED)} {are} not instrumented: accesses inside {them} were not seen."
    if unknown:
        them = "it" if len(unknown) == 1 else "them"
        yield f"{some_of(unknown, MAX_NAMED)} could not be read, so nothing is known of {them}."


def two_runtimes(paths: Iterable[str]) -> str:
    """Say which objects bring both LLVM's runtime and GCC's into one process; empty when there is only one."""
    found: dict[Runtime, str] = {}
    for path in paths:
        runtime = read_elf(Path(path)).runtime if is_elf(Path(path)) else Runtime.NONE
        if runtime is not Runtime.NONE:
            found.setdefault(runtime, Path(path).name)
    if len(found) < len(Runtime) - 1:
        return ""
    return f"{found[Runtime.LLVM]} brings LLVM's runtime and {found[Runtime.GCC]} brings GCC's"
