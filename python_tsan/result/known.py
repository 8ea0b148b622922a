"""What is known upstream, and what it leaves of an observation or a verdict: races in CPython, failures of its tests.

Pure. Ratchets turn both ways: a failure that is not known fails, and so does one that is known to fail always and
passes.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from python_tsan.result.matching import describe_finding
from python_tsan.result.model import TSAN_EXIT_CODE, KnownRace, Observation, Status, Verdict
from python_tsan.tsan.suppressions import hides, parse_suppressions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.tsan.finding import Finding
    from python_tsan.tsan.suppressions import Suppression

DATA_FILE = "own_tests.toml"


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
    """Say of each suppression in how many runs something was set aside for it, and where upstream describes it."""
    times = Counter(entry for one in observations for entry in {(each.suppression, each.reason) for each in one.known})
    for (suppression, reason), runs in sorted(times.items()):
        yield f"set aside in {runs} of {len(observations)} runs, known upstream: {suppression} ({reason})"


class Seen(Enum):
    """How often a known failure shows. What is left out is not run at all: it would hang, or take hours."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"
    LEFT_OUT = "left out"


class KnownFailure(Struct, frozen=True, kw_only=True):
    """One thing in CPython's own tests that fails under ThreadSanitizer by upstream's own account.

    ``case`` is a pattern for the full name of a failing case, ``race`` a suppression that would hide a finding, such as
    ``race_top:f``; one of them is given. ``releases`` are the minors or full versions that it is known of,
    ``free_threaded`` the kind of build (None for both), ``issue`` upstream's account of it, or the page of ours that
    says why a case cannot pass where the tests lie.
    """

    test: str
    issue: str
    reason: str
    releases: tuple[str, ...]
    seen: Seen
    case: str = ""
    race: str = ""
    free_threaded: bool | None = None

    @property
    def what(self) -> str:
        """The case or the race, as it is written down."""
        return self.case or self.race

    def concerns(self, version: str, *, free_threaded: bool) -> bool:
        """Return whether it is known of this version and kind of build."""
        known_of = version.rpartition(".")[0] in self.releases or version in self.releases
        return known_of and self.free_threaded in (None, free_threaded)

    def is_case(self, name: str) -> bool:
        """Return whether a failing case is this one."""
        return bool(self.case) and fnmatchcase(name, self.case)

    def is_race(self, finding: Finding) -> bool:
        """Return whether a finding is this race."""
        return any(hides(entry, finding) for entry in parse_suppressions(self.race).entries)


def less_what_is_known(verdict: Verdict, failed: Sequence[str], known: Sequence[KnownFailure]) -> Verdict:
    """Return the verdict on what is left once the known failures are taken away; ``failed`` are the failing cases.

    A run that left a doubt, hung or died is no better for it: what it would have shown is not known.
    """
    words = [f"left out {_described(each)}" for each in known if each.seen is Seen.LEFT_OUT]
    observation = next(iter(verdict.observations), None)
    if observation is None or not _is_whole(verdict, observation):
        return _with(verdict, verdict.reason, *words)
    shown = [each for each in known if any(map(each.is_case, failed)) or any(map(each.is_race, observation.findings))]
    words += [f"known upstream: {_described(each)}" for each in shown]
    if new := next(_new(observation, failed, known), ""):
        return _with(replace(verdict, status=Status.FAILED, met=0), f"not known upstream: {new}", *words)
    # A code of failure that no case explains is not excused by a race that is known.
    unexplained = observation.exit_code not in {0, TSAN_EXIT_CODE} and not failed
    if verdict.status is Status.FAILED and (not shown or unexplained):
        return _with(verdict, verdict.reason, *words)
    gone = [each for each in known if each.seen is Seen.ALWAYS and each not in shown]
    if gone:
        reason = f"no longer fails, so take it out of {DATA_FILE}: {_described(gone[0])}"
        return _with(replace(verdict, status=Status.FAILED, met=0), reason, *words)
    return _with(replace(verdict, status=Status.PASSED, met=1), *words)


def _is_whole(verdict: Verdict, observation: Observation) -> bool:
    """Return whether the test ran to its end, so that what it did not show was not there."""
    died = observation.timed_out or observation.crashes or observation.exit_code < 0
    return verdict.status in {Status.PASSED, Status.FAILED} and not died


def _new(observation: Observation, failed: Sequence[str], known: Sequence[KnownFailure]) -> Iterator[str]:
    """Describe each finding and each failing case that nothing is known of."""
    for finding in observation.findings:
        if not any(each.is_race(finding) for each in known):
            yield describe_finding(finding)
    for case in failed:
        if not any(each.is_case(case) for each in known):
            yield f"{case} failed"


def _described(known: KnownFailure) -> str:
    return f"{known.what}: {known.reason} ({known.issue})"


def _with(verdict: Verdict, *reasons: str) -> Verdict:
    return replace(verdict, reason="; ".join(filter(None, reasons)))
