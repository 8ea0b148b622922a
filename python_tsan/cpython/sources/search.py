"""Own which CPython source is taken and from where; leave the places themselves to fetch, checkout and distribution.

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
    """Why one place did not give one release; ``whole`` if it then was not asked for another."""

    version: str
    supply: str
    reason: str
    evidence: Path | None
    whole: bool


def resolve_record(settings: Settings, layout: Layout) -> SourceRecord | None:
    """Say without the network which source these settings mean, or None if only a search can tell.

    A source that the user names is read and hashed each time, since it may have changed. With ``refresh`` the search
    is always made anew.

    Raises :class:`UsageError` when the named source is not there, or is another version than the named one.
    """
    if settings.source is not None:
        return record_of_named(settings, settings.source, layout)
    if settings.refresh:
        return None
    record = recall(_wanted(settings), layout)
    return record if record is not None and _is_still_pinned(record) else None


def obtain_source(settings: Settings, *, layout: Layout, console: Console) -> SourceTree:
    """Return the unpacked, checked source that these settings mean, fetching it if need be.

    A version that the user named is never replaced; without one, the nearest pinned release that can be had stands in
    for the default, which is said in one line and in the record. What was taken is remembered.

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
    """Let later runs without network know that this source is meant, as if it had been fetched here.

    What was decided on this machine before stays decided.
    """
    minor = minor_of(record.version)
    for wanted in dict.fromkeys((_wanted(settings), record.version, minor)):
        standing_in = wanted == _wanted(settings) and settings.python is None and record.version != DEFAULT_PYTHON
        known = recall(wanted, layout)
        if known is None or not _is_still_pinned(known):
            remember(wanted, replace(record, replaces=DEFAULT_PYTHON if standing_in else ""), layout)


def replacement_line(record: SourceRecord) -> str:
    """Say in one line that a release stands in for the default."""
    return f"CPython {record.replaces} cannot be had from here; {record.version} stands in for it ({record.origin})"


def _wanted(settings: Settings) -> str:
    return settings.python or f"default-{DEFAULT_PYTHON}"


def _is_still_pinned(record: SourceRecord) -> bool:
    """Tell whether the table still vouches for what was taken: a corrected pin must not be outlived by a memory."""
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
    supplies = _supplies(settings, layout, console)
    failures: list[Failure] = []
    for tree in _offers(choices, supplies, failures, console):
        replaced = settings.python is None and tree.record.version != DEFAULT_PYTHON
        record = replace(tree.record, replaces=DEFAULT_PYTHON) if replaced else tree.record
        remember(_wanted(settings), record, layout)
        return SourceTree(path=tree.path, record=record)
    raise _exhausted(settings, failures)


def _supplies(settings: Settings, layout: Layout, console: Console) -> tuple[SourceProvider, ...]:
    timeout = settings.network_timeout
    return (
        Cache(layout=layout),
        PythonOrg(base=settings.python_org, timeout=timeout, layout=layout, console=console),
        GitTags(url=settings.git, timeout=timeout, layout=layout, console=console),
        DistributionArchive(timeout=timeout, layout=layout, console=console),
    )


def _offers(
    choices: Sequence[Release], supplies: Sequence[SourceProvider], failures: list[Failure], console: Console
) -> Iterator[SourceTree]:
    """Yield what the places give, best release first, and note in ``failures`` why each other one gave nothing."""
    down: set[str] = set()
    for release in choices:
        for supply in supplies:
            if supply.name in down:
                continue
            try:
                yield supply.provide(release)
            except Unavailable as answer:
                failure = Failure(
                    version=release.version,
                    supply=supply.name,
                    reason=answer.reason,
                    evidence=answer.evidence,
                    whole=answer.whole,
                )
                failures.append(failure)
                if answer.whole:
                    down.add(supply.name)
                if answer.evidence:
                    console.warn(f"{supply.name}: {answer.reason}; kept as {answer.evidence}")
                elif release is choices[0] and not isinstance(supply, Cache):
                    console.note(f"CPython {release.version}: {supply.name}: {answer.reason}")


def _exhausted(settings: Settings, failures: Sequence[Failure]) -> FetchError:
    wanted = settings.python or f"{DEFAULT_PYTHON}, nor any release in its place,"
    told: dict[str, Failure] = {}
    for failure in failures:
        # That a place is out of reach says more than what it lacked before.
        if failure.supply != CACHE and (failure.supply not in told or failure.whole):
            told[failure.supply] = failure
    lines = [f"  {failure.supply}: {failure.reason}" for failure in told.values()]
    advice = "fetch the source archive yourself and name it with --source"
    if settings.python is not None:
        advice += ", or name no version: then the nearest that can be had is taken"
    evidence = next((failure.evidence for failure in failures if failure.evidence), None)
    return FetchError("\n".join([f"CPython {wanted} cannot be had:", *lines]), evidence=evidence, advice=advice)


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
