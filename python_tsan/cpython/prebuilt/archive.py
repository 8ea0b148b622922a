"""Read and write an archive of an interpreter: a tar in zstandard whose first member lists the files that follow.

The same files give the same bytes: sorted, without owner, all of one time.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from python_tsan.cpython.manifest import SourceRecord  # noqa: TC001 -- msgspec resolves the annotations at run time
from python_tsan.cpython.sources.unpack import refuse_escape
from python_tsan.cpython.zstandard import zstd
from python_tsan.errors import PythonTsanError
from python_tsan.version import is_version
from python_tsan.versioned_json import Format

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FORMAT = "python-tsan interpreter"
SCHEMA = 1
# The first member, so that an archive can be refused before anything of it is unpacked.
CONTENTS_NAME = "python-tsan-archive.json"
CONTENTS_BYTES = 16_000_000
# An interpreter with numpy takes 250 MB.
MOST_BYTES = 2 << 30
LONGEST_NAME = 255
# 1980-01-01, the oldest time that every format of archives can hold.
FILE_TIME = 315532800
MAKE_AGAIN = "make it again, with `build --export` of this version"
COPY_AGAIN = "download or copy it again"
_OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 12,
    zstd.CompressionParameter.enable_long_distance_matching: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}
_CHUNK = 1 << 18
# tar fills its last record with zeros: https://www.gnu.org/software/tar/manual/html_node/Blocking-Factor.html
_MOST_PADDING = 1 << 20


class ArchiveError(Exception):
    """The archive cannot be used; the text says why, ``advice`` what to do."""

    def __init__(self, reason: str, advice: str = COPY_AGAIN) -> None:
        super().__init__(reason)
        self.advice = advice


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


CONTENTS = Format(kind=Contents, what="list of an archive", schema=SCHEMA)


def write_archive(target: Path, contents: Contents, data: Mapping[str, bytes]) -> None:
    """Write the archive ``target`` by rename. ``data`` maps the path of each regular file to its bytes."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            zstd.ZstdFile(partial, mode="w", options=_OPTIONS) as stream,
            tarfile.open(fileobj=stream, mode="w|") as tar,
        ):
            _add(tar, Entry(path=CONTENTS_NAME), CONTENTS.encode(contents))
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
class ArchiveReader:
    """An archive that is being read: its list of files, and the rest of it."""

    contents: Contents
    tar: tarfile.TarFile
    stream: zstd.ZstdFile

    def unpack(self, folder: Path) -> None:
        """Unpack the listed files into the empty ``folder``, and nothing else; compare every file's size and SHA-256.

        Raises :class:`ArchiveError` for a file that is missing, different or not listed, ``UnsafeMember`` for one that
        would leave the folder.
        """
        missing = {entry.path: entry for entry in self.contents.files}
        links: set[PurePosixPath] = set()
        while member := self.tar.next():
            refuse_escape(member, links)
            entry = missing.pop(member.name, None)
            if entry is None:
                raise ArchiveError(f"{member.name!r} is in it, and not in its list")
            _unpack(self.tar, member, entry, folder)
        if missing:
            raise ArchiveError(f"files are missing in it, such as {min(missing)!r}")
        padding = 0
        while chunk := self.stream.read(_CHUNK):  # to the end, where the checksum of the whole is
            padding += len(chunk)
            if padding > _MOST_PADDING:
                raise ArchiveError("it goes on after its last file")


@contextlib.contextmanager
def open_archive(archive: Path) -> Iterator[ArchiveReader]:
    """Open an archive and read its list of files. Raises :class:`ArchiveError`."""
    with _damage(), zstd.ZstdFile(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        member = tar.next()
        if member is None or member.name != CONTENTS_NAME or not member.isreg() or member.size > CONTENTS_BYTES:
            raise ArchiveError("it holds no interpreter of python-tsan", MAKE_AGAIN)
        yield ArchiveReader(contents=_read_contents(_content(tar, member).read()), tar=tar, stream=stream)


def _read_contents(text: bytes) -> Contents:
    try:
        contents = CONTENTS.decode(text, name="its list")
    except PythonTsanError as error:
        raise ArchiveError(error.message, error.advice or MAKE_AGAIN) from error
    if contents.format != FORMAT:
        raise ArchiveError("it holds no interpreter of python-tsan", MAKE_AGAIN)
    if not is_version(contents.source.version):
        raise ArchiveError(f"{contents.source.version!r} is not a CPython version", MAKE_AGAIN)
    if (total := sum(max(entry.size, 0) for entry in contents.files)) > MOST_BYTES:
        raise ArchiveError(f"its files take {total >> 20:,} MB, and {MOST_BYTES >> 20:,} MB are allowed")
    _refuse_paths(contents.files)
    return contents


def _refuse_paths(entries: tuple[Entry, ...]) -> None:
    """Raise :class:`ArchiveError` unless every path has one spelling, is listed once, and lies below folders only."""
    paths = {entry.path for entry in entries}
    if len(paths) < len(entries):
        raise ArchiveError("its list names a file twice")
    for entry in entries:
        path = PurePosixPath(entry.path)
        spelled = entry.path == str(path) and "\0" not in entry.path and ".." not in path.parts
        if not spelled or not path.parts or path.is_absolute():
            raise ArchiveError(f"{entry.path[:LONGEST_NAME]!r} is not a path below a folder")
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
            raise ArchiveError(f"the name {entry.path[:40]!r}... is too long")
        if above := next((str(parent) for parent in path.parents if str(parent) in paths), ""):
            raise ArchiveError(f"{above!r} is a file in its list, and a folder of {entry.path!r}")
        if entry.moves and entry.target:
            raise ArchiveError(f"{entry.path!r} is a link, and no link is changed when it is moved")


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry, folder: Path) -> None:
    place = folder / entry.path
    place.parent.mkdir(parents=True, exist_ok=True)
    if entry.target or member.issym():
        if member.linkname != entry.target:
            raise ArchiveError(f"{entry.path!r} links elsewhere than its list says")
        place.symlink_to(entry.target)
        return
    digest, source = hashlib.sha256(), _content(tar, member)
    if member.size != entry.size:
        raise ArchiveError(f"{entry.path!r} has another size than its list says")
    with place.open("xb") as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != entry.sha256:
        raise ArchiveError(f"{entry.path!r} has another SHA-256 than its list says")
    place.chmod(0o755 if entry.executable else 0o644)
    os.utime(place, (FILE_TIME, FILE_TIME))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member) if member.isreg() else None
    if found is None:
        raise ArchiveError(f"{member.name!r} is not a file")
    return found


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Turn what the decompressor and tarfile report into :class:`ArchiveError`; the disk's errors pass."""
    try:
        yield
    except (zstd.ZstdError, EOFError, tarfile.TarError) as error:
        raise ArchiveError(f"it is truncated or damaged: {error}") from error
