"""Define a matrix: what is available, what is requested, what is run, what is left out. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from python_tsan.binding import Binding  # noqa: TC001 -- msgspec resolves the annotations at run time
from python_tsan.errors import ExitCode  # noqa: TC001 -- msgspec resolves the annotations at run time


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """One build to verify: an exact CPython, with or without the GIL, a compiler, and a binding."""

    python: str
    free_threaded: bool
    toolchain: str
    binding: Binding

    @property
    def name(self) -> str:
        """What a person calls it: ``3.13.5 free-threaded, clang-19, pybind11 2.13.6``."""
        threading = " free-threaded" if self.free_threaded else ""
        return f"{self.python}{threading}, {self.toolchain}, {self.binding}"

    @property
    def slug(self) -> str:
        """The same as part of a file's name: ``3.13.5t-clang-19-pybind11-2.13.6``."""
        return f"{self.python}{'t' if self.free_threaded else ''}-{self.toolchain}-{self.binding.slug}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that is not in the matrix, and why. ``code`` is set when it was requested by name and failed."""

    what: str
    reason: str
    code: ExitCode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What is requested by name on each axis; an empty axis requests everything that there is.

    ``whole`` requests every combination instead of those that differ from a neighbour in one respect.
    """

    pythons: tuple[str, ...] = ()
    threading: tuple[bool, ...] = ()
    toolchains: tuple[str, ...] = ()
    bindings: tuple[Binding, ...] = ()
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """What this machine has: exact versions of CPython, compilers best first, bindings, default first."""

    pythons: tuple[str, ...]
    toolchains: tuple[str, ...]
    bindings: tuple[Binding, ...]
    missing: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run, in order, and what is not, with the reason."""

    combinations: tuple[Combination, ...]
    left_out: tuple[LeftOut, ...]
