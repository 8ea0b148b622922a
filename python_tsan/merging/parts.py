"""Own what is added up: the parts, each a run of one machine, known by its name. Pure, no I/O.

A merge is a set of parts, and two merges are added up as sets: in any order, in any grouping, and a part that is given
twice counts once. What the parts come to is a function of the set alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.errors import UsageError
from python_tsan.report.model import Report  # noqa: TC001 -- a dataclass's annotations stay readable at run time
from python_tsan.running.account import Account  # noqa: TC001 -- as above

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from python_tsan.render.run import Run

_SHOWN = 60
# 20261123T030645Z-dee43b; of a merge of checks, several of them.
_NAME = re.compile(r"[\w-][\w.+-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramPart:
    """A run of ``run``: its report, and what its verdict rests on."""

    report: Report
    account: Account

    @property
    def name(self) -> str:
        """The name of the run, which no other has."""
        return self.account.run

    @property
    def subject(self) -> Mapping[str, str]:
        """What has to be the same for two parts to be added up, by name."""
        return self.account.subject


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPart:
    """A run of ``verify``."""

    run: Run

    @property
    def name(self) -> str:
        """The name of the run, which no other has."""
        return self.run.id

    @property
    def subject(self) -> Mapping[str, str]:
        """What has to be the same for two parts to be added up, by name."""
        lanes = {}
        for record in self.run.lanes:
            built = record.interpreter
            words = f"CPython {built.version}, key {built.key}, {record.toolchain}" if built else record.skipped
            bindings = "".join(f", {name} {version}" for name, version in sorted(record.bindings.items()))
            lanes[f"{record.lane.value} lane"] = words + bindings + (f", numpy {record.numpy}" if record.numpy else "")
        return lanes


Part = ProgramPart | CheckedPart


def unite(parts: Iterable[tuple[str, Part]]) -> tuple[Part, ...]:
    """Return each part once, in an order that does not depend on the order given. ``parts`` come with their places.

    Raises :class:`UsageError` when they are not all of one subject, or when two that differ bear one name.
    """
    named: dict[str, tuple[str, Part]] = {}
    for place, part in parts:
        _refuse_name(place, part.name)
        first_place, first = named.setdefault(part.name, (place, part))
        if first != part:
            raise UsageError(
                f"{first_place} and {place} both say that they are {part.name}, and differ",
                advice="name the runs as they were left, or folders made by `merge`",
                page="merge",
            )
    united = sorted(named.values(), key=lambda each: _order(each[1]))
    _refuse_mixed(united)
    return tuple(part for _, part in united)


def _refuse_name(place: str, name: str) -> None:
    # The name becomes a folder's, and comes from a file that may be anybody's.
    if not _NAME.fullmatch(name):
        raise UsageError(f"{place}: {name!r} is no name of a run", advice="name runs as they were left", page="merge")


def _order(part: Part) -> tuple[int, str]:
    shard = part.account.shard if isinstance(part, ProgramPart) else None
    return (shard.index if shard else 0, part.name)


def _refuse_mixed(parts: Sequence[tuple[str, Part]]) -> None:
    if not parts:
        raise UsageError("there is nothing to add up", advice="name the folders of runs", page="merge")
    first_place, first = parts[0]
    for place, part in parts[1:]:
        if type(part) is not type(first):
            raise UsageError(
                f"{first_place} and {place} are of different kinds: one is a run of checks, the other of a program",
                advice="add up runs of `run`, or runs of `verify`",
                page="merge",
            )
        told = [
            f"{name}: {_shown(first.subject.get(name))} and {_shown(part.subject.get(name))}"
            for name in sorted({*first.subject, *part.subject})
            if first.subject.get(name) != part.subject.get(name)
        ]
        if told:
            raise UsageError(
                f"{first_place} and {place} are of different subjects: {'; '.join(told)}",
                advice="k of n means something for one program on one interpreter only; `compare` shows others side "
                "by side",
                page="merge",
            )


def _shown(value: str | None) -> str:
    text = value or "none"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
