"""Own what is left of an observation without the races of CPython itself that are known upstream. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.tsan.suppressions import hides

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.checking.model import Observation
    from python_tsan.tsan.suppressions import Suppression


def without_known(observation: Observation, known: Sequence[Suppression]) -> Observation:
    """Move to ``known`` the findings that one of these suppressions would have hidden. Nothing of it is lost."""
    aside = tuple(each for each in observation.findings if any(hides(entry, each) for entry in known))
    left = tuple(each for each in observation.findings if each not in aside)
    return replace(observation, findings=left, known=(*observation.known, *aside))


def told(observations: Sequence[Observation], known: Sequence[Suppression]) -> Iterator[str]:
    """Say of each suppression in how many runs something was set aside for it, and where upstream tells of it."""
    for entry in known:
        times = sum(any(hides(entry, each) for each in one.known) for one in observations)
        if times:
            yield f"set aside in {times} of {len(observations)} runs, known upstream: {entry} ({entry.reason})"
