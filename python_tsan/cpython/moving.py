"""Own how the bytes of a file follow their folder to another place: text, and the C string in libpython.

What goes to another machine names neutral folders, so that it tells nothing of the machine it was made on; so does a
copy of an interpreter under way.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from python_tsan.cpython.plan import PREFIX_ROOM, VIRTUAL_ROOT

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
