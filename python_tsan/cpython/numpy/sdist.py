"""Get numpy's source archive: find it in a package index, check it against the lock, keep it in the cache.

An index is asked by the standard interface, https://peps.python.org/pep-0691/. pip and uv would do it, and build the
package on the way, to learn what it needs.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from python_tsan.cpython.sources.download import download, resolve
from python_tsan.cpython.sources.provider import Unavailable
from python_tsan.cpython.sources.store import cache_errors, quarantine, scratch
from python_tsan.cpython.sources.unpack import UnsafeMember, extract
from python_tsan.cpython.tools import uv_index
from python_tsan.errors import FetchError
from python_tsan.process import run
from python_tsan.storage import sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.cpython.numpy.source_plan import NumpyPlan
    from python_tsan.paths import Layout

INDEX_VARIABLE = "UV_DEFAULT_INDEX"
_INDEX = re.compile(r"^--index-url (?P<url>\S+)$", re.MULTILINE)
_ACCEPT = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    filename: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Project:
    files: tuple[_File, ...]


def obtain_sdist(
    plan: NumpyPlan, settings: Settings, *, layout: Layout, console: Console, env: Mapping[str, str]
) -> Path:
    """Return the source archive, from the cache or the index. Raises ``FetchError``."""
    for digest in plan.hashes:
        kept = layout.downloads / f"{digest}-{plan.archive}"
        if kept.is_file() and sha256_of(kept) == digest:
            return kept
    index = _index(env)
    label = f"download {plan.archive}"
    with (
        cache_errors(layout.downloads),
        scratch(layout) as folder,
        console.steps([label]) as progress,
    ):
        progress.start(label)
        page, archive = folder / "index.json", folder / plan.archive
        try:
            download(f"{index}/numpy/", page, timeout=settings.network_timeout, progress=progress, accept=_ACCEPT)
            url = resolve(f"{index}/numpy/", _address(page.read_bytes(), plan))
            download(url, archive, timeout=settings.network_timeout, progress=progress)
        except Unavailable as error:
            raise FetchError(
                f"numpy's source could not be downloaded: {error.reason}",
                advice=f"set {INDEX_VARIABLE} to a package index that can be reached",
            ) from error
        progress.done()
        return _admit(archive, plan, layout)


def _index(env: Mapping[str, str]) -> str:
    """Return the package index that uv's settings mean, else the one of pip's variable."""
    pip = {INDEX_VARIABLE: env["PIP_INDEX_URL"]} if env.get("PIP_INDEX_URL") and not env.get("UV_INDEX_URL") else {}
    index = _INDEX.search(run(uv_index(), env={**pip, **env}).stdout)
    if index is None:
        raise FetchError("uv does not report which package index it uses", advice=f"set {INDEX_VARIABLE}, or update uv")
    return index["url"].rstrip("/")


def _address(page: bytes, plan: NumpyPlan) -> str:
    try:
        files = msgspec.json.decode(page, type=_Project).files
    except msgspec.MsgspecError as error:
        raise Unavailable("the index gave no list of files") from error
    found = next((file.url for file in files if file.filename == plan.archive), None)
    if found is None:
        raise Unavailable(f"the index has no {plan.archive}")
    return found


def _admit(archive: Path, plan: NumpyPlan, layout: Layout) -> Path:
    digest = sha256_of(archive)
    if digest not in plan.hashes:
        kept = quarantine(archive, digest, layout)
        raise FetchError(
            f"{plan.archive} is different from what is pinned: SHA-256 is {digest}, which the lock does not list",
            evidence=kept,
            advice="fetch it again; the file that came is in quarantine",
        )
    layout.downloads.mkdir(parents=True, exist_ok=True)
    return archive.replace(layout.downloads / f"{digest}-{plan.archive}")


def unpack_sdist(archive: Path, folder: Path) -> Path:
    """Unpack the checked archive into ``folder`` and return the source's own folder. Raises ``FetchError``."""
    try:
        with tarfile.open(archive) as tar:
            extract(tar, folder)
    except (UnsafeMember, tarfile.TarError, EOFError) as error:
        raise FetchError(f"{archive.name} cannot be unpacked: {error}", evidence=archive) from error
    return next(path for path in folder.iterdir() if (path / "meson.build").is_file())
