"""Unpack source archives into one folder and nowhere else; the pins decide whether their content is trusted."""

from __future__ import annotations

import contextlib
import lzma
import os
import tarfile
import zlib
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from python_tsan.cpython.sources.store import adopt_tree, cache_errors, is_tree, scratch
from python_tsan.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.paths import Layout


# CPython's source takes 150 MB, numpy's 60.
MOST_BYTES = 1 << 30
LONGEST_NAME = 255


class UnsafeMember(Exception):  # noqa: N818 -- the name says what was found
    """A member of an archive would leave the folder; the text names it and says how."""


def unpack_archive(archive: Path, digest: str, layout: Layout) -> Path:
    """Unpack the checked ``archive`` below ``layout.sources`` and return the folder that holds ``configure``.

    The tree appears by rename, so an interrupted call leaves nothing behind that looks complete.

    Raises :class:`FetchError` when the archive cannot be read, holds a member that would leave the folder, is not
    a CPython source, or does not fit on the disk.
    """
    with scratch(layout) as folder:
        inside = folder / "tree"
        with _explained(archive), cache_errors(folder), tarfile.open(archive) as tar:
            inside.mkdir()
            extract(tar, inside)
        return adopt_tree(_top(inside, archive), digest, layout)


@contextlib.contextmanager
def _explained(archive: Path) -> Iterator[None]:
    try:
        yield
    except UnsafeMember as error:
        raise FetchError(
            f"{archive.name} is refused: {error}", evidence=archive, advice="do not use this archive; fetch another"
        ) from error
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
        raise _unreadable(archive, error) from error
    except OSError as error:
        # gzip and bz2 report damage as an OSError without a number; one with a number is the disk's.
        if error.errno is not None:
            raise
        raise _unreadable(archive, error) from error


def _unreadable(archive: Path, error: Exception) -> FetchError:
    return FetchError(
        f"{archive.name} is truncated or not a tar archive: {error}",
        evidence=archive,
        advice="fetch it again and compare its SHA-256 with the published one",
    )


def extract(tar: tarfile.TarFile, folder: Path) -> None:
    """Unpack every member into ``folder``.

    Raises :class:`UnsafeMember` at the first that would leave it, or that would fill more than any source takes.
    """
    links: set[PurePosixPath] = set()
    files: set[PurePosixPath] = set()
    total = 0
    for member in tar:
        refuse_escape(member, links)
        _refuse_clash(member, files)
        total += member.size
        if total > MOST_BYTES:
            raise UnsafeMember(f"its members take more than {MOST_BYTES >> 20:,} MB")
        # The archive's owner means nothing here, and root would otherwise take it over.
        member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
        member.mode = (member.mode & 0o755) | (0o700 if member.isdir() else 0o600)
        if hasattr(tarfile, "data_filter"):
            try:
                tar.extract(member, folder, filter="data")
            except tarfile.FilterError as error:
                raise UnsafeMember(str(error)) from error
        else:  # CPython 3.11.0 to 3.11.3 have no filters; the rules above stand by themselves
            tar.extract(member, folder)


def refuse_escape(member: tarfile.TarInfo, links: set[PurePosixPath]) -> None:
    """Raise :class:`UnsafeMember` unless the member stays in the folder; note it in ``links`` if it is a symlink.

    The rules are stricter than tarfile's: nothing is unpacked through a symlink, and a link goes up only at its start.
    Then a path's text says where it leads, regardless of what was unpacked before.
    """
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise UnsafeMember(f"member {member.name!r} lies outside its folder")
    if any(parent in links for parent in (path, *path.parents)):
        raise UnsafeMember(f"member {member.name!r} would be written through a symbolic link")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise UnsafeMember(f"member {member.name!r} is a device, a pipe or of an unknown type")
    if member.issym():
        _refuse_target(member, up=len(path.parent.parts))
        links.add(path)
    elif member.islnk():
        _refuse_target(member, up=0)
        target = PurePosixPath(member.linkname)
        if any(part in links for part in (target, *target.parents)):
            raise UnsafeMember(f"member {member.name!r} is a hard link through a symbolic link")


def _refuse_clash(member: tarfile.TarInfo, files: set[PurePosixPath]) -> None:
    """Raise :class:`UnsafeMember` for a member that comes twice or below a file; note it in ``files``."""
    path = PurePosixPath(member.name)
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise UnsafeMember(f"member {member.name[:40]!r}... has a name that is too long")
    if any(parent in files for parent in (path, *path.parents)):
        raise UnsafeMember(f"member {member.name!r} comes twice, or lies below a file")
    if not member.isdir():
        files.add(path)


def _refuse_target(member: tarfile.TarInfo, *, up: int) -> None:
    target = PurePosixPath(member.linkname)
    climbs = len(list(takewhile(lambda part: part == "..", target.parts)))
    if target.is_absolute() or ".." in target.parts[climbs:] or climbs > up:
        raise UnsafeMember(f"member {member.name!r} links to {member.linkname!r}, outside the folder")


def _top(inside: Path, archive: Path) -> Path:
    """Return the folder that holds the source: archives have one top folder, `git archive` may have none."""
    for folder in (inside, *inside.iterdir()):
        if is_tree(folder):
            return folder
    raise FetchError(
        f"{archive.name} holds no CPython source: no folder has both configure and Include/patchlevel.h",
        evidence=archive,
        advice="name a source archive of CPython",
    )
