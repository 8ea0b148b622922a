"""Own copying an interpreter's prefix to another place of the same cache, where it knows its new place."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from python_tsan.cpython.manifest import MANIFEST_NAME
from python_tsan.cpython.moving import ImmovableError, neutralise, settle
from python_tsan.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path


def copy_prefix(prefix: Path, staged: Path, final: Path) -> None:
    """Copy ``prefix`` to the new folder ``staged``, which will be renamed to ``final``; packages are left out.

    Files keep their times, so that byte-code stays valid. Raises ``BuildError`` when a file cannot be moved.
    """

    def left_out(folder: str, names: list[str]) -> set[str]:
        if os.path.basename(folder) == "site-packages":  # noqa: PTH119 -- as copytree gives it
            return set(names)
        return {MANIFEST_NAME} if folder == str(prefix) else set()

    shutil.copytree(prefix, staged, symlinks=True, ignore=left_out)
    for folder, _, names in os.walk(staged):
        for name in names:
            path = staged / folder / name
            if not path.is_symlink() and path.suffix != ".pyc":
                _move(path, prefix, final)


def _move(path: Path, prefix: Path, final: Path) -> None:
    data = path.read_bytes()
    if str(prefix).encode() not in data:
        return
    status = path.stat()
    try:
        path.write_bytes(settle(neutralise(data, prefix), final))
    except ImmovableError as error:
        raise BuildError(
            f"{path.name} cannot be copied to another place: {error}.",
            evidence=path,
            advice="Build the interpreter anew with this version of python-tsan: build --refresh.",
            page="prebuilt",
        ) from error
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
