"""Read ``mitigations.toml``: what each mitigation does to each row and why; leave running them to ``measure``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, assert_never

from python_tsan.imports.outcomes import ImportOutcome, find_range
from python_tsan.version import Numbers, numbers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELDS = frozenset({"rows", "effect", "why", "before", "gil"})


class Effect(Enum):
    """What a mitigation does to a row."""

    FIXES = "fixes"
    FIXES_ERRORS = "fixes_errors"  # a _DeadlockError goes away, a partially initialized module stays
    LEAVES = "leaves"
    HARMS = "harms"  # it hangs, no matter what it did by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One effect of one mitigation on some rows. It ends with release ``before``; ``gil``: only builds with a GIL."""

    rows: tuple[str, ...]
    effect: Effect
    why: str
    before: Numbers | None = None
    gil: bool = False


@cache
def effects() -> dict[str, tuple[Reason, ...]]:
    """Return the effects of every mitigation, by its name."""
    text = files("tools.import_table").joinpath("mitigations.toml").read_text(encoding="utf-8")
    return {mitigation: tuple(read_reason(item) for item in items) for mitigation, items in tomllib.loads(text).items()}


def read_reason(item: Mapping[str, Any]) -> Reason:
    """Read one table of the file. Raises ``ValueError`` for a field that does not belong there."""
    unknown = item.keys() - FIELDS
    if unknown:
        raise ValueError(f"unknown field {min(unknown)!r} in {dict(item)}")
    return Reason(
        rows=tuple(item["rows"]),
        effect=Effect(item["effect"]),
        why=item["why"],
        before=numbers_of(item["before"]) if "before" in item else None,
        gil=item.get("gil", False),
    )


def expected_outcome(mitigation: str, row: str, version: Numbers, *, free_threaded: bool) -> ImportOutcome | None:
    """Return what ``row`` ends in under ``mitigation``, or None where the table is silent. Raises KeyError."""
    found = find_range(row, version, free_threaded=free_threaded)
    reason = next((each for each in effects()[mitigation] if row in each.rows), None)
    if reason is None:
        raise KeyError((mitigation, row))
    if found is None or (reason.gil and free_threaded):
        return None
    gone = reason.before is not None and version >= reason.before
    return _after(Effect.LEAVES if gone else reason.effect, found.outcome)


def _after(effect: Effect, without: ImportOutcome) -> ImportOutcome:
    match effect:
        case Effect.FIXES:
            return ImportOutcome.OK
        case Effect.FIXES_ERRORS:
            return ImportOutcome.OK if without is ImportOutcome.ERROR else without
        case Effect.LEAVES:
            return without
        case Effect.HARMS:
            return ImportOutcome.HANG
        case _ as never:
            assert_never(never)
