"""Name the binding library of the harness and its version. Pure, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from python_tsan.version import dotted, release_of


class Library(Enum):
    """A library that the harness can be compiled with; the value is its name on PyPI and its folder in ``native``."""

    PYBIND11 = "pybind11"
    NANOBIND = "nanobind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A library in one exact version."""

    library: Library
    version: str

    def __str__(self) -> str:
        """Return what a person calls it: ``pybind11 2.13.6``."""
        return f"{self.library.value} {self.version}"

    @property
    def requirement(self) -> str:
        """What an installer and the command line call it: ``pybind11==2.13.6``."""
        return f"{self.library.value}=={self.version}"

    @property
    def slug(self) -> str:
        """The same as part of a file's name: ``pybind11-2.13.6``."""
        return f"{self.library.value}-{self.version}"

    @property
    def line(self) -> str:
        """The releases that it belongs to: ``pybind11 2``."""
        return f"{self.library.value} {self._major}"

    def doubt_about(self, version: str) -> str:
        """Return why it may not compile or work with CPython ``version``, or nothing if that is supported."""
        if release_of(version) <= self.newest_python:
            return ""
        return f"{self.line} supports CPython up to {dotted(self.newest_python)}"

    @property
    def _major(self) -> int:
        return int(self.version.split(".", maxsplit=1)[0])

    @property
    def newest_python(self) -> tuple[int, int]:
        """The newest CPython that it supports; of a line that came later than this table, as much as of any."""
        return _NEWEST_PYTHON.get((self.library, self._major), max(_NEWEST_PYTHON.values()))


# pybind11's changelog says it of 2.13: on CPython 3.14 the attributes of an object with dynamic_attr() leak
# (https://github.com/pybind/pybind11/issues/5998). With pybind11 3.0.4, every check of 3.15.0rc1 is as expected, though
# its changelog ends with 3.14. nanobind 2 has code for 3.14 and none for 3.15, whose way to attach a thread (PEP 788)
# nanobind 3 uses.
_NEWEST_PYTHON = {
    (Library.PYBIND11, 2): (3, 13),
    (Library.PYBIND11, 3): (3, 15),
    (Library.NANOBIND, 2): (3, 14),
    (Library.NANOBIND, 3): (3, 15),
}
DEFAULT = Binding(library=Library.PYBIND11, version="2.13.6")
# What a matrix is made of, the default first; each is pinned by hash in python_tsan/cpython/locks.
BINDINGS = (
    DEFAULT,
    Binding(library=Library.PYBIND11, version="3.0.4"),
    Binding(library=Library.NANOBIND, version="3.1.0"),
)


def default_for(release: tuple[int, int]) -> Binding:
    """Return the binding of a CPython for which none was requested: the first that supports it, else a newest one."""
    fitting = (binding for binding in BINDINGS if binding.newest_python >= release)
    return next(fitting, max(BINDINGS, key=lambda binding: binding.newest_python))


_LIBRARIES = "|".join(library.value for library in Library)
_BINDING = re.compile(rf"(?P<library>{_LIBRARIES})(?:(?:==| )(?P<version>\d+(?:\.\d+)+(?:(?:a|b|rc)\d+)?))?")
DESCRIPTION = f"a binding, such as {DEFAULT.requirement} or {Library.NANOBIND.value}"


def parse_binding(text: str) -> Binding | None:
    """Return the binding that ``text`` names, such as ``nanobind==3.1.0``, or ``nanobind`` alone; None for none.

    A name alone means the library's first version in :data:`BINDINGS`.
    """
    match = _BINDING.fullmatch(text)
    if match is None:
        return None
    library = Library(match["library"])
    known = next(each for each in BINDINGS if each.library is library)
    return Binding(library=library, version=match["version"] or known.version)
