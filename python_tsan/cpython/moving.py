"""Own copying an interpreter's prefix to another place of the same cache, where it knows its new place."""

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
_ELF = b"\x7fELF"


class ImmovableError(ValueError):
    """The file cannot be told of another folder; the text says why."""


def neutralise(data: bytes, prefix: Path) -> bytes:
    """Return a file's bytes with ``prefix`` replaced by the neutral one. Raises :class:`ImmovableError`."""
    return renamed(data, {os.fsencode(prefix): NEUTRAL})


def settle(data: bytes, prefix: Path) -> bytes:
    """Return a file's neutral bytes with ``prefix`` in its place. Raises :class:`ImmovableError`."""
    return renamed(data, {NEUTRAL: os.fsencode(prefix)})


def renamed(data: bytes, names: Mapping[bytes, bytes]) -> bytes:
    """Return a file's bytes with every folder in ``names`` called by its other name. Raises :class:`ImmovableError`."""
    for old, new in names.items():
        data = _replace(data, old, new)
    return data


def without_build_paths(data: bytes, builds: Path) -> bytes:
    """Return a text with the private folders in ``builds`` named as debug information names them.

    CPython's Makefile and ``sysconfig`` keep where they were configured, which is gone by the time they are read:
    ``KEY/build/../../../../sources/HASH`` and ``KEY/build``.
    """
    folder = re.escape(f"{builds}/".encode()) + rb"[^/\s\"']+/build"
    data = re.sub(folder + rb"/(?:\.\./)+[^\s\"':]*", VIRTUAL_ROOT.encode(), data)
    return re.sub(folder, f"{VIRTUAL_ROOT}/build".encode(), data)


def _replace(data: bytes, old: bytes, new: bytes) -> bytes:
    if not data.startswith(_ELF):
        return data.replace(old, new)
    return re.sub(re.escape(old) + rb"(?P<room>[^\0]*\0+)", lambda found: _refill(found, old, new), data)


def _refill(found: re.Match[bytes], old: bytes, new: bytes) -> bytes:
    """Put ``new`` where ``old`` was and keep the length: what follows a string is zeros of the build's making."""
    room, longer = found["room"], len(new) - len(old)
    if room[0] != 0:
        raise ImmovableError("the prefix is a part of a longer path in it")
    if longer <= 0:
        return new + b"\0" * -longer + room
    # Only a neutral prefix is ever replaced by a longer one, and under it the room is whole.
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
