"""Compile ``native/contract/cases.cpp`` for an interpreter, and run its cases under the lock recorder."""

from __future__ import annotations

import os
import resource
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cpython.environment import clean_environment
from python_tsan.detect.locks import FOLDER_VARIABLE, PRELOAD_VARIABLE, SUFFIX, traces
from python_tsan.errors import BuildError, SubjectError
from python_tsan.locks.model import Rule
from python_tsan.process import preloading
from python_tsan.version import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.late_threads.measure import Target

PROGRAM = Path(__file__).parents[2] / "native" / "contract" / "cases.cpp"
COMPILE_SECONDS = 120.0
DEADLINE_SECONDS = 60.0
# What a case of the program says is to be found, and the rules that count for it.
RULES = {
    "GIL": {Rule.NO_THREAD_STATE, Rule.GIL_NOT_HELD},
    "initialization": {Rule.NOT_INITIALIZED},
    "finalization": {Rule.AFTER_FINALIZATION},
    "ended with the GIL": {Rule.ENDED_ATTACHED},
    "never released": {Rule.NEVER_RELEASED},
    "never deleted": {Rule.NEVER_DELETED},
    "attached twice": {Rule.ATTACHED_TWICE},
    "unmatched release": {Rule.UNMATCHED_RELEASE},
    "interpreter never ended": {Rule.INTERPRETER_NEVER_ENDED},
    "inside at finalization": {Rule.INSIDE_AT_FINALIZATION},
    "another interpreter": {Rule.OTHER_INTERPRETER},
    "exception set": {Rule.ERROR_SET},
    "exception lost": {Rule.ERROR_LOST},
    "advice": {Rule.BORROWED_KEPT},
}
NOT_SEEN = "not seen: "
# Objects of a free-threaded build lie in no arena.
_OF_ANOTHER = {
    *("object_of_another", "object_from_another", "appended_to_another", "named_in_another", "packed_in_another"),
    "called_in_another",
}
# Up to 3.11 all interpreters share one GIL, which PyThreadState_Swap keeps.
_SHARED_GIL = {
    "swapped_out": "the thread keeps the GIL",
    "after_its_end": "the thread keeps the GIL",
    **dict.fromkeys(_OF_ANOTHER, "all interpreters share one GIL"),
}
_FIRST_OWN_GIL = (3, 12)
_OPTIONS = "report_bugs=0 exitcode=0 handle_segv=0 handle_abort=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A mistake: ``found`` is a key of ``RULES``, or why it is not seen."""

    name: str
    found: str
    what: str

    def expected(self, target: Target) -> str:
        """Return what is to be found with a build of CPython."""
        shared = parse_version(target.version).release < _FIRST_OWN_GIL
        if shared and self.name in _SHARED_GIL:
            return NOT_SEEN + _SHARED_GIL[self.name]
        if target.free_threaded and self.name in _OF_ANOTHER:
            return f"{NOT_SEEN}a free-threaded build has no arenas"
        return self.found


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a case showed: the rules that its wrong and its right program broke, by the recorder."""

    target: Target
    case: Case
    wrong: frozenset[Rule]
    right: frozenset[Rule]

    @property
    def expected(self) -> str:
        """What is to be found."""
        return self.case.expected(self.target)

    @property
    def is_as_expected(self) -> bool:
        """Whether the mistake was found, or is one that cannot be seen, and its right twin is quiet."""
        seen = not self.wrong if self.expected.startswith(NOT_SEEN) else bool(self.wrong & RULES[self.expected])
        return seen and not self.right


def compile_program(target: Target, folder: Path, *, include: Path) -> Path:
    """Return the program for a target. Raises ``BuildError`` where the compiler refuses it."""
    program = folder / f"cases-{target.name.replace(', ', '-')}"
    command: list[str | Path] = [
        target.cxx,
        "-std=c++17",
        "-g",
        "-O1",
        "-pthread",
        *target.flags,
        f"-I{include}",
        PROGRAM,
        "-o",
        program,
    ]
    command += [target.library, f"-Wl,-rpath,{target.library.parent}", "-Wl,--allow-shlib-undefined", "-ldl", "-lrt"]
    ended = process.run(command, timeout=COMPILE_SECONDS)
    if not ended.ok:
        raise BuildError(f"{target.cxx} does not compile {PROGRAM.name}: {ended.stderr.strip()}")
    return program


def cases(target: Target, program: Path) -> Iterator[Case]:
    """Yield the cases that the program lists."""
    ended = process.run([*target.launcher, program], env=_environment(target), timeout=DEADLINE_SECONDS)
    for line in ended.stdout.splitlines():
        name, found, what = line.split("\t")
        yield Case(name=name, found=found, what=what)


def measure(target: Target, case: Case, *, program: Path, libraries: Sequence[Path]) -> Measured:
    """Run a case and its right twin with ``libraries`` preloaded. Raises ``SubjectError`` if the right one fails."""
    wrong, right = (_rules(target, [program, case.name, way], libraries) for way in ("wrong", "right"))
    return Measured(target=target, case=case, wrong=wrong, right=right)


def _rules(target: Target, program: Sequence[str | Path], libraries: Sequence[Path]) -> frozenset[Rule]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runtime = [Path("libtsan.so.2")] if target.sanitized and "gcc" in target.toolchain else []
        variables = preloading([*runtime, *libraries], {})
        env = {**_environment(target), FOLDER_VARIABLE: name, PRELOAD_VARIABLE: variables["LD_PRELOAD"]}
        preload = [f"{variable}={value}" for variable, value in variables.items()]
        still = ["setarch", "-R"] if target.sanitized else []
        command = [*still, "env", *preload, *target.launcher, *program]
        ended = process.run(command, env=env, timeout=DEADLINE_SECONDS, preexec=_no_core)
        if program[-1] == "right" and not ended.ok:
            raise SubjectError(f"{' '.join(map(str, program))}: {ended.stderr.strip() or ended.how}")
        found = traces(sorted(folder.glob(f"*{SUFFIX}")))
        return frozenset(misuse.rule for _, trace in found for misuse in trace.misuses)


def _environment(target: Target) -> dict[str, str]:
    return {**clean_environment(os.environ), "PYTHONHOME": str(target.home), "TSAN_OPTIONS": _OPTIONS}


def _no_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
