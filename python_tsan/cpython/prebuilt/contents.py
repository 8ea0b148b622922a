"""Own what an archive says of itself: which interpreter it holds and each of its files with its hash. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from python_tsan.cpython.manifest import SourceRecord  # noqa: TC001 -- msgspec resolves the annotations at run time

FORMAT = "python-tsan interpreter"
SCHEMA = 1
# The first member, so that an archive can be refused before anything of it is unpacked.
CONTENTS_NAME = "python-tsan-archive.json"
CONTENTS_BYTES = 16_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file, by its path below the prefix. ``target`` is set for a symbolic link, which has no content.

    ``moves`` says that its bytes name the neutral prefix, which is replaced when the archive is restored.
    """

    path: str
    executable: bool = False
    size: int = 0
    sha256: str = ""
    target: str = ""
    moves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an archive holds. ``plan`` is the plan of the build as plain values, ``numpy`` a version or empty.

    ``key`` is the plan's own, or that of a copy with an instrumented numpy.
    """

    format: str = FORMAT
    schema: int = SCHEMA
    key: str
    plan: dict[str, Any]
    source: SourceRecord
    toolchain: str
    numpy: str = ""
    missing_modules: tuple[str, ...] = ()
    built_at: str = ""
    seconds: float = 0.0
    files: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """The part of the contents that every format has, by which it is told."""

    format: str = ""
    schema: int = 0


class UnknownFormatError(Exception):
    """The contents are not of an archive that this version reads; the text says what they are."""


def encode(contents: Contents) -> bytes:
    """Return the contents as readable JSON, the same for the same contents."""
    return msgspec.json.format(msgspec.json.encode(contents, order="deterministic"), indent=1) + b"\n"


def decode(text: bytes) -> Contents:
    """Return what :func:`encode` wrote. Raises :class:`UnknownFormatError`."""
    try:
        heading = msgspec.json.decode(text, type=Heading)
        if heading.format != FORMAT:
            raise UnknownFormatError("it holds no interpreter of python-tsan")
        if heading.schema > SCHEMA:
            raise UnknownFormatError(f"its format is {heading.schema}, and this version reads {SCHEMA}")
        return msgspec.json.decode(text, type=Contents)
    except msgspec.MsgspecError as error:
        raise UnknownFormatError(f"its contents cannot be read: {error}") from error
