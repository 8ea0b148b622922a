"""Run a lane's scenarios, a few at a time and the detector's canary first; the checks judge them.

Subjects are independent processes, so they run ahead of the checks that ask for them, as many at a time as there are
cores. Those that are expected to hang cost no processor time and get places of their own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from python_tsan.checking.deadlines import REPEAT_FACTOR, disturbance
from python_tsan.checking.execution import observe
from python_tsan.detect import locks
from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.harness.cases import RECORDER, case_of
from python_tsan.process import ChildPool, in_order_of_end, preloading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from pathlib import Path

    from python_tsan.harness.registry import Scenario
    from python_tsan.result.model import Observation
    from python_tsan.tsan.suppressions import Suppression

# Hanging subjects sleep; this many may do so at once, in addition to those that compute.
HANGING_AT_ONCE = 4
# TSan may miss a race (google/sanitizers #1576), so one run says little of how reliably it is found.
RACE_RUNS = 3
# The harness's own deadline for a scenario that ends.
ENDING_SECONDS = 60.0
# Needs that are not names of packages, in words.
_NEEDS = {
    "gil": "a GIL",
    "free_threading": "a free-threaded build",
    "own_gil": "sub-interpreters with a GIL of their own, from 3.12",
    RECORDER: "a compiler for the lock recorder",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSetup:
    """What the checks of one lane run on: the harness with its scenarios, and how a subject is started.

    ``available`` is what scenarios may need (``numpy``, ``gil``, ``free_threading``), ``preloads`` maps a need to the
    library that is preloaded for it; ``recording`` are the variables that preload the lock recorder, empty without it.
    ``expected`` gives a scenario's expectation on this interpreter, None where it is not known. ``repeats`` overrides
    every scenario's own number of runs, ``packages`` is put on every subject's path,
    ``known_races`` is what is known upstream of races inside the Python.
    """

    lane: Lane
    executable: Path
    scenarios: tuple[Scenario, ...]
    folder: Path
    variables: dict[str, str]
    expected: Callable[[Scenario], Expectation | None]
    available: frozenset[str] = frozenset()
    launcher: tuple[str, ...] = ()
    jobs: int = 1
    repeats: int | None = None
    preloads: dict[str, Path] = field(default_factory=dict)
    packages: Path | None = None
    known_races: tuple[Suppression, ...] = ()
    recording: dict[str, str] = field(default_factory=dict)

    def scenario(self, name: str) -> Scenario:
        """Return the scenario ``name``; ``KeyError`` if the harness has none."""
        return next(scenario for scenario in self.scenarios if scenario.name == name)

    def missing(self, scenario: Scenario) -> str:
        """Say what the scenario needs and is not there, or nothing."""
        measured = "" if self.expected(scenario) else "what this Python version does here has not been measured"
        return self.lacks(scenario.needs) or measured

    def lacks(self, needs: Iterable[str]) -> str:
        """Say which of these needs are not there, or nothing."""
        lacking = [_NEEDS.get(need, need) for need in needs if need not in self.available and need not in self.preloads]
        return f"needs {', '.join(lacking)}" if lacking else ""

    def expectation(self, scenario: Scenario) -> Expectation:
        """Return what the scenario must show here. ``KeyError`` where that is not known; see :meth:`missing`."""
        expectation = self.expected(scenario)
        if expectation is None:
            raise KeyError(scenario.name)
        return expectation

    def deadline_of(self, scenario: Scenario) -> float:
        """Return the seconds after which a run is ended: a short deadline is for those who are to hang, and here do."""
        ends = self.expectation(scenario).outcome is not Outcome.HANG
        if ends and scenario.expect.outcome is Outcome.HANG:
            return max(scenario.deadline_seconds, ENDING_SECONDS)
        return scenario.deadline_seconds

    def covers(self, scenario: Scenario) -> bool:
        """Return whether the scenario belongs to this lane."""
        return self.lane in scenario.lanes

    def runs_of(self, scenario: Scenario) -> int:
        """Return how many times the scenario is run."""
        # A recorder misses nothing by chance.
        races = self.expectation(scenario).outcome is Outcome.RACE and RECORDER not in scenario.needs
        return self.repeats or max(scenario.repeats, RACE_RUNS if races else 1)


class Subjects:
    """The observations of a lane's scenarios, made on threads of their own. Close it, also when interrupted."""

    def __init__(self, setup: LaneSetup) -> None:
        self._setup = setup
        self._computing = ChildPool(setup.jobs)
        self._hanging = ChildPool(HANGING_AT_ONCE)
        self._futures: dict[str, list[Future[Observation]]] = {}
        self.slowness = 1.0  # every deadline is multiplied by it

    def start(self, names: Iterable[str]) -> None:
        """Queue the runs of these scenarios; those that are queued already are not queued again."""
        for name in names:
            if name not in self._futures:
                scenario = self._setup.scenario(name)
                hangs = self._setup.expectation(scenario).outcome is Outcome.HANG
                pool = self._hanging if hangs else self._computing
                runs = range(1, self._setup.runs_of(scenario) + 1)
                self._futures[name] = [pool.submit(partial(self._run, scenario), number) for number in runs]

    def observations(self, name: str) -> tuple[Observation, ...]:
        """Return what every run of the scenario showed, waiting for them if need be."""
        self.start([name])
        futures = self._futures[name]
        for future in in_order_of_end(futures):
            future.result()  # one that failed ends the wait for the others
        return tuple(future.result() for future in futures)

    def close(self) -> None:
        """End every subject that still runs, and start no more."""
        try:
            self._computing.stop()
        finally:
            self._hanging.stop()

    def _run(self, scenario: Scenario, number: int) -> Observation:
        """Run the scenario, and once more if a busy machine disturbed it; the observation says so."""
        deadline = self._setup.deadline_of(scenario) * self.slowness
        first = self._observe(scenario, str(number), deadline)
        expectation = self._setup.expectation(scenario)
        why = disturbance(expectation, first, load=os.getloadavg()[0], cores=os.cpu_count() or 1)
        if not why:
            return first
        return replace(self._observe(scenario, f"{number}-again", deadline * REPEAT_FACTOR), disturbed=why)

    def _observe(self, scenario: Scenario, folder: str, deadline: float) -> Observation:
        setup = self._setup
        variables = self._variables(scenario)
        return observe(
            self._command(scenario),
            folder=setup.folder / scenario.name / folder,
            env=variables,
            deadline=deadline,
            launcher=(*setup.launcher, *locks.launcher_of(variables)),
            waits=setup.expectation(scenario).waits,
            recorded=RECORDER in scenario.needs,
        )

    def _command(self, scenario: Scenario) -> list[str | Path]:
        setup = self._setup
        if scenario.program:
            return [setup.executable.parent / scenario.program, case_of(scenario)]
        packages = ("--packages", str(setup.packages)) if setup.packages else ()
        return [setup.executable, "run", scenario.name, "--report", "{report}", *packages]

    def _variables(self, scenario: Scenario) -> dict[str, str]:
        setup = self._setup
        if RECORDER in scenario.needs:
            # In the full lane, the runtime reports cycles of mutexes too; here the recorder is checked.
            options = f"{setup.variables.get('TSAN_OPTIONS', '')} detect_deadlocks=0".strip()
            return setup.variables | setup.recording | {"TSAN_OPTIONS": options}
        preloads = [setup.preloads[need] for need in scenario.needs if need in setup.preloads]
        return setup.variables | (preloading(preloads, setup.variables) if preloads else {})
