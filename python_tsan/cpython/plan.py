"""Define a build plan; :mod:`.planning` makes one, :mod:`.build` executes it.

A plan names places (``{source}``, ``{build}``, ...) instead of paths, so that it is the same on every machine and can
be compared with a golden file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from python_tsan.toolchain.model import Family
from python_tsan.version import minor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

SANITIZER = "-fsanitize=thread"
# The least debug information that still gives file and line in a stack trace.
LINE_TABLES = {Family.CLANG: "-gline-tables-only", Family.GCC: "-g1"}
# GCC replaces these calls, if the size is constant, by stores and loads that it does not instrument; clang instruments
# them. As calls they are seen, since the runtime intercepts them. docs/blind-spots.md
KEPT_CALLS = {
    Family.CLANG: "",
    Family.GCC: "".join(f" -fno-builtin-{name}" for name in ("memset", "memmove", "memcmp", "strcpy", "strncpy")),
}
PYDEBUG = "--with-pydebug"
# Where debug information says that CPython's sources are: the same on every machine.
VIRTUAL_ROOT = "/cpython"
# How much longer, in bytes, the prefix may become when an archive is restored or numpy gets a copy of its own.
PREFIX_ROOM = 1024

# Races inside CPython must not end the programs that the build runs: they are looked for later, by the checks.
BUILD_TSAN_OPTIONS = "halt_on_error=0 exitcode=0 report_bugs=0"


class Placeholder(Enum):
    """The folders and programs that a plan leaves open; the value is how an argument writes them."""

    SOURCE = "source"
    PREFIX = "prefix"
    STAGE = "stage"
    CC = "cc"
    CXX = "cxx"
    COMPILE = "compile"  # the compiler, behind a compiler cache if there is one
    JOBS = "jobs"
    PRESETS = "presets"  # what configure need not ask any more
    BYTECODE = "bytecode"  # where programs that the build runs keep their byte-code, so that the source stays clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Text to append to a variable's definition in the configured Makefile."""

    variable: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Zero bytes to leave behind the prefix that is compiled in, so that a moved interpreter can hold a longer one."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, run in the build folder. ``instrumented`` says that it runs programs under the sanitizer."""

    name: str
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    instrumented: bool = False

    def command(self, places: Mapping[Placeholder, str]) -> tuple[str, ...]:
        """Return ``argv`` with each place filled in. Raises ``KeyError`` for a place that is missing."""
        return tuple(_fill(part, places) for part in self.argv)

    def environment(self, places: Mapping[Placeholder, str]) -> dict[str, str]:
        """Return ``env`` with each place filled in. Raises ``KeyError`` for a place that is missing."""
        return {name: _fill(text, places) for name, text in self.env.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """Everything that decides what the built interpreter is. ``key`` names it: equal keys, equal interpreters."""

    key: str
    version: str
    free_threaded: bool
    source_sha256: str
    compiler: str
    runtime_id: str
    libc: str
    flags: dict[str, str]
    configure: Step
    edits: tuple[Append | Room, ...]
    make: tuple[Step, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """All commands in order; the edits come after the first."""
        return (self.configure, *self.make)

    @property
    def minor(self) -> str:
        """The version's first two numbers, as in ``3.13``."""
        return minor_of(self.version)

    @property
    def executable_name(self) -> str:
        """File name of the installed interpreter: the one that every kind of build has."""
        return f"python{self.minor}"

    @property
    def abi_name(self) -> str:
        """The part that names the ABI in library and include folder: ``3.13d``, ``3.13td``, ``3.13`` for a release."""
        return f"{self.minor}{'t' if self.free_threaded else ''}{'d' if self.debug else ''}"

    @property
    def debug(self) -> bool:
        """Whether CPython checks itself: reference counts, assertions, misuse of its API."""
        return PYDEBUG in self.configure.argv

    def describe(self) -> str:
        """Return the plan as readable JSON."""
        return json.dumps(asdict(self), indent=2)


def _fill(text: str, places: Mapping[Placeholder, str]) -> str:
    return text.format_map({place.value: path for place, path in places.items()})
