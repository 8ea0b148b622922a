"""Own what is known to fail in CPython's own tests, and what that leaves of a verdict; leave running them to others.

Ratchets turn both ways: what fails and is not known is a failure, and so is what is known to fail always and passes.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from python_tsan.checking.matching import describe_finding
from python_tsan.checking.model import TSAN_EXIT_CODE, Status
from python_tsan.tsan.suppressions import hides, parse_suppressions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.checking.model import Observation, Verdict
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.tsan.finding import Finding

DATA_FILE = "own_tests.toml"


class Seen(Enum):
    """How often a known failure shows. What is left out is not run at all: it would hang, or take hours."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
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

    def concerns(self, interpreter: Interpreter) -> bool:
        """Tell whether it is known of this version and kind of build."""
        minor = interpreter.version.rpartition(".")[0]
        known_of = minor in self.releases or interpreter.version in self.releases
        return known_of and self.free_threaded in (None, interpreter.free_threaded)

    def is_case(self, name: str) -> bool:
        """Tell whether a failing case is this one."""
        return bool(self.case) and fnmatchcase(name, self.case)

    def is_race(self, finding: Finding) -> bool:
        """Tell whether a finding is this race."""
        return any(hides(entry, finding) for entry in parse_suppressions(self.race).entries)


@cache
def known_failures() -> tuple[Known, ...]:
    """Return what is known of CPython's own tests (``own_tests.toml``)."""
    table = tomllib.loads(files(__package__).joinpath(DATA_FILE).read_text(encoding="utf-8"))
    return tuple(_known(entry) for entry in table.get("known", ()))


def _known(entry: dict[str, object]) -> Known:
    releases, seen = entry["releases"], entry["seen"]
    return Known(**{**entry, "releases": tuple(releases), "seen": Seen(seen)})  # type: ignore[arg-type]


def known_of(test: str, interpreter: Interpreter) -> tuple[Known, ...]:
    """Return what is known of one test in this interpreter."""
    return tuple(each for each in known_failures() if each.test == test and each.concerns(interpreter))


def less_what_is_known(verdict: Verdict, failed: Sequence[str], known: Sequence[Known]) -> Verdict:
    """Return the verdict on what is left once the known failures are taken away; ``failed`` are the failing cases.

    A run that left a doubt, hung or died is no better for it: what it would have shown is not known.
    """
    told = [f"left out {_told(each)}" for each in known if each.seen is Seen.LEFT_OUT]
    observation = next(iter(verdict.observations), None)
    if observation is None or not _is_whole(verdict, observation):
        return _with(verdict, verdict.reason, *told)
    shown = [each for each in known if _shows(each, failed, observation)]
    told += [f"known upstream: {_told(each)}" for each in shown]
    if new := next(_new(observation, failed, known), ""):
        return _with(replace(verdict, status=Status.FAILED, met=0), f"not known upstream: {new}", *told)
    # A code of failure that no case explains is not excused by a race that is known.
    unexplained = observation.exit_code not in {0, TSAN_EXIT_CODE} and not failed
    if verdict.status is Status.FAILED and (not shown or unexplained):
        return _with(verdict, verdict.reason, *told)
    gone = [each for each in known if each.seen is Seen.ALWAYS and each not in shown]
    if gone:
        reason = f"no longer fails, so take it out of {DATA_FILE}: {_told(gone[0])}"
        return _with(replace(verdict, status=Status.FAILED, met=0), reason, *told)
    return _with(replace(verdict, status=Status.PASSED, met=1), *told) if shown else _with(verdict, *told)


def _is_whole(verdict: Verdict, observation: Observation) -> bool:
    """Tell whether the test ran to its end, so that what it did not show was not there."""
    died = observation.timed_out or observation.crashes or observation.exit_code < 0
    return verdict.status in {Status.PASSED, Status.FAILED} and not died


def _shows(known: Known, failed: Sequence[str], observation: Observation) -> bool:
    return any(map(known.is_case, failed)) or any(map(known.is_race, observation.findings))


def _new(observation: Observation, failed: Sequence[str], known: Sequence[Known]) -> Iterator[str]:
    """Describe each finding and each failing case that nothing is known of."""
    for finding in observation.findings:
        if not any(each.is_race(finding) for each in known):
            yield describe_finding(finding)
    for case in failed:
        if not any(each.is_case(case) for each in known):
            yield f"{case} failed"


def _told(known: Known) -> str:
    return f"{known.what}: {known.reason} ({known.issue})"


def _with(verdict: Verdict, *reasons: str) -> Verdict:
    return replace(verdict, reason="; ".join(filter(None, reasons)))
