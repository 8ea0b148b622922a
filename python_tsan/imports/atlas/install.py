"""Own private environments for one package each: wheels only, put there by uv without running the interpreter."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from typing import TYPE_CHECKING

from python_tsan.cpython.uv import find_uv
from python_tsan.errors import SubjectError
from python_tsan.process import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TESTS = frozenset({"test", "tests", "testing"})
INSTALL_SECONDS = 300.0

#   x No solution found when resolving dependencies:
#   `-> Because ... has no wheels with a matching Python ABI tag ...
_DRAWING = re.compile(r"^[^\w']+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What is in an environment: the package's version, and the names of the distributions that came with it."""

    version: str
    others: tuple[str, ...]


def install(package: str, folder: Path, *, minor: str) -> Installed:
    """Put ``package`` and what it needs into ``folder``, as wheels for CPython ``minor``.

    Raises SubjectError with uv's own reason when there is no wheel, or none can be fetched.
    """
    options = ["--quiet", "--no-config", "--only-binary", ":all:", "--python", sys.executable]
    command: list[str | Path] = [
        find_uv(),
        "pip",
        "install",
        *options,
        "--python-version",
        minor,
        "--target",
        folder,
        package,
    ]
    ended = run(command, timeout=INSTALL_SECONDS)
    if not ended.ok:
        raise SubjectError(f"cannot be installed: {_reason(ended.stderr)}")
    versions = {_normal(each.metadata["Name"]): each.version for each in distributions(path=[str(folder)])}
    return Installed(
        version=versions.pop(_normal(package), ""),
        others=tuple(sorted(versions)),
    )


def _reason(text: str) -> str:
    """Return uv's reason without the drawing round it."""
    words = " ".join(_DRAWING.sub("", line).strip() for line in text.splitlines())
    return " ".join(words.split()) or "uv gave no reason"


def _normal(name: str) -> str:
    """Spell a project's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def top_modules(folder: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the top-level packages that these distributions bring, without private ones and tests."""
    found = (module for each in distributions(path=[str(folder)]) if _normal(each.metadata["Name"]) in names
             for module in _packages(each))  # fmt: skip
    return tuple(dict.fromkeys(sorted(found)))


def _packages(found: Distribution) -> set[str]:
    paths = (path.parts for path in found.files or ())
    return {
        parts[0]
        for parts in paths
        if len(parts) == 2 and parts[1] == "__init__.py" and parts[0].isidentifier() and not parts[0].startswith("_")  # noqa: PLR2004
    } - {"tests", "test"}


def public_modules(folder: Path, package: str, *, limit: int) -> tuple[tuple[str, ...], int]:
    """Return the public modules of a package, the shallowest first, at most ``limit``, and how many are left out."""
    files = (
        path.parts
        for each in distributions(path=[str(folder)])
        if _normal(each.metadata["Name"]) == _normal(package)
        for path in each.files or ()
    )
    modules = sorted({name for parts in files for name in _module(parts)}, key=lambda name: (name.count("."), name))
    return tuple(modules[:limit]), max(0, len(modules) - limit)


def _module(parts: tuple[str, ...]) -> Iterator[str]:
    if parts[-1].endswith(".py"):
        names = (*parts[:-1], parts[-1].removesuffix(".py"))
        names = names[:-1] if names[-1] == "__init__" else names
        if names and all(name.isidentifier() and not name.startswith("_") and name not in _TESTS for name in names):
            yield ".".join(names)
