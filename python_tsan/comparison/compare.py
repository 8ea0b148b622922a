"""Compare runs: find the rows that differ, and the single step that makes each difference. No I/O.

A difference is put down to a step only where two runs are alike in all else, so that nothing else can have made it.
Runs of one configuration that differ among themselves show that luck decides; then no step is blamed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from python_tsan import __version__
from python_tsan.binding import Library
from python_tsan.comparison.meaning import meanings_of
from python_tsan.comparison.model import (
    Axis,
    Cell,
    Chance,
    Change,
    Column,
    Comparison,
    Configuration,
    Row,
    Seen,
    Unexplained,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Which numpy is installed follows from these: for some of them there is no wheel of the version that others have.
_DECIDE_NUMPY = frozenset({Axis.PYTHON, Axis.THREADING, Axis.LANE})
_MIGRATION = tuple(library.value for library in Library)
_NUMBERS = re.compile(r"(\d+)")


class Step(Struct, frozen=True, kw_only=True):
    """Two configurations that differ in one respect, and the columns that have them, counted from 0."""

    axis: Axis
    old: tuple[int, ...]
    new: tuple[int, ...]
    old_value: str
    new_value: str


def compare(
    columns: Sequence[Column], rows: Iterable[Row], *, unreadable: tuple[str, ...] = (), notes: tuple[str, ...] = ()
) -> Comparison:
    """Return what differs between ``columns``, in their order made canonical, and what each difference comes from."""
    ordered = tuple(sorted(columns, key=lambda column: (*_order(column.configuration), column.run, column.file)))
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row.id, row)
    kept = tuple(first.values())
    configurations = [column.configuration for column in ordered]
    alike: dict[Configuration, list[int]] = defaultdict(list)
    for index, configuration in enumerate(configurations):
        alike[configuration].append(index)
    steps = tuple(single_steps(configurations))
    judged = [
        _judge(row.id, [column.cells.get(row.id) for column in ordered], configurations, steps, tuple(alike.values()))
        for row in kept
    ]
    changes = tuple(change for each in judged for change in each.changes)
    return Comparison(
        package=__version__,
        columns=ordered,
        rows=kept,
        differing=tuple(row.id for row, each in zip(kept, judged, strict=True) if each.differs),
        changes=changes,
        meanings=meanings_of(changes),
        chances=tuple(chance for each in judged for chance in each.chances),
        unexplained=tuple(each.unexplained for each in judged if each.unexplained),
        unreadable=unreadable,
        notes=notes,
    )


class _Judged(Struct, frozen=True, kw_only=True):
    """What comparing one row came to."""

    differs: bool = False
    changes: tuple[Change, ...] = ()
    chances: tuple[Chance, ...] = ()
    unexplained: Unexplained | None = None


def _judge(
    row: str,
    shown: Sequence[Cell | None],
    configurations: Sequence[Configuration],
    steps: Sequence[Step],
    alike: Sequence[Sequence[int]],
) -> _Judged:
    """Compare one row. ``alike`` are the groups of runs with the same configuration, ``steps`` what is between them."""
    comparable = [cell for cell in shown if cell and cell.seen.compares]
    kinds = {cell.seen for cell in comparable}
    if len({(cell.seen, cell.as_expected) for cell in comparable}) <= 1:
        return _Judged()
    chances = tuple(_chance(row, shown, group) for group in alike if len(_kinds(shown, group)) > 1)
    changes = tuple(_changes(row, shown, steps))
    if len(kinds) == 1 or chances or changes:
        return _Judged(differs=True, changes=changes, chances=chances)
    there = [each for each, cell in zip(configurations, shown, strict=True) if cell and cell.seen.compares]
    differ = tuple(axis for axis in Axis if len({each.value(axis) for each in there}) > 1)
    axes = tuple(axis for axis in differ if axis is not Axis.NUMPY or not _DECIDE_NUMPY & set(differ))
    return _Judged(differs=True, unexplained=Unexplained(row=row, axes=axes))


def single_steps(configurations: Sequence[Configuration]) -> Iterator[Step]:
    """Yield each step between neighbours: alike in all but one respect, with no value of it between the two."""
    for axis in Axis:
        families: dict[Configuration, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, configuration in enumerate(configurations):
            if configuration.value(axis):
                families[_without(configuration, axis)][configuration.value(axis)].append(index)
        for values in families.values():
            for old, new in pairwise(sorted(values, key=lambda value: _rank(axis, value))):
                yield Step(axis=axis, old=tuple(values[old]), new=tuple(values[new]), old_value=old, new_value=new)


def _without(configuration: Configuration, axis: Axis) -> Configuration:
    bare = replace(configuration, **{axis.name.lower(): ""})
    return replace(bare, numpy="") if axis in _DECIDE_NUMPY else bare


def _rank(axis: Axis, value: str) -> tuple[object, ...]:
    """Sort values in the order in which people migrate: to newer, to no GIL, from pybind11 to nanobind."""
    if axis is Axis.BINDING:
        library = value.split(" ", maxsplit=1)[0]
        return (_MIGRATION.index(library) if library in _MIGRATION else len(_MIGRATION), *_natural(value))
    if axis is Axis.THREADING:
        return (value != "GIL", value)
    if axis is Axis.LANE:
        return (value != "fast", value)
    return _natural(value)


def _natural(value: str) -> tuple[object, ...]:
    """Sort text as people do, numbers in it by their size."""
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else part) for part in _NUMBERS.split(value))


def _order(configuration: Configuration) -> tuple[tuple[object, ...], ...]:
    return tuple(_rank(axis, configuration.value(axis)) for axis in Axis)


def _kinds(shown: Sequence[Cell | None], group: Iterable[int]) -> set[Seen]:
    return {cell.seen for index in group if (cell := shown[index]) and cell.seen.compares}


def _chance(row: str, shown: Sequence[Cell | None], group: Sequence[int]) -> Chance:
    counts = Counter(cell.seen.value for index in group if (cell := shown[index]))
    return Chance(row=row, columns=tuple(index + 1 for index in group), counts=dict(sorted(counts.items())))


def _changes(row: str, shown: Sequence[Cell | None], steps: Iterable[Step]) -> Iterator[Change]:
    """Yield what each step changes in one row; the same change at several places is one, with all of its places."""
    made: dict[tuple[Axis, str, str, Seen, Seen], list[tuple[int, int]]] = defaultdict(list)
    possible: Counter[tuple[Axis, str, str]] = Counter()
    for step in steps:
        before, after = _kinds(shown, step.old), _kinds(shown, step.new)
        if len(before) != 1 or len(after) != 1:
            continue
        (earlier,), (later,) = before, after
        place = (step.axis, step.old_value, step.new_value)
        possible[place] += 1
        if earlier is not later:
            made[*place, earlier, later].append((step.old[0] + 1, step.new[0] + 1))
    for (axis, old, new, earlier, later), places in made.items():
        yield Change(
            row=row,
            axis=axis,
            old=old,
            new=new,
            before=earlier,
            after=later,
            steps=tuple(places),
            of=possible[axis, old, new],
        )
