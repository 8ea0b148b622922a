"""Choose the CPython source and search its providers.

Order: what the user names, then what is in the cache, python.org, a git tag, the distribution's archive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.artifact import exclusive
from python_tsan.config import DEFAULT_PYTHON
from python_tsan.cpython.manifest import SourceRecord, read_manifest
from python_tsan.cpython.pins import Release, candidates, load_releases
from python_tsan.cpython.sources.checkout import GitTags
from python_tsan.cpython.sources.distribution import DistributionArchive
from python_tsan.cpython.sources.download import PythonOrg
from python_tsan.cpython.sources.local_source import is_requested, record_of_named, take_named
from python_tsan.cpython.sources.provider import SourceProvider, SourceTree, Unavailable
from python_tsan.cpython.sources.store import (
    LOCK,
    archive_path,
    cached_archive,
    is_tree,
    origin_of,
    recall,
    remember,
    tree_path,
)
from python_tsan.cpython.sources.unpack import unpack_archive
from python_tsan.errors import FetchError
from python_tsan.storage import is_file, is_folder
from python_tsan.version import minor_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.paths import Layout

CACHE = "cache"


def resolve_record(settings: Settings, layout: Layout) -> SourceRecord | None:
    """Say without the network which source these settings mean, or None if that needs a search.

    A source that the user names is read and hashed each time, since it may have changed. With ``refresh`` the search
    is always repeated.

    Raises :class:`UsageError` when the named source is not there, or is another version than the named one.
    """
    if settings.source is not None:
        return record_of_named(settings, settings.source, layout)
    if settings.refresh:
        return None
    record = recall(_requested(settings), layout)
    return record if record is not None and _is_still_pinned(record) else None


def obtain_source(settings: Settings, *, layout: Layout, console: Console) -> SourceTree:
    """Return the unpacked, checked source that these settings mean, fetching it if need be.

    A version that the user named is never replaced; without one, the nearest available pinned release replaces
    the default, which one line and the record report. The choice is remembered.

    Raises :class:`FetchError` with every place and its answer when no place can give the source, and when the cache
    cannot be written; :class:`UsageError` for a named source that is not what it should be.
    """
    if settings.source is not None:
        with exclusive(layout, LOCK, console):
            return take_named(settings, settings.source, layout, console)
    tree = _at_hand(settings, layout)
    if tree is None:
        with exclusive(layout, LOCK, console):
            # Another run may have fetched it while this one waited for the lock.
            tree = _at_hand(settings, layout) or _search(settings, layout, console)
    if (record := tree.record).replaces:
        console.warn(f"CPython {record.replaces} is unavailable; using {record.version} ({record.origin})")
    return tree


def remember_restored(record: SourceRecord, settings: Settings, layout: Layout) -> None:
    """Record the source for later runs without network, as if it had been fetched here.

    What was decided on this machine before stays decided.
    """
    minor = minor_of(record.version)
    for requested in dict.fromkeys((_requested(settings), record.version, minor)):
        replaces_default = (
            requested == _requested(settings) and settings.python is None and record.version != DEFAULT_PYTHON
        )
        known = recall(requested, layout)
        if known is None or not _is_still_pinned(known):
            remember(requested, replace(record, replaces=DEFAULT_PYTHON if replaces_default else ""), layout)


def _requested(settings: Settings) -> str:
    return settings.python or f"default-{DEFAULT_PYTHON}"


def _is_still_pinned(record: SourceRecord) -> bool:
    """Return whether what was taken is still pinned: a corrected pin must also correct earlier decisions."""
    release = load_releases().get(record.version)
    if release is None:
        return False
    by_commit = bool(release.commit) and release.commit in record.origin
    return by_commit or release.archive_with(record.sha256) is not None


def _at_hand(settings: Settings, layout: Layout) -> SourceTree | None:
    record = resolve_record(settings, layout)
    if record is None:
        return None
    path = tree_path(record.sha256, layout)
    return SourceTree(path=path, record=record) if is_tree(path) else None


# The search


def _search(settings: Settings, layout: Layout, console: Console) -> SourceTree:
    """Take the best release from the first place that gives it. Raises as :func:`obtain_source` does."""
    for line in _built_from_sources(settings, layout):
        console.note(line)
    choices = candidates(settings.python, load_releases())
    timeout = settings.network_timeout
    providers: tuple[SourceProvider, ...] = (
        Cache(layout=layout),
        PythonOrg(base=settings.python_org, timeout=timeout, layout=layout, console=console),
        GitTags(url=settings.git, timeout=timeout, layout=layout, console=console),
        DistributionArchive(timeout=timeout, layout=layout, console=console),
    )
    answers: list[tuple[str, Unavailable]] = []
    down: set[str] = set()
    for release, provider in product(choices, providers):
        if provider.name in down:
            continue
        try:
            tree = provider.provide(release)
        except Unavailable as answer:
            answers.append((provider.name, answer))
            if answer.whole:
                down.add(provider.name)
            if answer.evidence:
                console.warn(f"{provider.name}: {answer.reason}; kept as {answer.evidence}")
            elif release is choices[0] and provider.name != CACHE:
                console.note(f"CPython {release.version}: {provider.name}: {answer.reason}")
            continue
        replaced = settings.python is None and tree.record.version != DEFAULT_PYTHON
        record = replace(tree.record, replaces=DEFAULT_PYTHON) if replaced else tree.record
        remember(_requested(settings), record, layout)
        return SourceTree(path=tree.path, record=record)
    raise _exhausted(settings, answers)


def _built_from_sources(settings: Settings, layout: Layout) -> list[str]:
    """Return a line for each source that the user has named before, of which the requested version was built."""
    if settings.python is None:
        return []
    built = filter(None, map(read_manifest, layout.interpreters.glob("*")))
    sources = {(each.version, each.source.origin) for each in built if each.source}
    return [
        f"CPython {version} is in the cache, built from {origin}; to use it, add --source {origin}"
        for version, origin in sorted(sources)
        if is_requested(version, settings) and (is_folder(Path(origin)) or is_file(Path(origin)))
    ]


def _exhausted(settings: Settings, answers: Sequence[tuple[str, Unavailable]]) -> FetchError:
    requested = settings.python or f"{DEFAULT_PYTHON}, nor any release in its place,"
    latest: dict[str, Unavailable] = {}
    for name, answer in answers:
        # That a provider cannot be reached is more important than what it lacked before.
        if name != CACHE and (name not in latest or answer.whole):
            latest[name] = answer
    lines = [f"  {name}: {answer.reason}" for name, answer in latest.items()]
    advice = "download the source archive yourself and name it with --source"
    if settings.python is not None:
        advice += ", or drop --python to use the nearest available version"
    evidence = next((answer.evidence for _, answer in answers if answer.evidence), None)
    return FetchError("\n".join([f"CPython {requested} is unavailable:", *lines]), evidence=evidence, advice=advice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """What earlier runs fetched: checked archives, and the trees unpacked from them."""

    layout: Layout
    name: str = CACHE

    def provide(self, release: Release) -> SourceTree:
        """Return a tree of the release, unpacked again from its archive if only that is left."""
        layout = self.layout
        unpacked = (archive for archive in release.archives if is_tree(tree_path(archive.sha256, layout)))
        archive = next(unpacked, None) or cached_archive(release, layout)
        if archive is None:
            raise Unavailable("not fetched yet")
        digest, path = archive.sha256, tree_path(archive.sha256, layout)
        if not is_tree(path):
            path = unpack_archive(archive_path(archive, layout), digest, layout)
        record = SourceRecord(version=release.version, origin=origin_of(digest, layout), sha256=digest)
        return SourceTree(path=path, record=record)
