"""Run a program again for each possible deadlock, directed so that it happens if it can, and end it when it hangs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_tsan.checking.execution import execute
from python_tsan.detect import locks
from python_tsan.locks.directed import VARIABLE, instruction, outcome_of, places_of, read_meeting, stuck_at
from python_tsan.plain_text import counted
from python_tsan.result.finding import Directed, DirectedRuns
from python_tsan.running.companion import FOLDER_VARIABLE
from python_tsan.tsan.finding import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from python_tsan.locks.directed import Meeting, Place
    from python_tsan.tsan.finding import Finding

FOLDER = "directed"
FEWEST_RUNS = 3
MOST_FINDINGS = 20
LOOK_SECONDS = 0.4
# A directed run waits here and there, and the machine may be busy.
FACTOR, EXTRA_SECONDS = 3, 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is run, as in the runs before it. ``seconds`` are what the longest of those took, ``limit`` that of each."""

    command: tuple[str, ...]
    cwd: Path
    variables: Mapping[str, str]
    launcher: tuple[str, ...]
    folder: Path
    seconds: float
    limit: float

    @property
    def deadline(self) -> float:
        """Seconds after which a directed run is ended."""
        return min(self.limit, FACTOR * self.seconds + EXTRA_SECONDS)


def confirm(
    findings: Mapping[str, Finding], program: Program, *, note: Callable[[str], None] = lambda _words: None
) -> dict[str, DirectedRuns]:
    """Return the directed runs of each possible deadlock, by fingerprint; ``note`` gets a sentence on each."""
    cycles = {key: places for key, finding in findings.items() if (places := places_of(finding))}
    deadlocks = sum(finding.kind is Kind.POSSIBLE_DEADLOCK for finding in findings.values())
    if without := deadlocks - len(cycles):
        note(f"{counted(without, 'possible deadlock')} not run again: no place in C or C++ is known at which to wait")
    if (left := len(cycles) - MOST_FINDINGS) > 0:
        cycles = dict(list(cycles.items())[:MOST_FINDINGS])
        note(f"{counted(left, 'more possible deadlock')} not run again: fix the others first")
    directed = {}
    for number, (key, places) in enumerate(cycles.items(), start=1):
        runs = [_run(program, places, f"{number}-{run + 1}", leader) for run, leader in enumerate(_leaders(places))]
        hang = next((lines for _, lines in runs if lines), ())
        directed[key] = DirectedRuns(outcomes=tuple(outcome for outcome, _ in runs), hang=hang)
        words = ", ".join(outcome.value for outcome, _ in runs)
        note(f"possible deadlock {number} of {len(cycles)} in directed runs: {words}")
    return directed


def _leaders(places: tuple[Place, ...]) -> list[int | None]:
    """Return whose thread is to be at its second lock first, for each run; in the last one, any."""
    leaders: list[int | None] = [*range(len(places)), None]
    return leaders + leaders[: max(0, FEWEST_RUNS - len(leaders))]


def _run(
    program: Program, places: tuple[Place, ...], name: str, leader: int | None
) -> tuple[Directed, tuple[str, ...]]:
    """Run the program once; return the outcome, and who waited for whom if it hung."""
    folder = program.folder / FOLDER / name
    watch = _Standstill(folder=folder, places=places)
    # The companions report of the runs before.
    variables = {name: value for name, value in program.variables.items() if name != FOLDER_VARIABLE}
    execute(
        program.command,
        folder=folder,
        env={**variables, VARIABLE: instruction(places, leader)},
        deadline=program.deadline,
        launcher=program.launcher,
        cwd=program.cwd,
        until=watch.hangs,
    )
    return outcome_of(watch.meetings(), hung=bool(watch.hang)), watch.hang


@dataclass(kw_only=True)
class _Standstill:
    """Looks at the recordings of a directed run now and then, for threads that wait for each other."""

    folder: Path
    places: tuple[Place, ...]
    hang: tuple[str, ...] = ()
    _stuck: frozenset[object] = frozenset()
    _next: float = field(default_factory=time.monotonic)

    def meetings(self) -> list[Meeting]:
        """Return what each process noted."""
        seen = (read_meeting(path.read_bytes()[: 1 << 13], len(self.places)) for path in locks.files(self.folder))
        return [each for each in seen if each]

    def hangs(self) -> bool:
        """Return whether the same threads wait for the same locks of the cycle as at the look before."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + LOOK_SECONDS
        if not any(each.together for each in self.meetings()):
            return False
        stuck = frozenset(
            (path.name, each) for path, trace in locks.now(self.folder) for each in stuck_at(trace, self.places)
        )
        if stuck and stuck == self._stuck:
            self.hang = locks.hang(self.folder).lines or ("the threads wait for each other",)
        self._stuck = stuck
        return bool(self.hang)
