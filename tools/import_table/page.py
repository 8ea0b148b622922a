"""Write the page ``docs/import-hazards.md`` from measurements and nothing else. Pure, no I/O."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, assert_never

from python_tsan.imports.cases.import_cases.rows import LAZY_ROWS, ROWS
from python_tsan.imports.cases.import_cases.schedules import HAZARD
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.render.table import markdown_table
from python_tsan.version import dotted
from tools.import_table.inside.mitigations import MITIGATIONS
from tools.import_table.mitigation_effects import Effect, effects
from tools.import_table.rates import COMPARED, confidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.imports.cases.import_cases.case import Row
    from tools.import_table.case_results import Build, CaseResult
    from tools.import_table.mitigation_effects import Reason
    from tools.import_table.rates import Rate

_INTRODUCTION = """\
# Concurrent imports, by Python version

This page is generated; the figures are measurements. Each cell is one run of one row in a fresh process, in which two
threads are led into the interleaving by CPython's own tables of module locks, never by a delay.

Measured {date} on {machine}.
To run it again on the interpreters of a machine, and to write this page:

    python -m {command}

A single row, on any interpreter from 3.9 on, with nothing installed:

    PYTHONPATH=python_tsan/imports/cases python3.13 -m import_cases cold_window

C++ threads run the same rows in `nox -s check_imports`. A `t` after a version is a build without the GIL;
TSan marks one that was built here under ThreadSanitizer. Debian packages no build without the GIL, so Debian's Pythons
include none; `--python` takes one that you have.

**D** `_DeadlockError` (a `RuntimeError`: `except ImportError` misses it) · **P** a partially initialized module:
`ImportError`, `AttributeError` or `KeyError` · **H** hang · ok · **?** the schedule was not reached. T1 or T2 is the
thread that loses.
"""

_OUTLOOK = """\
3.13.16 and 3.14 wait for a parent package while they hold the child's lock (gh-130094); since then the rows
warm_window, barrel and from_parent deadlock. 3.15 takes parents first (gh-83065); no 3.12, 3.13 or 3.14 release does.
"""

_LAZY = """\
## Lazy imports

From 3.15 on (PEP 810). The name that `lazy import` binds is resolved at its first use, in the thread that uses it, with
the locks that this thread holds. `ImportCycleError`, an `ImportError`, is in **P**.
"""

_UNFORCED = """\
## How often, without a schedule

One package whose body takes a name from each of its eight modules; four threads leave a barrier and import another of
those each. A fresh process for each trial, one trial at a time. In how many of how many trials a thread met an error,
with the exact bound of the rate on the open side, each with {confidence} confidence. What an interleaving needs of luck
depends on the machine and on what else it does: {machine}.
"""

_MITIGATIONS = """\
## Mitigations that do not change the modules

Each row under each mitigation. Where one makes a harmless row hang, that is its price. Interpreters that agree in every
cell share a table; under ThreadSanitizer the mitigations were not measured.
"""


def render_page(
    measured: Sequence[CaseResult],
    rates: Sequence[Rate] = (),
    *,
    date: str,
    machine: str,
    command: str,
    unfinished: str = "",
) -> str:
    """Write the page: what each row does, how often by itself, what its own fixes do, and what general mitigations do.

    ``command`` is the verb with the options that made it, ``unfinished`` says why the page is not whole.
    """
    builds = sorted({result.build for result in measured})
    names = [str(build) for build in builds]
    parts = [
        _INTRODUCTION.format(date=date, machine=machine, command=command),
        *([f"**This page is not whole.** {unfinished}\n"] if unfinished else []),
        "## What happens\n",
        _table(["row", "what the threads do", *names], _row_lines(ROWS, measured, builds)),
        _OUTLOOK,
        *_lazy(measured),
        *_unforced(rates, machine),
        "## Who waits for whom in a hang\n",
        *_waits(measured),
        "## Fixes that change the program\n",
        _table(["row", "fix", *names], _variant_lines(measured, builds)),
        _MITIGATIONS,
        *_matrices(measured, builds),
        "## Why a mitigation does what it does\n",
        *(part for name in MITIGATIONS if name != "none" for part in _explained(name)),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _lazy(measured: Sequence[CaseResult]) -> Iterator[str]:
    """Yield the part on lazy imports, if an interpreter has them."""
    names = {row.name for row in LAZY_ROWS}
    builds = sorted({result.build for result in measured if result.row in names})
    if builds:
        yield _LAZY
        yield _table(["row", "what the threads do", *map(str, builds)], _row_lines(LAZY_ROWS, measured, builds))


def _row_lines(rows: Iterable[Row], measured: Iterable[CaseResult], builds: Sequence[Build]) -> Iterator[list[str]]:
    cells = {(each.row, each.build): each for each in measured if _is_plain(each)}
    for row in rows:
        yield [_label(row), row.summary, *(_cell(cells.get((row.name, build))) for build in builds)]


def _is_plain(result: CaseResult) -> bool:
    return result.variant == HAZARD and result.mitigation == "none"


def _unforced(rates: Sequence[Rate], machine: str) -> Iterator[str]:
    if rates:
        yield _UNFORCED.format(confidence=confidence(), machine=machine)
        cells = {(rate.build, rate.mitigation): str(rate) for rate in rates}
        lines = (
            [str(build), *(cells.get((build, name), "") for name in COMPARED)]
            for build in sorted({rate.build for rate in rates})
        )
        yield _table(["Python", *("by itself" if name == "none" else name for name in COMPARED)], lines)


def _waits(measured: Sequence[CaseResult]) -> Iterator[str]:
    """Yield one paragraph for each row that hangs: the wait-for graph, and the interpreters on which it is that."""
    for row in (*ROWS, *LAZY_ROWS):
        graphs: dict[tuple[str, ...], list[Build]] = {}
        for each in measured:
            if each.row == row.name and _is_plain(each) and each.outcome is ImportOutcome.HANG:
                graphs.setdefault(each.waits, []).append(each.build)
        for waits, builds in graphs.items():
            yield f"{_label(row)}, on {', '.join(str(build) for build in sorted(builds))}:\n"
            yield "".join(f"    {line}\n" for line in waits)


def _variant_lines(measured: Iterable[CaseResult], builds: Sequence[Build]) -> Iterator[list[str]]:
    cells = {(each.row, each.variant, each.build): each for each in measured if each.mitigation == "none"}
    for row in (*ROWS, *LAZY_ROWS):
        for variant in row.variants:
            if variant.name != HAZARD:
                found = (cells.get((row.name, variant.name, build)) for build in builds)
                yield [_label(row), variant.name, *map(_cell, found)]


def _matrices(measured: Sequence[CaseResult], builds: Sequence[Build]) -> Iterator[str]:
    with_mitigations = {each.build for each in measured if each.mitigation != "none"}
    tables = [(build, _matrix(measured, build)) for build in builds if build in with_mitigations]
    for table, group in groupby(tables, key=lambda pair: pair[1]):
        yield f"### {', '.join(str(build) for build, _ in group)}\n"
        yield table


def _matrix(measured: Iterable[CaseResult], build: Build) -> str:
    cells = {(each.row, each.mitigation): each for each in measured if each.build == build and each.variant == HAZARD}
    # Who loses may be a matter of luck under a mitigation that does not order the threads.
    lines = [[_label(row), *(_mark(cells.get((row.name, name))) for name in MITIGATIONS)] for row in ROWS]
    return _table(["row", *MITIGATIONS], lines)


def _explained(name: str) -> Iterator[str]:
    yield f"**`{name}`**: {_first_line(MITIGATIONS[name].__doc__)}\n"
    yield "".join(f"- {_verb(reason)} {', '.join(reason.rows)}: {reason.why}\n" for reason in effects()[name])


def _verb(reason: Reason) -> str:
    until = f", up to the release before {dotted(reason.before)}," if reason.before else ""
    match reason.effect:
        case Effect.FIXES:
            return f"fixes{until}"
        case Effect.FIXES_ERRORS:
            return f"takes the `_DeadlockError` away from{until}"
        case Effect.LEAVES:
            return f"leaves as they are{until}"
        case Effect.HARMS:
            return f"**hangs**{until}"
        case _ as never:
            assert_never(never)


def _label(row: Row) -> str:
    return f"`{row.name}` ({row.label})"


def _cell(result: CaseResult | None) -> str:
    return f"{_mark(result)} {', '.join(result.losers)}".rstrip() if result else ""


def _mark(result: CaseResult | None) -> str:
    if result is None:
        return ""
    match result.outcome:
        case None:
            return "?"
        case ImportOutcome.OK:
            return "ok"
        case ImportOutcome.HANG:
            return "**H**"
        case ImportOutcome.ERROR:
            return "**D**"
        case ImportOutcome.PARTIAL:
            return "**P**"
        case _ as never:
            assert_never(never)


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "".join(f"{line}\n" for line in markdown_table(columns, lines))


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]
