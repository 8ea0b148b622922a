"""List the modules of an installed distribution from its files; nothing of it is imported."""

from __future__ import annotations

import os
from csv import Error
from importlib.machinery import all_suffixes
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution
    from typing import Any

# The tests of a package and what runs as a program are not what a thread of an application imports.
NOT_FOR_IMPORT = frozenset({"tests", "test", "testing", "conftest", "setup"})


def list_modules(name: str, limit: int) -> dict[str, Any]:
    """Return the ``modules`` of a distribution, shallowest first, at most ``limit``, and how many it has (``public``).

    Those with a part that begins with an underscore are private, and no entries. ``error`` says why the list is empty,
    or what could not be read.
    """
    try:
        found = distribution(name)
    except (PackageNotFoundError, ValueError):
        return {"modules": [], "public": 0, "error": "is not installed for this Python"}
    unread: list[str] = []
    modules = sorted(set(_modules(found, unread)), key=lambda module: (module.count("."), module))
    error = "" if modules else "has no public module that its list of files names"
    return {"modules": modules[:limit], "public": len(modules), "error": "; ".join(unread) or error}


def _modules(found: Distribution, unread: list[str]) -> Iterator[str]:
    try:
        files, top_level = list(found.files or ()), found.read_text("top_level.txt") or ""
    except (OSError, ValueError, Error) as error:
        unread.append(f"its list of files cannot be read: {error}")
        return
    for path in files:
        yield from module_of(path.parts)
        if path.suffix == ".pth":
            yield from _linked(Path(str(path.locate())), unread)
    # Old and editable installations may name their packages without listing a file of them.
    yield from (name for name in top_level.split() if is_public([name]))


def _linked(pth: Path, unread: list[str]) -> Iterator[str]:
    """Yield the modules below the folders that an editable installation points to, and add to ``unread`` the others."""

    def note(error: OSError) -> None:
        unread.append(f"{error.filename} cannot be read: {error.strerror}")

    try:
        folders = [line for line in pth.read_text(encoding="utf-8-sig").splitlines() if Path(line).is_absolute()]
    except OSError as error:
        note(error)
        return
    except ValueError:
        unread.append(f"{pth} is not UTF-8")
        return
    for folder in folders:
        for place, inner, names in os.walk(folder, onerror=note):
            parts = Path(place).relative_to(folder).parts
            # A file outside the packages is a script of the project, and a folder without __init__.py is no package.
            inner[:] = [each for each in inner if Path(place, each, "__init__.py").is_file()]
            for name in names if parts else ():
                if name.endswith(".py"):
                    yield from module_of((*parts, name))


def module_of(parts: tuple[str, ...]) -> Iterator[str]:
    """Yield the public module that the file of these path ``parts`` is, or nothing."""
    suffix = next((suffix for suffix in all_suffixes() if parts[-1].endswith(suffix)), "")
    if not suffix:
        return
    stem = parts[-1][: -len(suffix)]
    names = parts[:-1] if stem == "__init__" else (*parts[:-1], stem)
    if names and is_public(names):
        yield ".".join(names)


def is_public(names: tuple[str, ...] | list[str]) -> bool:
    """Return whether a module of this dotted name, in parts, is one that an application may import."""
    return all(name.isidentifier() and not name.startswith("_") and name not in NOT_FOR_IMPORT for name in names)
