"""Move an interpreter to another folder: replace the prefix in its files, texts and the C string in libpython alike.

An archive for another machine names neutral folders, so that it reveals nothing of the machine it was made on.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from python_tsan.cpython.manifest import MANIFEST_NAME
from python_tsan.cpython.plan import PREFIX_ROOM, VIRTUAL_ROOT
from python_tsan.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Shorter than any place in a cache, so that it always fits where a real prefix was.
NEUTRAL = b"/@python-tsan-prefix@"
ELF_MAGIC = b"\x7fELF"


class ImmovableError(ValueError):
    """The file cannot be moved to another folder; the text says why."""

    def of(self, file: Path, where: str) -> BuildError:
        """Return the error for a file of an interpreter that cannot be moved ``where``."""
        return BuildError(
            f"{file.name} cannot be moved to {where}: {self}",
            evidence=file,
            advice="build the interpreter again with this version of python-tsan: build --refresh",
            page="prebuilt",
        )


def neutralise(data: bytes, prefix: Path) -> bytes:
    """Return a file's bytes with ``prefix`` replaced by the neutral one. Raises :class:`ImmovableError`."""
    return renamed(data, {os.fsencode(prefix): NEUTRAL})


def settle(data: bytes, prefix: Path) -> bytes:
    """Return a file's neutral bytes with ``prefix`` in its place. Raises :class:`ImmovableError`."""
    return renamed(data, {NEUTRAL: os.fsencode(prefix)})


def renamed(data: bytes, names: Mapping[bytes, bytes]) -> bytes:
    """Return a file's bytes with every folder in ``names`` replaced by its new name. Raises :class:`ImmovableError`."""
    for old, new in names.items():
        data = _replace(data, old, new)
    return data


def without_build_paths(data: bytes, work: Path) -> bytes:
    """Return a file's bytes with the build folders below ``work`` named as debug information names them.

    CPython's Makefile, ``sysconfig`` and gcc's debug information keep the folder that they were configured in, which
    no longer exists when they are read: ``artifacts/KEY/build/../../../../sources/HASH`` and ``artifacts/KEY/build``.
    In an ELF file, where every offset counts, slashes fill the new name up to the length of the old one.
    """
    folder = re.escape(os.fsencode(work)) + rb"""/[^/\s"'\0]+/[^/\s"'\0]+/build"""
    root = VIRTUAL_ROOT.encode()

    def replacement(found: re.Match[bytes]) -> bytes:
        rest = b"" if found["source"] else b"/build"
        if not data.startswith(ELF_MAGIC):
            return root + rest
        return root + rest.rjust(len(found[0]) - len(root), b"/")

    return re.sub(folder + rb"""(?P<source>/(?:\.\./)+[^\s"':\0]*)?""", replacement, data)


def _replace(data: bytes, old: bytes, new: bytes) -> bytes:
    if not data.startswith(ELF_MAGIC):
        return data.replace(old, new)
    return re.sub(re.escape(old) + rb"(?P<room>[^\0]*\0+)", lambda found: _refill(found, old, new), data)


def _refill(found: re.Match[bytes], old: bytes, new: bytes) -> bytes:
    """Put ``new`` where ``old`` was and keep the length: the build left zeros after the string."""
    room, longer = found["room"], len(new) - len(old)
    if room[0] != 0:
        raise ImmovableError("the prefix is a part of a longer path in it")
    if longer <= 0:
        return new + b"\0" * -longer + room
    # Only a neutral prefix is ever replaced by a longer one, and after it all of the room is left.
    if len(room) < PREFIX_ROOM:
        raise ImmovableError("it was built without room for another prefix")
    if longer >= PREFIX_ROOM:
        raise ImmovableError(f"the new prefix is {len(new)} bytes long, and there is room for {PREFIX_ROOM}")
    return new + room[longer:]


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
    try:
        rewrite(path, settle(neutralise(data, prefix), final))
    except ImmovableError as error:
        raise error.of(path, "another folder") from error


def rewrite(path: Path, data: bytes) -> None:
    """Write a file's new content and leave it its times, which decide what make and imports generate once more."""
    times = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
