"""Lay out the cache folder, and find the files that are installed with the package."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from python_tsan.errors import UsageError
from python_tsan.storage import expanded

_PACKAGE = Path(__file__).resolve().parent


class Layout(Struct, frozen=True, kw_only=True):
    """Where each stage keeps its artefacts below one root. Holds paths only and touches no file."""

    root: Path

    @property
    def downloads(self) -> Path:
        """Verified source archives, named ``<sha256>-<file name>``."""
        return self.root / "downloads"

    @property
    def quarantine(self) -> Path:
        """Archives that failed verification, kept as evidence."""
        return self.root / "quarantine"

    @property
    def sources(self) -> Path:
        """Unpacked CPython trees, one folder per source hash."""
        return self.root / "sources"

    @property
    def interpreters(self) -> Path:
        """Finished interpreters, one folder per content key, each with its ``manifest.json``."""
        return self.root / "interpreters"

    @property
    def harnesses(self) -> Path:
        """Finished harness builds, one folder per content key."""
        return self.root / "harnesses"

    @property
    def work(self) -> Path:
        """Private folders of running builds; nothing in here counts as complete."""
        return self.root / "work"

    @property
    def locks(self) -> Path:
        """Lock files, one per artefact, so that concurrent runs share one build."""
        return self.root / "locks"

    @property
    def logs(self) -> Path:
        """One folder per build, one log per step."""
        return self.root / "logs"

    @property
    def compiler_cache(self) -> Path:
        """The compiler cache's own folder, unless the user has set one."""
        return self.root / "compiler-cache"

    @property
    def probes(self) -> Path:
        """Results of toolchain probes, keyed by the identity of compiler and runtime."""
        return self.root / "probes"


def default_root() -> Path:
    """Return the cache root: ``PYTHON_TSAN_CACHE`` if set, else the platform's cache folder (XDG on Linux)."""
    if chosen := os.environ.get("PYTHON_TSAN_CACHE"):
        return expanded(chosen).absolute()
    import platformdirs  # noqa: PLC0415 -- a report needs no cache

    return platformdirs.user_cache_path("python-tsan")


def native_folder() -> Path:
    """Return the folder of the C++ sources and the CMake package. Raises :class:`UsageError` when it is not there."""
    return _travelling("native", "CMakeLists.txt")


def checks_folder() -> Path:
    """Return the folder of the checks. Raises :class:`UsageError` when it is not there."""
    return _travelling("checks", "test_canary.py")


def errors_page() -> Path:
    """Return the page about errors. Raises :class:`UsageError` when it is not there."""
    return _travelling("docs", "errors.md") / "errors.md"


def _travelling(name: str, proof: str) -> Path:
    """Return a folder that a wheel has inside the package and a checkout next to it, identified by a file in it.

    The package comes first: folders next to an installed one belong to others.
    """
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if (folder / proof).is_file():
            return folder
    raise UsageError(
        f"the folder {name} of python-tsan is not there",
        evidence=_PACKAGE,
        advice="install python-tsan again, from its wheel or a checkout of its repository",
        page="installation",
    )
