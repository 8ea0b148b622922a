"""List the modules of an installed distribution from its files; nothing of it is imported."""

from __future__ import annotations

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

    Those with a part that begins with an underscore are private, and no entries. ``error`` says why the list is empty.
    """
    try:
        found = distribution(name)
    except (PackageNotFoundError, ValueError):
        return {"modules": [], "public": 0, "error": "is not installed for this Python"}
    modules = sorted(set(_modules(found)), key=lambda module: (module.count("."), module))
    error = "" if modules else "has no public module that its list of files names"
    return {"modules": modules[:limit], "public": len(modules), "error": error}


def _modules(found: Distribution) -> Iterator[str]:
    for path in found.files or ():
        yield from module_of(path.parts)
        if path.suffix == ".pth":
            yield from _linked(Path(str(path.locate())))
    # Old and editable installations may name their packages without listing a file of them.
    yield from (name for name in (found.read_text("top_level.txt") or "").split() if is_public([name]))


def _linked(pth: Path) -> Iterator[str]:
    """Yield the modules below the folders that an editable installation points to."""
    try:
        folders = [line for line in pth.read_text(encoding="utf-8").splitlines() if Path(line).is_absolute()]
    except OSError:
        return
    for folder in folders:
        for path in Path(folder).glob("*/**/*.py"):
            parts = path.relative_to(folder).parts
            if all((Path(folder, *parts[:count]) / "__init__.py").is_file() for count in range(1, len(parts))):
                yield from module_of(parts)


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
