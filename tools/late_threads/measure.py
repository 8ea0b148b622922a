"""Compile the program ``late_thread.cpp``, and run it with the libpython of an interpreter."""

from __future__ import annotations

import os
import resource
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.environment import clean_environment
from python_tsan.cpython.plan import SANITIZER
from python_tsan.cpython.stock import ask, candidates
from python_tsan.errors import BuildError, SubjectError
from python_tsan.version import Version, parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.cpython.manifest import Interpreter

PROGRAM = Path(__file__).with_name("late_thread.cpp")
LIMIT_SECONDS = 2  # after which a thread that has not come back counts as blocked
DEADLINE_SECONDS = 60.0
FIRST_WITH_VIEWS = (3, 15)
# The loader finds the program broken where the library of a sanitizer differs; the races are not what is measured.
_OPTIONS = "report_bugs=0 exitcode=0 handle_segv=0 handle_abort=0"


class How(Enum):
    """How the thread asks for Python; the value is the program's argument."""

    NEW = "new"
    KNOWN = "known"
    VIEW = "view"


class When(Enum):
    """When it asks; the value is the program's argument."""

    DURING = "during"
    AFTER = "after"


class Outcome(Enum):
    """What becomes of the thread; the value is the word that the program prints, but for a crash."""

    RETURNED = "returned"
    REFUSED = "refused"
    UNWOUND = "unwound"
    BLOCKED = "blocked"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A libpython to load. ``launcher`` starts the program with another C library; ``cxx`` compiles it."""

    version: str
    free_threaded: bool = False
    sanitized: bool = False
    library: Path
    home: Path
    launcher: tuple[str, ...] = ()
    cxx: str = "c++"
    toolchain: str = ""
    debug: bool = False

    @property
    def name(self) -> str:
        """What a row of the table is called: ``3.13.5t, clang-19, debug``."""
        kind = (self.toolchain, "debug" if self.debug else "")
        return ", ".join([f"{self.version}{'t' if self.free_threaded else ''}", *filter(None, kind)])

    @property
    def order(self) -> tuple[Version, bool, str]:
        """Sort key: by version, builds with a GIL first."""
        return parse_version(self.version), self.free_threaded, self.toolchain

    @property
    def flags(self) -> tuple[str, ...]:
        """What the program is compiled with: a sanitized library needs its runtime in the program."""
        return (SANITIZER,) if self.sanitized else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Outcomes of one case on one target, each with how often it was seen."""

    target: Target
    how: How
    when: When
    outcomes: Counter[Outcome]

    def __str__(self) -> str:
        """Return the outcomes, the most frequent one first: ``blocked 5 of 5``."""
        total = self.outcomes.total()
        return ", ".join(f"{outcome.value} {count} of {total}" for outcome, count in self.outcomes.most_common())


def stock_targets(named: Iterable[Path] = ()) -> Iterator[Target]:
    """Yield the stock interpreters of this machine, and the ``named`` ones, that have a shared library."""
    for stock in filter(None, map(ask, [*candidates(os.environ), *named])):
        if stock.shared and stock.library.is_file():
            yield Target(
                version=stock.version, free_threaded=stock.free_threaded, library=stock.library, home=stock.prefix
            )


def unpacked_target(script: Path) -> Target:
    """Return the interpreter that one of ``debian_pythons``' launchers starts."""
    home = script.parents[1]
    libraries = home / "lib/x86_64-linux-gnu"
    version = process.run([script, "-V"], timeout=DEADLINE_SECONDS).stdout.split()[-1]
    minor = ".".join(version.split(".")[:2])
    return Target(
        version=version,
        library=libraries / f"libpython{minor}.so.1.0",
        home=home,
        launcher=(str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries)),
    )


def built_target(interpreter: Interpreter) -> Target:
    """Return an interpreter that was built here."""
    return Target(
        version=interpreter.version,
        free_threaded=interpreter.free_threaded,
        sanitized=interpreter.instrumented,
        library=interpreter.library,
        home=interpreter.prefix,
        cxx=str(interpreter.cxx),
        toolchain=interpreter.toolchain,
        debug=interpreter.debug,
    )


def cases(target: Target) -> Iterator[tuple[How, When]]:
    """Yield what can be measured on a target."""
    views = parse_version(target.version).release >= FIRST_WITH_VIEWS
    for how in How:
        if how is not How.VIEW or views:
            for when in When:
                yield how, when


def compile_program(target: Target, folder: Path) -> Path:
    """Return the program for a target. Raises ``BuildError`` where the compiler refuses it."""
    program = folder / f"late-{Path(target.cxx).name}{'-tsan' if target.flags else ''}"
    if not program.exists():
        command = [target.cxx, "-std=c++17", "-O1", "-pthread", *target.flags, str(PROGRAM), "-o", str(program), "-ldl"]
        ended = process.run(command, timeout=DEADLINE_SECONDS)
        if not ended.ok:
            raise BuildError(f"{target.cxx} does not compile {PROGRAM.name}: {ended.stderr.strip()}")
    return program


def measure(target: Target, how: How, when: When, *, program: Path, runs: int) -> Measured:
    """Run one case ``runs`` times, each in a process of its own."""
    command = [*target.launcher, program, target.library, how.value, when.value, str(LIMIT_SECONDS)]
    env = {**clean_environment(os.environ), "PYTHONHOME": str(target.home), "TSAN_OPTIONS": _OPTIONS}
    outcomes = Counter(_outcome(command, env) for _ in range(runs))
    return Measured(target=target, how=how, when=when, outcomes=outcomes)


def _outcome(command: Sequence[str | Path], env: dict[str, str]) -> Outcome:
    ended = process.run(command, env=env, timeout=DEADLINE_SECONDS, preexec=_no_core)
    return outcome_of(ended)


def outcome_of(ended: process.Completed) -> Outcome:
    """Return what a run shows. Raises ``SubjectError`` for one that shows nothing."""
    words = {outcome.value: outcome for outcome in Outcome}
    if ended.ok and ended.stdout.strip() in words:
        return words[ended.stdout.strip()]
    if ended.exit_code < 0 and not ended.timed_out:
        return Outcome.CRASHED
    complaint = ended.stderr.strip() or ended.how
    raise SubjectError(f"{' '.join(ended.command[-5:])}: neither an outcome nor a crash: {complaint}")


def _no_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
