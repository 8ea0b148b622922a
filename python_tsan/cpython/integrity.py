"""Notice an interpreter in the cache that is not as it was built: another owner, everybody may write, changed files."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.manifest import MANIFEST_NAME, read_manifest, write_manifest
from python_tsan.errors import UsageError
from python_tsan.storage import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter

ALTERED_NAME = "manifest.altered.json"
_OTHERS_WRITE = 0o002
# Byte-code is made by the interpreter itself, and packages are installed later, each with a record of its own.
_CHANGING = {"__pycache__", "site-packages"}


def seal(interpreter: Interpreter, prefix: Path) -> None:
    """Write the manifest of a complete interpreter below ``prefix``, with the hash of its files."""
    write_manifest(replace(interpreter, content=content_of(prefix)), prefix)


def usable(folder: Path, console: Console) -> Interpreter | None:
    """Return the complete interpreter in ``folder``; None, with a warning, if it was changed after it was built.

    Raises ``UsageError`` if others than this user and root could have changed it.
    """
    found = read_manifest(folder)
    if found is None:
        return None
    for path in (folder, *_files(folder)):
        status = path.lstat()
        if status.st_uid not in {os.geteuid(), 0}:
            raise _untrusted(path, "belongs to another user")
        if status.st_mode & _OTHERS_WRITE and not path.is_symlink():
            raise _untrusted(path, "may be written by every user")
    if found.content and content_of(folder) != found.content:
        console.warn(f"CPython {found.version} in {folder} was changed after it was built, so it is not used")
        (folder / MANIFEST_NAME).rename(folder / ALTERED_NAME)
        return None
    return found


def content_of(prefix: Path) -> str:
    """Return the SHA-256 over names, kinds and contents of an interpreter's files."""
    total = hashlib.sha256()
    for path in _files(prefix):
        name = os.fsencode(path.relative_to(prefix))
        if path.is_symlink():
            total.update(b"l" + name + b"\0" + os.fsencode(path.readlink()) + b"\0")
        elif not path.is_file():  # a pipe or a device, which no build makes; to read it might never end
            total.update(b"s" + name + b"\0")
        else:
            kind = b"x" if os.access(path, os.X_OK) else b"-"
            total.update(kind + name + b"\0" + bytes.fromhex(sha256_of(path)))
    return total.hexdigest()


def _files(prefix: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(prefix):
        subfolders[:] = sorted(name for name in subfolders if name not in _CHANGING)
        for name in sorted(names):
            if name not in {MANIFEST_NAME, ALTERED_NAME}:
                yield Path(folder, name)


def _untrusted(path: Path, why: str) -> UsageError:
    return UsageError(
        f"the cache is not trusted: {path} {why}",
        evidence=path,
        advice="delete it, or choose a cache folder of your own with --cache",
        page="storage",
    )
