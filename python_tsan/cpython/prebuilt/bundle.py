"""Own the bytes of an archive: a tar in zstandard whose first member says what follows; leave meaning to the others.

The same files give the same bytes: sorted, without owner, all of one time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import msgspec

from python_tsan.cpython.manifest import SourceRecord  # noqa: TC001 -- msgspec resolves the annotations at run time
from python_tsan.cpython.sources.unpack import UnsafeMember, refuse_escape
from python_tsan.cpython.zstandard import zstd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path, PurePosixPath

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


# 1980-01-01, the oldest time that every format of archives can hold.
FILE_TIME = 315532800
_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 12,
    zstd.CompressionParameter.enable_long_distance_matching: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}
_CHUNK = 1 << 18


class DamagedError(Exception):
    """The archive is not as it was written; the text says what is wrong."""


def write_bundle(target: Path, contents: Contents, data: Mapping[str, bytes]) -> None:
    """Write the archive ``target`` by rename. ``data`` maps the path of each file that is no link to its bytes."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            zstd.ZstdFile(partial, mode="w", options=_OPTIONS) as stream,
            tarfile.open(fileobj=stream, mode="w|") as tar,
        ):
            _add(tar, Entry(path=CONTENTS_NAME), encode(contents))
            for entry in contents.files:
                _add(tar, entry, data.get(entry.path, b""))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _add(tar: tarfile.TarFile, entry: Entry, data: bytes) -> None:
    member = tarfile.TarInfo(entry.path)
    member.mtime, member.mode = FILE_TIME, 0o755 if entry.executable else 0o644
    if entry.target:
        member.type, member.linkname = tarfile.SYMTYPE, entry.target
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An archive that is being read: what it says of itself, and the rest of it."""

    contents: Contents
    tar: tarfile.TarFile
    stream: zstd.ZstdFile

    def unpack(self, folder: Path) -> None:
        """Unpack what the contents list into the empty ``folder``, and nothing else; compare every file's SHA-256.

        Raises :class:`DamagedError` for a file that is missing, different or not listed, ``UnsafeMember`` for one that
        would leave the folder.
        """
        missing = {entry.path: entry for entry in self.contents.files}
        links: set[PurePosixPath] = set()
        while member := self.tar.next():
            refuse_escape(member, links)
            entry = missing.pop(member.name, None)
            if entry is None:
                raise DamagedError(f"{member.name!r} is in it, and not in its list")
            _unpack(self.tar, member, entry, folder)
        if missing:
            raise DamagedError(f"{len(missing)} files are not in it, such as {min(missing)!r}")
        while self.stream.read(_CHUNK):  # to the end, where the checksum over the whole is
            pass


@contextlib.contextmanager
def open_bundle(archive: Path) -> Iterator[Bundle]:
    """Open an archive and read what it says of itself.

    Raises :class:`DamagedError`, and ``UnknownFormatError`` for what is another file altogether or newer.
    """
    with _damage(), zstd.ZstdFile(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        member = tar.next()
        if member is None or member.name != CONTENTS_NAME or not member.isreg() or member.size > CONTENTS_BYTES:
            raise UnknownFormatError("it holds no interpreter of python-tsan")
        yield Bundle(contents=decode(_content(tar, member).read()), tar=tar, stream=stream)


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry, folder: Path) -> None:
    place = folder / entry.path
    place.parent.mkdir(parents=True, exist_ok=True)
    if entry.target or member.issym():
        if member.linkname != entry.target:
            raise DamagedError(f"{entry.path!r} links elsewhere than its list says")
        place.symlink_to(entry.target)
        return
    digest, source = hashlib.sha256(), _content(tar, member)
    with place.open("xb") as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != entry.sha256:
        raise DamagedError(f"{entry.path!r} has another SHA-256 than its list says")
    place.chmod(0o755 if entry.executable else 0o644)
    os.utime(place, (FILE_TIME, FILE_TIME))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member) if member.isreg() else None
    if found is None:
        raise DamagedError(f"{member.name!r} is no file")
    return found


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Turn what the decompressor and tarfile say of damage into :class:`DamagedError`; the disk's errors pass."""
    try:
        yield
    except (zstd.ZstdError, EOFError, tarfile.TarError) as error:
        raise DamagedError(f"it is truncated or damaged: {error}") from error


__all__ = ["FILE_TIME", "Bundle", "DamagedError", "UnsafeMember", "open_bundle", "write_bundle"]
