"""Read and order CPython versions such as ``3.14.0rc2``; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

# Of a series or a release, to be compared as sys.version_info is: (3, 14), (3, 14, 1).
Numbers: TypeAlias = tuple[int, ...]

_SERIES = r"(?P<major>\d{1,3})\.(?P<minor>\d{1,3})"
_VERSION = re.compile(_SERIES + r"\.(?P<patch>\d{1,3})(?:(?P<stage>a|b|rc)(?P<serial>\d{1,3}))?")
_STAGES = ("a", "b", "rc", "")
FIRST_FREE_THREADED = (3, 13)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A CPython version; versions compare from old to new, pre-releases before their release."""

    numbers: tuple[int, int, int]
    stage: int
    serial: int

    @property
    def release(self) -> tuple[int, int]:
        """The first two numbers."""
        return self.numbers[:2]

    @property
    def minor(self) -> str:
        """The series, such as ``3.14``."""
        return dotted(self.release)

    @property
    def folder(self) -> str:
        """The release that a pre-release leads to, such as ``3.14.0``."""
        return dotted(self.numbers)


def parse_version(text: str) -> Version:
    """Return the version that ``text`` means. Raises ``ValueError`` for anything else."""
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError(f"not a CPython version: {text!r}")
    numbers = (int(match["major"]), int(match["minor"]), int(match["patch"]))
    return Version(numbers, _STAGES.index(match["stage"] or ""), int(match["serial"] or 0))


def is_version(text: str) -> bool:
    """Return whether ``text`` is a full version."""
    return _VERSION.fullmatch(text) is not None


def numbers_of(text: str) -> Numbers:
    """Return the numbers of a series, a release or what leads to it: ``3.13.16`` and ``3.13.16rc1+`` are alike.

    What leads to the first release of a series precedes it: ``3.15.0rc1`` gives ``(3, 15, -1)``. Raises ``ValueError``
    for anything else.
    """
    if re.fullmatch(_SERIES, text):
        return release_of(text)
    version = parse_version(text.removesuffix("+"))  # a build of what came after that version
    is_before = version.stage < _STAGES.index("") and version.numbers[-1] == 0
    return (*version.release, -1) if is_before else version.numbers


def minor_of(text: str) -> str:
    """Return the series of a version or of a series: ``3.14`` for ``3.14.0rc2`` and for ``3.14``."""
    return dotted(release_of(text))


def release_of(text: str) -> tuple[int, int]:
    """Return the first two numbers of a version such as ``3.14.0rc2`` or ``3.14``."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def dotted(numbers: tuple[int, ...]) -> str:
    """Write numbers as a version."""
    return ".".join(map(str, numbers))


def free_threading_refusal(text: str) -> str:
    """Say why a version has no free-threaded build; empty if it has one."""
    if release_of(text) >= FIRST_FREE_THREADED:
        return ""
    return f"CPython {text} has no free-threaded build, which came with {dotted(FIRST_FREE_THREADED)}"
