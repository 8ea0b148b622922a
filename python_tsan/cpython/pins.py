"""Own the pinned CPython releases and the order in which they may stand in for one another; leave fetching to others.

Pure: the table is package data (``pins.toml``), read once per process.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from python_tsan.config import DEFAULT_PYTHON
from python_tsan.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = re.compile(r"(?P<release>(\d+)\.(\d+)\.(\d+))(?:(?P<stage>a|b|rc)(?P<serial>\d+))?")
_STAGES = ("a", "b", "rc", None)
_PARTS_OF_A_MINOR = 2
_SHOWN = 6

# Suffixes of python.org's archives, the smaller one first: that is the one asked for.
_SUFFIXES = {"xz": "tar.xz", "tgz": "tgz"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One source archive. ``name`` is python.org's file name, ``size`` is in bytes, None where it is not known."""

    name: str
    sha256: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release whose bytes are known.

    ``commit`` is the git commit that the tag names, empty where it could not be established. ``suites`` tells, by
    family of distributions (``debian``, ``ubuntu``), which suites carry one of ``archives`` as source.
    """

    version: str
    archives: tuple[Archive, ...]
    commit: str = ""
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """Name of the git tag."""
        return f"v{self.version}"

    @property
    def folder(self) -> str:
        """Folder below python.org's base address; pre-releases lie with their release."""
        match = _VERSION.fullmatch(self.version)
        return match["release"] if match else self.version

    @property
    def minor(self) -> str:
        """The series, such as ``3.13``."""
        return self.version.rsplit(".", 1)[0]

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


def candidates(wanted: str | None, releases: Mapping[str, Release]) -> tuple[Release, ...]:
    """Return the releases that satisfy ``wanted``, best first.

    A full version is satisfied by itself alone, a minor such as ``3.13`` by its releases, newest first. None wants
    the default and takes any other in its place, nearest first (:func:`nearness`).

    Raises :class:`FetchError` when nothing pinned satisfies it.
    """
    if wanted is None:
        return tuple(sorted(releases.values(), key=lambda release: nearness(DEFAULT_PYTHON, release.version)))
    if wanted.count(".") < _PARTS_OF_A_MINOR:
        chosen = [release for release in releases.values() if release.minor == wanted]
        chosen.sort(key=lambda release: order(release.version), reverse=True)
    else:
        chosen = [releases[wanted]] if wanted in releases else []
    if not chosen:
        raise _unpinned(wanted, releases)
    return tuple(chosen)


def _unpinned(wanted: str, releases: Mapping[str, Release]) -> FetchError:
    near = sorted(releases, key=lambda version: nearness(wanted if wanted.count(".") > 1 else f"{wanted}.0", version))
    return FetchError(
        f"CPython {wanted} is not pinned, so a download of it could not be checked",
        advice=f"download it yourself, check its signature and name it with --source; "
        f"pinned near it: {', '.join(near[:_SHOWN])}",
    )


def order(version: str) -> tuple[int, ...]:
    """Return a key that sorts versions from old to new, pre-releases before their release."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError(f"not a CPython version: {version!r}")
    numbers = tuple(int(part) for part in match["release"].split("."))
    return (*numbers, _STAGES.index(match["stage"]), int(match["serial"] or 0))


def nearness(wanted: str, version: str) -> tuple[int, ...]:
    """Return a key that sorts versions by their distance from ``wanted``.

    The distance in minor counts first, and at equal distance the newer side wins. Within a minor it is the distance
    in patch; patch numbers of two minors count different things, so in a newer minor the oldest release is nearest,
    and in an older one the newest: versions are a line, and these are the neighbours on it.
    """
    _, wanted_minor, wanted_patch, *_ = order(wanted)
    _, minor, patch, stage, serial = order(version)
    away = minor - wanted_minor
    distance = abs(patch - wanted_patch) if away == 0 else patch if away > 0 else -patch
    older = minor < wanted_minor or (away == 0 and patch < wanted_patch)
    return (abs(away), int(older) if away else 0, distance, int(older), -stage, -serial)
