"""Find programs: that of a command that a user gives, and those that this package itself uses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.storage import is_file, is_folder

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_command(name: str, env: Mapping[str, str], *, cwd: Path | None = None) -> Path:
    """Return the absolute path of the program that a shell in ``cwd``, or the current folder, would start.

    Raises :class:`SubjectError` if it does not exist or cannot be executed.
    """
    if "/" not in name:
        found = shutil.which(name, path=env.get("PATH", os.defpath))
        if found is None:
            raise SubjectError(
                f"{name}: no such program in PATH", advice="give its path, as in ./program", page="command"
            )
        return Path(found).absolute()
    # Absolute, as a path drops the "./" of "./program", and without a slash the system would search PATH.
    path = (cwd or Path.cwd()) / name
    if not is_file(path) and not is_folder(path):
        raise SubjectError(f"{path}: no such file", advice="build it first, or correct its path", page="command")
    if not is_file(path) or not os.access(path, os.X_OK):
        raise SubjectError(
            f"{path} cannot be executed", advice="name a program; chmod +x it if it is one", page="command"
        )
    return path


def find_installed(name: str) -> Path | None:
    """Return a program that this package uses: the one that its extras installed, else the one on PATH."""
    import sysconfig  # noqa: PLC0415 -- only where something is built

    own = Path(sysconfig.get_path("scripts")) / name
    found = own if os.access(own, os.X_OK) else shutil.which(name)
    return Path(found) if found else None
