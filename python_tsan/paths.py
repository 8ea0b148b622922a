"""Own the layout of the cache folder; leave creating and filling its folders to their stages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
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
        """Private folders of builds under way; whatever is in here is never taken for complete."""
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
    chosen = os.environ.get("PYTHON_TSAN_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("python-tsan")
