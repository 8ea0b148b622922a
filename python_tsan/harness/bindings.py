"""Find the binding library that a harness is built with."""

from __future__ import annotations

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

    Raises ``UsageError`` when there is no such version, ``BuildError`` when PyPI cannot be reached.
    """
    return _installed(binding) or _fetched(binding, layout, console)


def _no_such_version(binding: Binding, log: Path) -> UsageError:
    known = ", ".join(each.requirement for each in BINDINGS)
    return UsageError(f"There is no {binding}.", evidence=log, advice=f"--binding takes a release, such as {known}.")


def _installed(binding: Binding) -> Path | None:
    try:
        distribution = metadata.distribution(binding.library.value)
    except metadata.PackageNotFoundError:
        return None
    package = Path(str(distribution.locate_file(binding.library.value)))
    return package if distribution.version == binding.version and _is_whole(package, binding) else None


def _is_whole(package: Path, binding: Binding) -> bool:
    return (package / _NEEDED[binding.library]).is_file()


def _fetched(binding: Binding, layout: Layout, console: Console) -> Path:
    """Return the package from the cache, where it was unpacked by uv: sources need no interpreter.

    Of a release that is locked, it is the very file that the lock knows.
    """
    lock = lock_named(binding.slug)
    requirements = lock.file.read_text(encoding="utf-8") if lock else f"{binding.requirement}\n"
    try:
        folder = install_tool(binding.slug, requirements, hashed=lock is not None, layout=layout, console=console)
    except BuildError as error:
        if error.evidence and _NOT_THERE in tail(error.evidence):
            raise _no_such_version(binding, error.evidence) from error
        raise
    package = folder / binding.library.value
    if not _is_whole(package, binding):
        raise BuildError(f"the wheel of {binding} contains no {_NEEDED[binding.library]}", evidence=folder)
    return package
