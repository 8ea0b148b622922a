"""Keep the result of ``configure`` for the next build of the same plan on the same host.

A configured build folder is a pure function of the plan, the places and what is installed on the host; the last is
summed up in a fingerprint. Leave running ``configure`` to :mod:`.interpreter`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from python_tsan.cpython.plan import BuildPlan, Placeholder

# Where configure's probes look for the optional modules' libraries: a package that comes or goes changes a listing.
INCLUDE_FOLDERS = ("/usr/include", "/usr/local/include")
LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
PKG_CONFIG_VARIABLES = ("PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "PATH")
_LIBRARY_SUFFIXES = (".so", ".a", ".pc")

# Logs describe one run, and nothing in the build reads them.
NOT_KEPT = shutil.ignore_patterns("config.log", "confdefs.h", "conftest*")


def fingerprint(plan: BuildPlan, places: Mapping[Placeholder, str], env: Mapping[str, str]) -> str:
    """Return a short name for the state of this host as far as ``configure`` can see it."""
    digest = hashlib.sha256(plan.describe().encode())
    for place in sorted(places, key=lambda place: place.value):
        digest.update(f"{place.value}={places[place]}\n".encode())
    for variable in PKG_CONFIG_VARIABLES:
        digest.update(f"{variable}={env.get(variable)}\n".encode())
    for line in _listing(env):
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()[:16]


def restore(saved: Path, build: Path) -> bool:
    """Copy a kept state into the new folder ``build``; False if no state is kept."""
    if not (saved / "Makefile").is_file():
        return False
    shutil.copytree(saved, build, symlinks=True)
    return True


def keep(build: Path, saved: Path) -> None:
    """Keep the freshly configured folder ``build`` as ``saved``, in place of older states of the same plan."""
    partial = saved.with_name(f".{saved.name}-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(build, partial, symlinks=True, ignore=NOT_KEPT)
    for older in saved.parent.iterdir():
        if older != partial:
            shutil.rmtree(older, ignore_errors=True)
    partial.rename(saved)


def _listing(env: Mapping[str, str]) -> Iterator[str]:
    for includes in map(Path, INCLUDE_FOLDERS):
        yield from _names(includes, None)
        # Debian's headers for the machine's own architecture: include/x86_64-linux-gnu
        for triplet in sorted(includes.glob("*-linux-*")):
            yield from _names(triplet, None)
    libraries = [Path(folder) for folder in LIBRARY_FOLDERS]
    triplets = [path for folder in libraries for path in sorted(folder.glob("*-linux-*"))]
    configs = [Path(folder) for folder in env.get("PKG_CONFIG_PATH", "").split(os.pathsep) if folder]
    for folder in (*libraries, *triplets):
        yield from _names(folder, _LIBRARY_SUFFIXES)
        configs.append(folder / "pkgconfig")
    for folder in (*configs, Path("/usr/share/pkgconfig")):
        yield from _names(folder, _LIBRARY_SUFFIXES)


def _names(folder: Path, suffixes: tuple[str, ...] | None) -> Iterable[str]:
    try:
        entries = sorted(os.listdir(folder))  # noqa: PTH208 -- thousands of names, no need for Path objects
    except OSError:
        return
    yield f"[{folder}]"
    yield from (name for name in entries if suffixes is None or name.endswith(suffixes))
