"""Keep archives, unpacked trees and decisions about sources in the cache, under one lock.

What has its final name is complete and was checked: everything is made under ``work`` and renamed.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.manifest import SourceRecord
from python_tsan.cpython.sources.provider import Unavailable
from python_tsan.errors import FetchError
from python_tsan.storage import sha256_of, storage_errors, write_whole
from python_tsan.versioned_json import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.cpython.pins import Archive, Release
    from python_tsan.paths import Layout

LOCK = "sources"  # of all sources, so that two runs share one download


@contextlib.contextmanager
def cache_errors(folder: Path) -> Iterator[None]:
    """Turn a failure to write in a folder of the cache into one clear :class:`FetchError`."""
    with storage_errors(folder, option="--cache", error=FetchError, needs="about 300 MB"):
        yield


@contextlib.contextmanager
def scratch(layout: Layout) -> Iterator[Path]:
    """Give a private folder on the file system of the cache, gone afterwards.

    Its name begins with the lock's, so that a sweep of abandoned work leaves it alone while the lock is held.
    """
    with cache_errors(layout.work):
        layout.work.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{LOCK}~", dir=layout.work))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# Archives


def archive_path(archive: Archive, layout: Layout) -> Path:
    """Return where the archive lies once it was checked."""
    return layout.downloads / f"{archive.sha256}-{archive.name}"


def admit(path: Path, release: Release, *, origin: str, announced: int | None, layout: Layout) -> Path:
    """Check the downloaded file ``path`` against the pins and move it among the checked archives.

    ``announced`` is the size in bytes that the sender gave, if it gave one. A file that is not pinned is moved to the
    quarantine, and :class:`Unavailable` says whether it is truncated or different.
    """
    digest = sha256_of(path)
    archive = release.archive_with(digest)
    if archive is None:
        kept = quarantine(path, digest, layout)
        raise Unavailable(_mismatch(kept.stat().st_size, digest, release, announced), evidence=kept)
    target = archive_path(archive, layout)
    with cache_errors(layout.downloads):
        layout.downloads.mkdir(parents=True, exist_ok=True)
        layout.downloads.joinpath(f"{digest}.origin").write_text(origin, encoding="utf-8")
        path.replace(target)
    return target


def _mismatch(size: int, digest: str, release: Release, announced: int | None) -> str:
    expected = next((archive.size for archive in release.archives if archive.size is not None), announced)
    if expected is not None and size < expected:
        return f"truncated: {size} of {expected} bytes came"
    pinned = " or ".join(archive.sha256 for archive in release.archives)
    return f"different from what is pinned: SHA-256 is {digest}, pinned is {pinned}"


def quarantine(path: Path, digest: str, layout: Layout) -> Path:
    """Move a file that failed its check aside, named by what it is, and return its new place."""
    with cache_errors(layout.quarantine):
        layout.quarantine.mkdir(parents=True, exist_ok=True)
        kept = layout.quarantine / f"{digest[:16]}-{path.name.removeprefix(f'{digest}-')}"
        path.replace(kept)
    return kept


def cached_archive(release: Release, layout: Layout) -> Archive | None:
    """Return an archive of ``release`` that is in the cache; a damaged one is put aside."""
    for archive in release.archives:
        path = archive_path(archive, layout)
        if not path.is_file():
            continue
        digest = sha256_of(path)
        if digest == archive.sha256:
            return archive
        quarantine(path, digest, layout)
    return None


def origin_of(digest: str, layout: Layout) -> str:
    """Return where the archive with that hash came from."""
    try:
        return layout.downloads.joinpath(f"{digest}.origin").read_text(encoding="utf-8")
    except FileNotFoundError:
        return "an earlier download"


# Trees


def tree_path(digest: str, layout: Layout) -> Path:
    """Return the folder of the unpacked source with that hash."""
    return layout.sources / digest


def is_tree(path: Path) -> bool:
    """Return whether an unpacked CPython source lies there."""
    return path.joinpath("Include", "patchlevel.h").is_file() and path.joinpath("configure").is_file()


def adopt_tree(made: Path, digest: str, layout: Layout) -> Path:
    """Move a complete tree to its final name, in place of a damaged one if there is any."""
    target = tree_path(digest, layout)
    with cache_errors(layout.sources):
        layout.sources.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(made.with_name("damaged"))
        made.rename(target)
    return target


# Decisions


def _decision_path(requested: str, layout: Layout) -> Path:
    return layout.sources / f"chosen-{requested}.json"


def remember(requested: str, record: SourceRecord, layout: Layout) -> None:
    """Keep what was taken for ``requested``, so that the next run needs no network."""
    path = _decision_path(requested, layout)
    with cache_errors(layout.sources):
        layout.sources.mkdir(parents=True, exist_ok=True)
        write_whole(path, encode(record))


def recall(requested: str, layout: Layout) -> SourceRecord | None:
    """Return what an earlier run took for ``requested``, or None. A file that cannot be read counts as none."""
    try:
        return SourceRecord(**json.loads(_decision_path(requested, layout).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
