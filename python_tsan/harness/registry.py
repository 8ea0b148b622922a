"""Read the list of scenarios that the harness prints; :mod:`python_tsan.checking` runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from python_tsan.errors import BuildError
from python_tsan.expectation import Expectation, Lane, Outcome
from python_tsan.plain_text import counted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One behaviour that the harness can show, and what it must show.

    ``file`` is the source's path in the repository. ``needs`` are packages, or ``"gil"`` for a build that has one.
    ``repeats`` is the number of runs per verify, ``twin`` the scenario with the opposite outcome (maybe none). Where
    ``case`` is not empty it names the row of ``python_tsan/imports/outcomes.toml`` that holds the expectation by
    Python version, and ``expect`` is not to be used. ``expect_free_threaded`` replaces ``expect`` on a build without
    the GIL; it is None where both kinds of build must show the same. ``program`` is the one that shows it, empty for
    the harness itself.
    """

    name: str
    group: str
    summary: str
    file: str
    lanes: tuple[Lane, ...]
    needs: tuple[str, ...]
    deadline_seconds: float
    repeats: int
    twin: str
    case: str
    expect: Expectation
    expect_free_threaded: Expectation | None = None
    program: str = ""

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What it must show on one kind of build or another."""
        return (self.expect, *((self.expect_free_threaded,) if self.expect_free_threaded else ()))


def read_registry(text: str | bytes, *, source: Path) -> tuple[Scenario, ...]:
    """Return the scenarios of ``text``, which ``source`` printed for ``--list=json``, sorted by name.

    Raises ``BuildError`` when it is not such a list, or when the list contradicts itself.
    """
    try:
        found = msgspec.json.decode(text, type=tuple[Scenario, ...])
    except msgspec.MsgspecError as error:
        raise _unusable(f"its list of scenarios does not have the agreed shape: {error}", source) from error
    contradictions = tuple(_contradictions(found))
    if contradictions:
        raise _unusable("; ".join(contradictions), source)
    return tuple(sorted(found, key=lambda scenario: scenario.name))


def _contradictions(scenarios: Iterable[Scenario]) -> Iterable[str]:
    """Yield what the C++ compiler cannot see: names that clash or lead nowhere, expectations that expect nothing."""
    names: set[str] = set()
    listed = tuple(scenarios)
    known = {scenario.name for scenario in listed}
    if not listed:
        yield "it lists no scenario"
    for scenario in listed:
        if scenario.name in names:
            yield f"two scenarios are named {scenario.name!r}"
        names.add(scenario.name)
        if scenario.twin and scenario.twin not in known:
            yield f"{scenario.name!r} has the twin {scenario.twin!r}, which is not listed"
        for expected in scenario.expectations:
            if (expected.outcome is Outcome.RACE) != bool(expected.findings):
                yield (
                    f"{scenario.name!r} expects the outcome {expected.outcome.value!r} "
                    f"with {counted(len(expected.findings), 'finding')}"
                )
        if scenario.repeats < 1 or scenario.deadline_seconds <= 0 or not scenario.lanes:
            yield f"{scenario.name!r} would never be run: repeats, deadline_seconds or lanes is empty"


def _unusable(reason: str, source: Path) -> BuildError:
    return BuildError(
        f"The harness was built, but {reason}.",
        evidence=source,
        advice="Sources in native/ and this package must be of one version; build both from one checkout.",
    )
