"""Take the source that the user names: an archive, a checkout or an unpacked tree."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from python_tsan.cpython.manifest import SourceRecord
from python_tsan.cpython.pins import load_releases
from python_tsan.cpython.sources.checkout import describe_folder, read_version, take_folder, why_no_release
from python_tsan.cpython.sources.provider import SourceTree
from python_tsan.cpython.sources.store import is_tree, tree_path
from python_tsan.cpython.sources.unpack import unpack_archive
from python_tsan.errors import FetchError, UsageError
from python_tsan.setting_values import NEWEST_MINOR, OLDEST_MINOR
from python_tsan.storage import sha256_of
from python_tsan.version import minor_of, release_of

if TYPE_CHECKING:
    from pathlib import Path

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.paths import Layout

MOST_ARCHIVE_BYTES = 256 << 20  # uncompressed, CPython's source takes 150 MB


def record_of_named(settings: Settings, source: Path, layout: Layout) -> SourceRecord | None:
    """Return what the named source is; None for an archive that was not unpacked yet, whose version is not known.

    Raises as :func:`take_named` does.
    """
    if source.is_dir():
        record, _ = describe_folder(source)
    else:
        digest = _checked_file(source)
        tree = tree_path(digest, layout)
        if not is_tree(tree):
            return None
        record = SourceRecord(version=read_version(tree), origin=str(source), sha256=digest)
    _refuse_other_version(settings, source, record.version)
    return record


def take_named(settings: Settings, source: Path, layout: Layout, console: Console) -> SourceTree:
    """Return the named source as a tree in the cache and say its hash; the source itself is left as it is.

    Raises :class:`UsageError` when it is not a CPython source or not the requested version, and
    :class:`FetchError` when an archive is damaged, unsafe to unpack, or not the pinned one of that name.
    """
    if source.is_dir():
        _refuse_other_version(settings, source, read_version(source))
        tree = take_folder(source, layout)
    else:
        digest = _checked_file(source)
        path = tree_path(digest, layout)
        if not is_tree(path):
            path = unpack_archive(source, digest, layout)
        record = SourceRecord(version=read_version(path), origin=str(source), sha256=digest)
        _refuse_other_version(settings, source, record.version)
        tree = SourceTree(path=path, record=record)
    known = load_releases().get(tree.record.version)
    pinned = known is not None and known.archive_with(tree.record.sha256) is not None
    standing = "as pinned" if pinned else "not a pinned archive, taken as you named it"
    console.note(f"CPython {tree.record.version} from {source}: SHA-256 {tree.record.sha256} ({standing})")
    if reason := why_no_release(source if source.is_dir() else tree.path):
        console.warn(f"{source} is not the release CPython {tree.record.version}: {reason}")
    if release_of(tree.record.version) > (3, NEWEST_MINOR):
        console.warn(
            f"CPython {minor_of(tree.record.version)} is not supported yet, 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR} are: "
            f"what is known of 3.{NEWEST_MINOR} is applied to it"
        )
    return tree


def _checked_file(source: Path) -> str:
    """Return the hash of a named archive. One with the name of a pinned archive must be that archive."""
    try:
        size = source.stat().st_size
        if source.is_file() and size > MOST_ARCHIVE_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MOST_ARCHIVE_BYTES >> 20} MB")  # noqa: TRY301 -- as a failed read
        digest = sha256_of(source)
    except OSError as error:
        raise UsageError(
            f"cannot read the source {source}: {error.strerror}",
            evidence=source,
            advice="name a CPython source archive, checkout or unpacked source",
        ) from error
    archives = (archive for release in load_releases().values() for archive in release.archives)
    pinned = next((archive for archive in archives if archive.name == source.name), None)
    if pinned is not None and digest != pinned.sha256:
        short = pinned.size is not None and size < pinned.size
        problem = (
            f"truncated: {size} of {pinned.size} bytes"
            if short
            else f"different: SHA-256 is {digest}, pinned is {pinned.sha256}"
        )
        raise FetchError(
            f"{source.name} is not the archive of that name: {problem}",
            evidence=source,
            advice="fetch it again; if you changed it on purpose, give it another name",
        )
    return digest


def is_requested(version: str, settings: Settings) -> bool:
    """Return whether a version is the one that the settings name, or one of the series that they name."""
    return settings.python is None or version == settings.python or version.startswith(f"{settings.python}.")


def _refuse_other_version(settings: Settings, source: Path, version: str) -> None:
    if not is_requested(version, settings):
        raise UsageError(
            f"{source} is CPython {version}, but {settings.python} was requested",
            evidence=source,
            advice=f"drop --python, or ask for {version}",
        )
    if release_of(version) < (3, OLDEST_MINOR):
        raise UsageError(
            f"{source} is CPython {version}; 3.{OLDEST_MINOR} to 3.{NEWEST_MINOR} are supported", evidence=source
        )
