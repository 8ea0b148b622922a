"""Read the list of the program of deadlocks: embedders that are run under the recorder of locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.errors import BuildError
from python_tsan.expectation import Expectation, ExpectedFinding, Lane, Outcome
from python_tsan.harness.registry import Scenario

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "python_tsan_deadlocks"
GROUP = "deadlocks"
SOURCE = "native/deadlocks/cases.cpp"
# If one of these does not show what it must, nothing is believed of the others.
CANARY = (f"{GROUP}_mutex_inverted", f"{GROUP}_mutex_released")
# What a scenario needs that is to be recorded.
RECORDER = "lock_recorder"
# The kind of finding as it is spelled in a result; one place may be seen by two threads.
_FOUND = Expectation(outcome=Outcome.RACE, findings=(ExpectedFinding(kind="possible deadlock", several=True),))
_EXPECTED = {"deadlock": _FOUND, "nothing": Expectation(outcome=Outcome.CLEAN)}
_DEADLINE_SECONDS = 60.0


def read_cases(text: str, *, source: Path) -> tuple[Scenario, ...]:
    """Return the scenarios of ``text``, which ``source`` printed without arguments, in its order.

    Raises ``BuildError`` when it is no such list.
    """
    rows = [line.split("\t") for line in text.splitlines()]
    names = {row[0] for row in rows}
    wrong = [row for row in rows if len(row) != 4 or row[1] not in _EXPECTED or row[2] not in names]  # noqa: PLR2004
    if wrong or not rows:
        reason = f"a line that was not understood: {wrong[0]}" if wrong else "no case"
        raise BuildError(f"The program of deadlocks was built, but its list has {reason}", evidence=source)
    return tuple(
        Scenario(
            name=f"{GROUP}_{name}",
            group=GROUP,
            summary=summary,
            file=SOURCE,
            lanes=(Lane.FAST, Lane.FULL),
            needs=("gil", RECORDER),
            deadline_seconds=_DEADLINE_SECONDS,
            repeats=1,
            twin=f"{GROUP}_{twin}",
            case="",
            expect=_EXPECTED[found],
            program=PROGRAM,
        )
        for name, found, twin, summary in rows
    )


def case_of(scenario: Scenario) -> str:
    """Return the name by which the program knows a scenario."""
    return scenario.name.removeprefix(f"{GROUP}_")
