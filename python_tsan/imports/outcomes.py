"""Read ``outcomes.toml``: what concurrent imports do in each Python version; leave running them to others."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, assert_never

from python_tsan.errors import SubjectError
from python_tsan.expectation import Expectation, Outcome
from python_tsan.imports.cases.import_cases.rows import row
from python_tsan.imports.cases.import_cases.schedules import HAZARD
from python_tsan.version import numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from python_tsan.version import Numbers

FIELDS = frozenset({"since", "before", "outcome", "threads", "error", "waits", "free_threaded"})


class ImportOutcome(Enum):
    """What a row of the table ends in."""

    OK = "ok"
    ERROR = "error"  # _DeadlockError, a RuntimeError
    PARTIAL = "partial"  # a partially initialized module was handed out
    HANG = "hang"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What one row does in the versions from ``since`` (included) to ``before`` (excluded; open if None).

    ``threads`` are those that lose, in order of name, and ``error`` is a regular expression for the first one's
    ``Type: text``. ``waits`` are the edges of a hang's wait-for graph. ``free_threaded`` restricts the
    range to one kind of build; None is both.
    """

    since: Numbers
    before: Numbers | None = None
    outcome: ImportOutcome
    threads: tuple[str, ...] = ()
    error: str = ""
    waits: tuple[str, ...] = ()
    free_threaded: bool | None = None

    def covers(self, version: Numbers, *, free_threaded: bool) -> bool:
        """Return whether this range speaks of that version and kind of build."""
        if self.free_threaded is not None and self.free_threaded is not free_threaded:
            return False
        return self.since <= version and (self.before is None or version < self.before)


@cache
def outcome_table() -> dict[str, tuple[Range, ...]]:
    """Return the ranges of every case: ``cold_window`` for the hazard, ``cold_window.preimport`` for a variant."""
    text = files("python_tsan.imports").joinpath("outcomes.toml").read_text(encoding="utf-8")
    return dict(read_table(tomllib.loads(text)))


def read_table(data: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Range, ...]]]:
    """Yield each case of a parsed table. Raises ``ValueError`` for a field that does not belong there."""
    for name, entry in data.items():
        yield name, tuple(_range(item) for item in entry["ranges"])
        for variant, items in entry.get("variants", {}).items():
            yield f"{name}.{variant}", tuple(_range(item) for item in items)


def _range(item: Mapping[str, Any]) -> Range:
    unknown = item.keys() - FIELDS
    if unknown:
        raise ValueError(f"unknown field {min(unknown)!r} in {dict(item)}")
    return Range(
        since=numbers_of(item["since"]),
        before=numbers_of(item["before"]) if "before" in item else None,
        outcome=ImportOutcome(item["outcome"]),
        threads=tuple(item.get("threads", ())),
        error=item.get("error", ""),
        waits=tuple(item.get("waits", ())),
        free_threaded=item.get("free_threaded"),
    )


def find_range(case: str, version: Numbers, *, free_threaded: bool = False) -> Range | None:
    """Return what ``case`` does in an exact release, or None where it has not been measured.

    Raises SubjectError for a case that the table does not have.
    """
    table = outcome_table()
    if case not in table:
        raise SubjectError(f"the table of import outcomes has no case {case!r}", advice=f"It has: {', '.join(table)}.")
    return next((each for each in table[case] if each.covers(version, free_threaded=free_threaded)), None)


def expectation_of(case: str, version: Numbers, *, free_threaded: bool = False) -> Expectation | None:
    """Return what the scenario of ``case`` must show under an exact release, or None where it is not known.

    ``values`` hold the number of threads that must end (``finished``) and the names of those that lose (``lost``),
    so that a second, unexpected loser does not pass unseen. Raises SubjectError for an unknown case.
    """
    found = find_range(case, version, free_threaded=free_threaded)
    if found is None:
        return None
    name, _, variant = case.partition(".")
    values = {"finished": len(row(name).variant(variant or HAZARD).threads), "lost": " ".join(found.threads)}
    match found.outcome:
        case ImportOutcome.OK:
            return Expectation(outcome=Outcome.CLEAN, values=values)
        case ImportOutcome.ERROR | ImportOutcome.PARTIAL:
            return Expectation(outcome=Outcome.ERROR, error=found.error, losing_thread=found.threads[0], values=values)
        case ImportOutcome.HANG:
            return Expectation(outcome=Outcome.HANG, waits=found.waits)
        case _ as never:
            assert_never(never)
