"""Describe a comparison in the sentences that all its renderings share, without layout and escaping."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from python_tsan.comparison.model import Axis, ColumnVerdict, RowKind, Seen
from python_tsan.plain_text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.comparison.model import Chance, Change, Column, Comparison, Meaning, Unexplained

# What every run shares is stated once, above the table.
AXES = tuple(Axis)


def headline(comparison: Comparison) -> str:
    """Say in a sentence how far the runs differ: ``5 runs: 7 of 46 checks differ``."""
    runs = counted(len(comparison.columns), "run")
    noun = "check" if all(row.kind is RowKind.CHECK for row in comparison.rows) else "row"
    if not comparison.differing:
        return f"{runs}: no difference in {counted(len(comparison.rows), noun)}"
    differ = "differs" if len(comparison.differing) == 1 else "differ"
    return f"{runs}: {len(comparison.differing)} of {counted(len(comparison.rows), noun)} {differ}"


def checks_met(comparison: Comparison, column: Column) -> str:
    """Return how many of the judged checks of a run are as expected, an empty text for a run without checks."""
    checks = {row.id for row in comparison.rows if row.kind is RowKind.CHECK}
    judged = [cell for row, cell in column.cells.items() if row in checks and cell.seen is not Seen.SKIPPED]
    return f"{sum(cell.as_expected for cell in judged)} of {len(judged)}" if judged else ""


def verdicts(comparison: Comparison) -> str:
    """Count the runs by verdict: ``4 clean, 1 NOT clean``."""
    counts = Counter(column.verdict for column in comparison.columns)
    return ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in ColumnVerdict if counts[verdict])


def shared(comparison: Comparison) -> str:
    """Say what all runs have in common, such as ``all: debug build, full lane``; empty when nothing is."""
    words = [
        _named(axis, values.pop())
        for axis in AXES
        if len(values := {column.configuration.value(axis) for column in comparison.columns}) == 1 and values != {""}
    ]
    return f"all: {', '.join(words)}" if words else ""


def varying(comparison: Comparison) -> tuple[Axis, ...]:
    """Return the respects in which the runs are not all alike."""
    return tuple(axis for axis in AXES if len({column.configuration.value(axis) for column in comparison.columns}) > 1)


def _named(axis: Axis, value: str) -> str:
    match axis:
        case Axis.PYTHON:
            return f"CPython {value}"
        case Axis.NUMPY:
            return f"numpy {value}"
        case Axis.BUILD:
            return f"{value} build"
        case Axis.LANE:
            return f"{value} lane"
        case Axis.THREADING:
            return "with the GIL" if value == "GIL" else value
        case _:
            return value


def step(axis: Axis, old: str, new: str) -> str:
    """Name a step: ``CPython 3.11.2 -> 3.13.5``."""
    name = {Axis.PYTHON: "CPython ", Axis.NUMPY: "numpy ", Axis.LANE: "lane "}.get(axis, "")
    return f"{name}{old} -> {new}"


def run_table(comparison: Comparison, axes: Sequence[Axis]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the headings of the table of runs, by these axes, and its rows, which end in the run's name."""
    rows = [
        (str(number), *(column.configuration.value(axis) or "?" for axis in axes), column.verdict.value, column.run)
        for number, column in enumerate(comparison.columns, start=1)
    ]
    return ("", *(axis.value for axis in axes), "verdict", "run"), rows


def meanings_by_step(comparison: Comparison) -> Iterator[tuple[str, Iterator[Meaning]]]:
    """Yield each step, named, with what it changes."""
    yield from groupby(comparison.meanings, key=lambda meaning: step(meaning.axis, meaning.old, meaning.new))


def meaning_words(meaning: Meaning, comparison: Comparison) -> str:
    """Say what changed where: ``clean -> race in 2 checks: gil/counter_guarded, ...``."""
    titles = {row.id: row.title for row in comparison.rows}
    names = ", ".join(titles[row] for row in meaning.rows)
    return f"{meaning.before.value} -> {meaning.after.value} in {names}"


def places(change: Change) -> str:
    """Say which runs show a change, and of how many that could: ``2 of 2 steps (1 -> 4, 3 -> 5)``."""
    shown = ", ".join(f"{old} -> {new}" for old, new in change.steps)
    return f"{len(change.steps)} of {counted(change.of, 'step')} ({shown})"


def chance_words(chance: Chance, comparison: Comparison) -> str:
    """Say how runs of one configuration disagree."""
    title = next(row.title for row in comparison.rows if row.id == chance.row)
    counts = ", ".join(f"{number} {word}" for word, number in chance.counts.items())
    return f"{title}: {counts}, in runs {', '.join(map(str, chance.columns))} of the same configuration"


def unexplained_words(unexplained: Unexplained, comparison: Comparison) -> str:
    """Say why no step explains a difference."""
    title = next(row.title for row in comparison.rows if row.id == unexplained.row)
    axes = " and ".join(axis.value for axis in unexplained.axes) or "nothing that is recorded"
    return f"{title}: the runs that differ here differ in {axes} at once"


def unmet(comparison: Comparison) -> Iterator[str]:
    """Yield what a run shows against its expectation, and why, in that run's words."""
    for row in comparison.rows:
        for number, column in enumerate(comparison.columns, start=1):
            cell = column.cells.get(row.id)
            if cell and not cell.as_expected and cell.seen is not Seen.SKIPPED:
                yield f"{row.title}, run {number}: {cell.detail or cell.seen.value}"


def sections(comparison: Comparison) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the lists below the meanings, each with its heading; none that is empty."""
    for heading, sentences in (
        (UNMET, tuple(unmet(comparison))),
        (CHANCE, tuple(chance_words(each, comparison) for each in comparison.chances)),
        (UNEXPLAINED, tuple(unexplained_words(each, comparison) for each in comparison.unexplained)),
        ("Left out:", comparison.unreadable),
        ("Notes:", comparison.notes),
    ):
        if sentences:
            yield heading, sentences


def configuration_words(column: Column) -> str:
    """Describe a run's configuration in a line."""
    values = (_named(axis, column.configuration.value(axis)) for axis in AXES if column.configuration.value(axis))
    return ", ".join(values) or "nothing is known of what it ran on"


MARKED = "Marked: not as that run expected."
CAPITALS = "In capitals: not as that run expected."
UNMET = "Not as expected:"
CHANCE = "These differ between runs of one configuration, so chance decides, and no step explains them:"
UNEXPLAINED = "No single step explains these; add a run that changes one thing at a time:"
NOTHING_CHANGES = "No result changes with a single step between these runs."
