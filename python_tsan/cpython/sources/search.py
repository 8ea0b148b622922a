"""Choose the CPython source and search its providers.

Order: what the user names, then what is in the cache, python.org, a git tag, the distribution's archive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from python_tsan.config import DEFAULT_PYTHON
from python_tsan.cpython.manifest import SourceRecord
from python_tsan.cpython.pins import Release, candidates, load_releases
from python_tsan.cpython.sources.checkout import GitTags
from python_tsan.cpython.sources.distribution import DistributionArchive
from python_tsan.cpython.sources.download import PythonOrg
from python_tsan.cpython.sources.local_source import record_of_named, take_named
from python_tsan.cpython.sources.provider import SourceProvider, SourceTree, Unavailable
from python_tsan.cpython.sources.store import (
    cached_archive,
    is_tree,
    locked,
    origin_of,
    recall,
    remember,
    tree_path,
)
from python_tsan.cpython.sources.unpack import unpack_archive
from python_tsan.errors import FetchError
from python_tsan.version import minor_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from python_tsan.config import Settings
    from python_tsan.console import Console
    from python_tsan.paths import Layout

__all__ = ["SourceTree", "obtain_source", "resolve_record"]

CACHE = "cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why one place did not give one release; ``whole`` if no other release was requested from it then."""

    version: str
    provider: str
    reason: str
    evidence: Path | None
    whole: bool


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
        with locked(layout, console):
            return take_named(settings, settings.source, layout, console)
    tree = _at_hand(settings, layout)
    if tree is None:
        with locked(layout, console):
            # Another run may have fetched it while this one waited for the lock.
            tree = _at_hand(settings, layout) or _search(settings, layout, console)
    if tree.record.replaces:
        console.warn(replacement_line(tree.record))
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


def replacement_line(record: SourceRecord) -> str:
    """Report in one line that another release is used instead of the default."""
    return f"CPython {record.replaces} is unavailable; using {record.version} ({record.origin})"


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
    choices = candidates(settings.python, load_releases())
    providers = _providers(settings, layout, console)
    failures: list[Failure] = []
    for tree in _offers(choices, providers, failures, console):
        replaced = settings.python is None and tree.record.version != DEFAULT_PYTHON
        record = replace(tree.record, replaces=DEFAULT_PYTHON) if replaced else tree.record
        remember(_requested(settings), record, layout)
        return SourceTree(path=tree.path, record=record)
    raise _exhausted(settings, failures)


def _providers(settings: Settings, layout: Layout, console: Console) -> tuple[SourceProvider, ...]:
    timeout = settings.network_timeout
    return (
        Cache(layout=layout),
        PythonOrg(base=settings.python_org, timeout=timeout, layout=layout, console=console),
        GitTags(url=settings.git, timeout=timeout, layout=layout, console=console),
        DistributionArchive(timeout=timeout, layout=layout, console=console),
    )


def _offers(
    choices: Sequence[Release], providers: Sequence[SourceProvider], failures: list[Failure], console: Console
) -> Iterator[SourceTree]:
    """Yield what the places give, best release first, and note in ``failures`` why each other one gave nothing."""
    down: set[str] = set()
    for release in choices:
        for provider in providers:
            if provider.name in down:
                continue
            try:
                yield provider.provide(release)
            except Unavailable as answer:
                failure = Failure(
                    version=release.version,
                    provider=provider.name,
                    reason=answer.reason,
                    evidence=answer.evidence,
                    whole=answer.whole,
                )
                failures.append(failure)
                if answer.whole:
                    down.add(provider.name)
                if answer.evidence:
                    console.warn(f"{provider.name}: {answer.reason}; kept as {answer.evidence}")
                elif release is choices[0] and not isinstance(provider, Cache):
                    console.note(f"CPython {release.version}: {provider.name}: {answer.reason}")


def _exhausted(settings: Settings, failures: Sequence[Failure]) -> FetchError:
    requested = settings.python or f"{DEFAULT_PYTHON}, nor any release in its place,"
    latest: dict[str, Failure] = {}
    for failure in failures:
        # That a provider cannot be reached is more important than what it lacked before.
        if failure.provider != CACHE and (failure.provider not in latest or failure.whole):
            latest[failure.provider] = failure
    lines = [f"  {failure.provider}: {failure.reason}" for failure in latest.values()]
    advice = "download the source archive yourself and name it with --source"
    if settings.python is not None:
        advice += ", or drop --python to use the nearest available version"
    evidence = next((failure.evidence for failure in failures if failure.evidence), None)
    return FetchError("\n".join([f"CPython {requested} is unavailable:", *lines]), evidence=evidence, advice=advice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """What earlier runs fetched: checked archives, and the trees unpacked from them."""

    layout: Layout
    name: str = CACHE

    def provide(self, release: Release) -> SourceTree:
        """Return a tree of the release, unpacked again from its archive if only that is left."""
        for archive in release.archives:
            path = tree_path(archive.sha256, self.layout)
            if is_tree(path):
                return self._tree(path, release, archive.sha256, origin_of(archive.sha256, self.layout))
        held = cached_archive(release, self.layout)
        if held is None:
            raise Unavailable("not fetched yet")
        archive, file, origin = held
        return self._tree(unpack_archive(file, archive.sha256, self.layout), release, archive.sha256, origin)

    def _tree(self, path: Path, release: Release, digest: str, origin: str) -> SourceTree:
        return SourceTree(path=path, record=SourceRecord(version=release.version, origin=origin, sha256=digest))
