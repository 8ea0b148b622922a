"""Own the page ``docs/import-hazards.md``, written from measurements and nothing else. Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from python_tsan.imports.inside.import_cases.mitigations import MITIGATIONS
from python_tsan.imports.inside.import_cases.rows import HAZARD, ROWS
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.played import as_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.imports.inside.import_cases.model import Row
    from python_tsan.imports.outcomes import Version
    from python_tsan.imports.played import Played

_INTRODUCTION = """\
# Concurrent imports, by Python version

This page is generated; the figures are measurements. Each cell is one run of one row in a fresh process, in which two
threads are led into the interleaving by CPython's own tables of module locks, never by a delay.

Measured {date} on {machine}. To run it again on the interpreters of this machine, and to write this page:

    python -m python_tsan imports table --unpacked --write docs/import-hazards.md

One row alone, on any interpreter from 3.9 on, with nothing installed:

    PYTHONPATH=python_tsan/imports/inside python3.13 -m import_cases cold_window

**D** `_DeadlockError` (a `RuntimeError`: `except ImportError` misses it) · **P** a half-made module: `ImportError`,
`AttributeError` or `KeyError` · **H** hang · ok · **?** the schedule could not be brought about. T1 or T2 is the
thread that loses.
"""

_OUTLOOK = """\
3.13.16 and 3.14 wait for a parent package while they hold the child's lock (gh-130094); since then the rows
warm_window, barrel and from_parent deadlock. 3.15 takes parents first (gh-83065); no 3.12, 3.13 or 3.14 release does.
"""


def render_page(measured: Sequence[Played], *, date: str, machine: str) -> str:
    """Write the page: what each row does, what its own cures do, and what general cures do to each row."""
    versions = sorted({played.version for played in measured})
    parts = [
        _INTRODUCTION.format(date=date, machine=machine),
        "## What happens\n",
        _table(["row", "what the threads do", *map(as_version, versions)], _row_lines(measured, versions)),
        _OUTLOOK,
        "## Cures that change the program\n",
        _table(["row", "cure", *map(as_version, versions)], _variant_lines(measured, versions)),
        "## Cures that leave the modules alone\n",
        "Each row under each cure. Where a cure makes a harmless row hang, that is its price.\n",
        *(f"- `{name}`: {_first_line(function.__doc__)}" for name, function in MITIGATIONS.items() if name != "none"),
        "",
    ]
    for version in versions:
        parts += [f"### {as_version(version)}\n", _matrix(measured, version)]
    return "\n".join(parts).rstrip() + "\n"


def _row_lines(measured: Iterable[Played], versions: Sequence[Version]) -> Iterator[list[str]]:
    cells = {
        (each.row, each.version): each for each in measured if each.variant == HAZARD and each.mitigation == "none"
    }
    for row in ROWS:
        yield [_label(row), row.summary, *(_cell(cells.get((row.name, version))) for version in versions)]


def _variant_lines(measured: Iterable[Played], versions: Sequence[Version]) -> Iterator[list[str]]:
    cells = {(each.row, each.variant, each.version): each for each in measured if each.mitigation == "none"}
    for row in ROWS:
        for variant in row.variants:
            if variant.name != HAZARD:
                found = (cells.get((row.name, variant.name, version)) for version in versions)
                yield [_label(row), variant.name, *map(_cell, found)]


def _matrix(measured: Iterable[Played], version: Version) -> str:
    cells = {
        (each.row, each.mitigation): each for each in measured if each.version == version and each.variant == HAZARD
    }
    lines = [[_label(row), *(_cell(cells.get((row.name, name))) for name in MITIGATIONS)] for row in ROWS]
    return _table(["row", *MITIGATIONS], lines)


def _label(row: Row) -> str:
    return f"`{row.name}` ({row.label})"


def _cell(played: Played | None) -> str:
    if played is None:
        return ""
    match played.outcome:
        case None:
            return "?"
        case ImportOutcome.OK:
            return "ok"
        case ImportOutcome.HANG:
            return "**H**"
        case ImportOutcome.ERROR:
            return f"**D** {', '.join(played.losers)}"
        case ImportOutcome.PARTIAL:
            return f"**P** {', '.join(played.losers)}"
        case _ as never:
            assert_never(never)


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]
