"""Choose the sentences of ``meanings.toml`` that say what a difference means for a migration. No I/O."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.comparison.model import Axis, Change, Meaning, Seen

if TYPE_CHECKING:
    from collections.abc import Iterable

ANY = "*"


class Rule(Struct, frozen=True, kw_only=True):
    """One table of ``meanings.toml``."""

    axis: Axis
    before: str
    after: str
    rows: tuple[str, ...]
    says: str
    do: str
    link: str = ""

    def fits(self, axis: Axis, before: Seen, after: Seen, row: str) -> bool:
        """Return whether this rule is about such a change."""
        return (
            self.axis is axis
            and _is_one(before, self.before)
            and _is_one(after, self.after)
            and any(fnmatchcase(row.lower(), pattern) for pattern in self.rows)
        )


def _is_one(seen: Seen, words: str) -> bool:
    return words == ANY or seen.name.lower() in words.split("|")


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules in order; the first that fits is used."""
    table = tomllib.loads(Path(__file__).with_name("meanings.toml").read_text(encoding="utf-8"))
    return tuple(
        Rule(
            axis=Axis[entry["axis"].upper()],
            before=entry["before"],
            after=entry["after"],
            rows=tuple(entry["rows"]),
            says=" ".join(entry["says"].split()),
            do=" ".join(entry["do"].split()),
            link=entry.get("link", ""),
        )
        for entry in table["meaning"]
    )


def rule_for(axis: Axis, before: Seen, after: Seen, row: str) -> Rule:
    """Return the rule for a change. Each change has one, by the last table of its axis."""
    return next(rule for rule in rules() if rule.fits(axis, before, after, row))


def meanings_of(changes: Iterable[Change]) -> tuple[Meaning, ...]:
    """Return what the changes mean; those with one sentence are together."""
    together: dict[tuple[Rule, str, str, Seen, Seen], list[str]] = {}
    for change in changes:
        rule = rule_for(change.axis, change.before, change.after, change.row)
        key = (rule, change.old, change.new, change.before, change.after)
        together.setdefault(key, []).append(change.row)
    order = list(Axis)
    found = [
        Meaning(
            axis=rule.axis,
            old=old,
            new=new,
            before=before,
            after=after,
            rows=tuple(dict.fromkeys(rows)),
            says=rule.says,
            do=rule.do,
            link=rule.link,
        )
        for (rule, old, new, before, after), rows in together.items()
    ]
    return tuple(sorted(found, key=lambda each: (order.index(each.axis), each.old, each.new)))
