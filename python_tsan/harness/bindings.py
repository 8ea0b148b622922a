"""Find the binding library that a harness is built with."""

from __future__ import annotations

import contextlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.binding import BINDINGS, Binding, Library
from python_tsan.cpython.diagnosis import tail
from python_tsan.cpython.locks import lock_named
from python_tsan.cpython.tools import install_tool
from python_tsan.errors import BuildError, UsageError

if TYPE_CHECKING:
    from python_tsan.console import Console
    from python_tsan.paths import Layout

# What the harness needs of a package, as its proof that the package is whole.
_NEEDED = {
    Library.PYBIND11: Path("include") / "pybind11" / "embed.h",
    Library.NANOBIND: Path("src") / "nb_combined.cpp",
}
# Because there is no version of pybind11==9.9.9 and you require pybind11==9.9.9, we can conclude ...
_NOT_THERE = "there is no version of "


def find_binding(binding: Binding, *, layout: Layout, console: Console) -> Path:
    """Return the folder of the binding's Python package: of this environment, else from the cache, else from PyPI.

    uv unpacks it: sources need no interpreter. Of a release that is locked, it is the very file that the lock knows.
    Raises ``UsageError`` when there is no such version, ``BuildError`` when PyPI cannot be reached.
    """
    name, needed = binding.library.value, _NEEDED[binding.library]
    with contextlib.suppress(metadata.PackageNotFoundError):
        installed = metadata.distribution(name)
        package = Path(str(installed.locate_file(name)))
        if installed.version == binding.version and (package / needed).is_file():
            return package
    lock = lock_named(binding.slug)
    requirements = lock.file.read_text(encoding="utf-8") if lock else f"{binding.requirement}\n"
    try:
        folder = install_tool(binding.slug, requirements, hashed=lock is not None, layout=layout, console=console)
    except BuildError as error:
        if error.evidence and _NOT_THERE in tail(error.evidence):
            known = ", ".join(each.requirement for each in BINDINGS)
            raise UsageError(
                f"there is no {binding}",
                evidence=error.evidence,
                advice=f"--binding takes a release, such as {known}",
            ) from error
        raise
    if not (folder / name / needed).is_file():
        raise BuildError(f"the wheel of {binding} contains no {needed}", evidence=folder)
    return folder / name
