"""Own what is left of an observation without the races of CPython itself that are known upstream. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.checking.model import KnownRace
from python_tsan.tsan.suppressions import hides

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.checking.model import Observation
    from python_tsan.tsan.finding import Finding
    from python_tsan.tsan.suppressions import Suppression


def without_known(observation: Observation, known: Sequence[Suppression]) -> Observation:
    """Move to ``known`` the findings that one of these suppressions would have hidden. Nothing of it is lost."""
    found = [(each, _race(each, known)) for each in observation.findings]
    return replace(
        observation,
        findings=tuple(finding for finding, race in found if race is None),
        known=(*observation.known, *(race for _, race in found if race)),
    )


def _race(finding: Finding, known: Sequence[Suppression]) -> KnownRace | None:
    entry = next((each for each in known if hides(each, finding)), None)
    return KnownRace(finding=finding, suppression=str(entry), reason=entry.reason) if entry else None


def set_aside(observations: Sequence[Observation]) -> Iterator[str]:
    """Say of each suppression in how many runs something was set aside for it, and where upstream tells of it."""
    times = Counter(entry for one in observations for entry in {(each.suppression, each.reason) for each in one.known})
    for (suppression, reason), runs in sorted(times.items()):
        yield f"set aside in {runs} of {len(observations)} runs, known upstream: {suppression} ({reason})"
