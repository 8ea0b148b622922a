"""Interpret what a row reported: its outcome in one word, which threads lost, and how. Pure, no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from python_tsan.imports.confirm import outcome_of
from python_tsan.imports.outcomes import ImportOutcome, find_range
from python_tsan.version import dotted
from tools.import_table.mitigation_effects import expected_outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.imports.outcomes import Range


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Build:
    """What distinguishes interpreters here: the exact version, whether it has no GIL, whether it runs under TSan.

    ``text`` names the version where its numbers do not, such as ``3.15.0rc1``.
    """

    version: tuple[int, ...]
    free_threaded: bool = False
    sanitized: bool = False
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        version = self.text or dotted(self.version)
        return version + ("t" if self.free_threaded else "") + (" TSan" if self.sanitized else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One row as one interpreter ran it.

    ``mitigation`` is ``none`` for the row by itself. ``losers`` are the threads that failed, in order, and ``error``
    the first one's ``Type: text``. ``waits`` has a line for each thread of a run that hangs: what it waits for, and who
    has that. ``outcome`` is None when the schedule was not reached, so that the run says nothing.
    """

    row: str
    variant: str
    mitigation: str
    build: Build
    outcome: ImportOutcome | None
    losers: tuple[str, ...] = ()
    error: str = ""
    waits: tuple[str, ...] = ()

    @property
    def case(self) -> str:
        """The row's or variant's key in the outcome table."""
        return self.row if self.variant == "hazard" else f"{self.row}.{self.variant}"


def read_report(report: Mapping[str, Any], build: Build) -> CaseResult:
    """Read the JSON object that ``import_cases`` prints on an interpreter of that build."""
    errors: Mapping[str, Mapping[str, str]] = report["errors"]
    losers = tuple(sorted(errors))
    return CaseResult(
        row=report["row"],
        variant=report["variant"],
        mitigation=report["mitigation"],
        build=build,
        outcome=outcome_of(report),
        losers=losers,
        error=f"{errors[losers[0]]['type']}: {errors[losers[0]]['text']}" if losers else "",
        waits=tuple(report["waits"]),
    )


def disagreement(result: CaseResult) -> str:
    """Return how a run differs from the tables, or an empty string when it agrees or they are silent."""
    build = result.build
    if result.mitigation != "none":
        expected = expected_outcome(result.mitigation, result.row, build.version, free_threaded=build.free_threaded)
        return "" if expected in (None, result.outcome) else f"expected {expected.value}, saw {_word(result)}"
    found = find_range(result.case, build.version, free_threaded=build.free_threaded)
    return "" if found is None else _difference(result, found)


def _word(result: CaseResult) -> str:
    return (
        result.error or "no schedule" if result.outcome is None else f"{result.outcome.value} {result.error}".rstrip()
    )


def _difference(result: CaseResult, expected: Range) -> str:
    if result.outcome is None:
        return result.error or "the schedule was not reached"
    if result.outcome is not expected.outcome:
        return f"expected {expected.outcome.value}, saw {_word(result)}"
    if result.losers != expected.threads:
        return f"expected {' '.join(expected.threads)} to lose, but it was {' '.join(result.losers)}"
    if not re.search(expected.error, result.error):
        return f"expected an error like {expected.error!r}, got {result.error}"
    if result.waits != expected.waits:
        return f"expected the threads to wait like {expected.waits}, but saw {result.waits}"
    return ""
