"""Define compilers, probes and toolchains. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path  # noqa: TC003 -- msgspec resolves the annotations at run time


class Family(Enum):
    """The two compiler families whose ThreadSanitizer runtimes are supported."""

    CLANG = "clang"
    GCC = "gcc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A compiler seen on this machine, before anything is known of its runtime.

    ``in_path`` says that ``PATH`` or ``CC`` leads to it, not only a folder where distributions keep releases.
    """

    family: Family
    cc: Path
    cxx: Path | None
    version: str
    target: str
    in_path: bool = field(default=True, compare=False)  # of the environment, not of the compiler

    @property
    def major(self) -> int:
        """The first number of the version."""
        return self.release[0]

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers that compare: ``(19, 1, 7)``."""
        return tuple(int(part) for part in self.version.split("."))

    @property
    def architecture(self) -> str:
        """The first word of the target triple: ``x86_64``, ``aarch64``."""
        return self.target.split("-")[0]

    @property
    def name(self) -> str:
        """What the user types to choose it: ``clang-19``, ``gcc-12``."""
        return f"{self.family.value}-{self.major}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """A compiler that works on this machine, with its ThreadSanitizer runtime and symbolizer.

    It passed the canary pair: the race in a small program was found, and its twin without a race was clean.

    ``runtime_id`` is the SHA-256 of the runtime library, which distinguishes two builds of one version.
    ``launcher`` is the command prefix under which instrumented programs must run here (``setarch -R`` where the
    address space is too random for the runtime), mostly empty. ``linker`` is what ``-fuse-ld=`` may name, if faster
    than the default.
    """

    candidate: Candidate
    runtime: Path
    runtime_id: str
    symbolizer: Path | None
    linker: str | None
    launcher: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Short name, such as ``clang-19``."""
        return self.candidate.name


class Rejection(Enum):
    """Why a compiler does not work."""

    FOREIGN = "builds for another kind of machine"
    NO_CXX = "no C++ compiler in its folder"
    NO_RUNTIME = "no ThreadSanitizer runtime"
    OWN_RUNTIMES = "links a runtime of its own into each shared library, so a program has several"
    COMPILE_FAILED = "cannot compile the canary"
    ADDRESS_SPACE = "the address space is too random for its runtime"
    NO_SYMBOLIZER = "no symbolizer, so findings would have no function names"
    SYMBOLIZER_HUNG = "its symbolizer does not answer"
    CRASHED = "the canary crashed"
    MISSED_RACE = "the canary's race was not found"
    FALSE_ALARM = "a finding in the canary's race-free twin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the canary pair showed of one compiler: a toolchain, or the reason why it does not work.

    ``detail`` adds one sentence to the reason, and ``evidence`` is the transcript of what was tried. The race was found
    in ``detected`` of ``runs`` runs.
    """

    candidate: Candidate
    toolchain: Toolchain | None = None
    rejection: Rejection | None = None
    detail: str = ""
    evidence: Path | None = None
    detected: int = 0
    runs: int = 0
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """The outcome in one line."""
        if self.rejection is None:
            return f"works: the canary's race found in {self.detected} of {self.runs} runs, its safe twin clean"
        return f"{self.rejection.value}{f' ({self.detail})' if self.detail else ''}"
