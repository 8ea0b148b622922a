"""Own finding what a harness is built with: tools and the binding; leave the building to :mod:`.build`."""

from __future__ import annotations

import os
import shutil
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.binding import BINDINGS, Binding, Library
from python_tsan.cpython.diagnosis import step_error, tail
from python_tsan.cpython.locking import discard, exclusive, writable
from python_tsan.cpython.locks import lock_named
from python_tsan.cpython.uv import uv_install
from python_tsan.errors import BuildError, UsageError

if TYPE_CHECKING:
    from python_tsan.console import Console
    from python_tsan.paths import Layout

INSTALL_SECONDS = 300.0
# What the harness needs of a package, as its proof that the package is whole.
_NEEDED = {
    Library.PYBIND11: Path("include") / "pybind11" / "embed.h",
    Library.NANOBIND: Path("src") / "nb_combined.cpp",
}
# Because there is no version of pybind11==9.9.9 and you require pybind11==9.9.9, we can conclude ...
_NOT_THERE = "there is no version of "


def find_tool(name: str) -> Path:
    """Return the program ``name``: the one installed beside this package, else the one on PATH.

    Raises ``BuildError`` when there is none.
    """
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if not found:
        raise BuildError(
            f"{name} was not found; the harness is built with it.",
            advice=f"Install it with the package: python -m pip install 'python-tsan[verify]', or put {name} on PATH.",
        )
    return Path(found)


def find_binding(binding: Binding, *, layout: Layout, console: Console) -> Path:
    """Return the folder of the binding's Python package: of this environment, else from the cache, else from PyPI.

    Raises ``UsageError`` when there is no such version, ``BuildError`` when PyPI cannot be reached.
    """
    return _installed(binding) or _fetched(binding, layout) or _fetch(binding, layout, console)


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


def _folder(binding: Binding, layout: Layout) -> Path:
    return layout.root / "tools" / binding.slug


def _fetched(binding: Binding, layout: Layout) -> Path | None:
    package = _folder(binding, layout) / binding.library.value
    return package if _is_whole(package, binding) else None


def _fetch(binding: Binding, layout: Layout, console: Console) -> Path:
    """Unpack the wheel into the cache with uv, for sources need no interpreter; it gets its name when complete."""
    log = writable(layout.logs / "tools") / f"{binding.slug}.log"
    with exclusive(layout, binding.slug, console):
        if found := _fetched(binding, layout):
            return found
        console.note(f"Fetching {binding} from PyPI.")
        partial = writable(layout.work) / binding.slug
        discard(partial)
        _unpack(binding, partial, log)
        discard(_folder(binding, layout))
        writable(_folder(binding, layout).parent)
        partial.rename(_folder(binding, layout))
    if found := _fetched(binding, layout):
        return found
    raise BuildError(f"The wheel of {binding} holds no {_NEEDED[binding.library]}.", evidence=_folder(binding, layout))


def _unpack(binding: Binding, folder: Path, log: Path) -> None:
    """Let uv put the wheel into ``folder``; of a version that is locked, only the very file that the lock knows."""
    lock = lock_named(binding.slug)
    requirements = writable(folder) / "requirements.txt"
    text = lock.file.read_text(encoding="utf-8") if lock else f"{binding.requirement}\n"
    requirements.write_text(text, encoding="utf-8")
    command = [*uv_install(requirements, hashed=lock is not None), "--target", folder]
    ended = process.run(command, stdout=log, timeout=INSTALL_SECONDS)
    if not ended.ok:
        missing = _NOT_THERE in tail(log)
        raise _no_such_version(binding, log) if missing else step_error(f"fetch {binding.slug}", ended, log)
