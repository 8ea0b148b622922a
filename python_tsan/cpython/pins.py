"""List the pinned CPython releases, and order them by how well one can replace another.

Pure: the table is package data (``pins.toml``), read once per process.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from python_tsan.config import DEFAULT_PYTHON
from python_tsan.errors import FetchError
from python_tsan.version import Version, is_version, parse_version

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN = 6
# Suffixes of python.org's archives, the smaller one first: that one is downloaded.
_SUFFIXES = {"xz": "tar.xz", "tgz": "tgz"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One source archive. ``name`` is python.org's file name, ``size`` is in bytes, None where it is not known."""

    name: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release whose content is known.

    ``commit`` is the git commit that the tag names, empty where it is not known. ``suites`` lists, by family of
    distributions (``debian``, ``ubuntu``), the suites that carry one of ``archives`` as source.
    """

    version: str
    archives: tuple[Archive, ...]
    commit: str = ""
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def parsed(self) -> Version:
        """The version, to compare."""
        return parse_version(self.version)

    @property
    def tag(self) -> str:
        """Name of the git tag."""
        return f"v{self.version}"

    @property
    def minor(self) -> str:
        """The series, such as ``3.13``."""
        return self.parsed.minor

    def archive_with(self, sha256: str) -> Archive | None:
        """Return the archive with that hash, or None."""
        return next((archive for archive in self.archives if archive.sha256 == sha256), None)


@cache
def load_releases() -> Mapping[str, Release]:
    """Return every pinned release by version."""
    table = tomllib.loads(files(__package__).joinpath("pins.toml").read_text(encoding="utf-8"))
    return {version: _release(version, entry) for version, entry in table.items()}


def _release(version: str, entry: Mapping[str, Any]) -> Release:
    archives = tuple(
        Archive(name=f"Python-{version}.{suffix}", **entry[key]) for key, suffix in _SUFFIXES.items() if key in entry
    )
    suites = {family: tuple(entry[family]) for family in ("debian", "ubuntu") if family in entry}
    return Release(version=version, archives=archives, commit=entry.get("commit", ""), suites=suites)


def candidates(requested: str | None, releases: Mapping[str, Release]) -> tuple[Release, ...]:
    """Return the releases that satisfy ``requested``, best first.

    A full version is satisfied by itself alone, a minor such as ``3.13`` by its releases, newest first. None means the
    default, or the release that is nearest to it (:func:`nearness`).

    Raises :class:`FetchError` when nothing pinned satisfies it.
    """
    if requested is None:
        return tuple(sorted(releases.values(), key=lambda release: nearness(DEFAULT_PYTHON, release.version)))
    if is_version(requested):
        chosen = [releases[requested]] if requested in releases else []
    else:
        chosen = [release for release in releases.values() if release.minor == requested]
        chosen.sort(key=lambda release: release.parsed, reverse=True)
    if not chosen:
        full = requested if is_version(requested) else f"{requested}.0"
        near = sorted(releases, key=lambda version: nearness(full, version))
        raise FetchError(
            f"CPython {requested} is not pinned, so a download of it could not be checked",
            advice=f"download it yourself, check its signature and name it with --source; "
            f"pinned near it: {', '.join(near[:_SHOWN])}",
        )
    return tuple(chosen)


def nearness(requested: str, version: str) -> tuple[int, ...]:
    """Return a key that sorts versions by their distance from ``requested``.

    The distance in minor counts first, and at equal distance the newer side wins. Within a minor it is the distance
    in patch; patch numbers of two minors count different things, so in a newer minor the oldest release is nearest,
    and in an older one the newest: versions are a line, and these are the neighbours on it.
    """
    here, there = parse_version(requested), parse_version(version)
    (_, minor, patch), (_, their_minor, their_patch) = here.numbers, there.numbers
    away = their_minor - minor
    distance = abs(their_patch - patch) if away == 0 else their_patch if away > 0 else -their_patch
    older = their_minor < minor or (away == 0 and their_patch < patch)
    return (abs(away), int(older) if away else 0, distance, int(older), -there.stage, -there.serial)
