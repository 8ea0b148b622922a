"""Own finding what a harness is built with: tools and pybind11; leave the building to :mod:`.build`."""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.diagnosis import step_error, tail
from python_tsan.cpython.locking import discard, exclusive, writable
from python_tsan.cpython.uv import find_uv
from python_tsan.errors import BuildError, UsageError

if TYPE_CHECKING:
    from python_tsan.console import Console
    from python_tsan.paths import Layout

INSTALL_SECONDS = 300.0
_HEADER = Path("pybind11") / "embed.h"
_VERSION = re.compile(r"\d+(?:\.\d+)+(?:(?:a|b|rc)\d+)?")
# Because there is no version of pybind11==9.9.9 and you require pybind11==9.9.9, we can conclude ...
_NOT_THERE = "there is no version of pybind11"


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


def find_pybind11(version: str, *, layout: Layout, console: Console) -> Path:
    """Return the include folder of pybind11 ``version``: of this environment, else from the cache, else from PyPI.

    Raises ``UsageError`` when there is no such version, ``BuildError`` when PyPI cannot be reached.
    """
    if not _VERSION.fullmatch(version):
        raise _no_such_version(version)
    return _installed(version) or _fetched(version, layout) or _fetch(version, layout, console)


def _no_such_version(version: str, log: Path | None = None) -> UsageError:
    return UsageError(
        f"There is no pybind11 {version}.", evidence=log, advice="--pybind11 takes a release, such as 2.13.6 or 3.0.1."
    )


def _installed(version: str) -> Path | None:
    try:
        distribution = metadata.distribution("pybind11")
    except metadata.PackageNotFoundError:
        return None
    include = Path(str(distribution.locate_file("pybind11/include")))
    return include if distribution.version == version and (include / _HEADER).is_file() else None


def _folder(version: str, layout: Layout) -> Path:
    return layout.root / "tools" / f"pybind11-{version}"


def _fetched(version: str, layout: Layout) -> Path | None:
    include = _folder(version, layout) / "pybind11" / "include"
    return include if (include / _HEADER).is_file() else None


def _fetch(version: str, layout: Layout, console: Console) -> Path:
    """Unpack the wheel into the cache with uv, for headers need no interpreter; it gets its name when complete."""
    name = f"pybind11-{version}"
    log = writable(layout.logs / "tools") / f"{name}.log"
    with exclusive(layout, name, console):
        if found := _fetched(version, layout):
            return found
        console.note(f"Fetching pybind11 {version} from PyPI.")
        partial = writable(layout.work) / name
        discard(partial)
        options = ("--quiet", "--no-config", "--no-deps", "--only-binary", ":all:", "--target", str(partial))
        command = [str(find_uv()), "pip", "install", *options, f"pybind11=={version}"]
        ended = process.run(command, stdout=log, timeout=INSTALL_SECONDS)
        if not ended.ok:
            raise _no_such_version(version, log) if _NOT_THERE in tail(log) else step_error(f"fetch {name}", ended, log)
        discard(_folder(version, layout))
        writable(_folder(version, layout).parent)
        partial.rename(_folder(version, layout))
    if found := _fetched(version, layout):
        return found
    raise BuildError(f"The wheel of pybind11 {version} holds no {_HEADER}.", evidence=_folder(version, layout))
