"""Turn the runs to compare into columns and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from python_tsan.comparison.model import RowKind
from python_tsan.comparison.programs import column_of_report, rows_of_report, with_all_findings
from python_tsan.comparison.verified import column_of_run, lane_of, rows_of_run
from python_tsan.errors import SubjectError, UsageError
from python_tsan.result.model import ResultKind
from python_tsan.storage import real

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.comparison.model import Column, Row
    from python_tsan.expectation import Lane
    from python_tsan.result.model import Result
    from python_tsan.result.runs import Loaded


class Sides(Struct, frozen=True, kw_only=True):
    """The columns and rows to compare, and notes on them."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def sides_of(loaded: Loaded, lane: Lane | None) -> Sides:
    """Return the columns and rows of what was read.

    Raises :class:`SubjectError` when too few could be read, and :class:`UsageError` when there were fewer than two to
    begin with, or when checks of the harness are mixed with programs: they have no row in common.
    """
    verified = [(file, run) for file, run in loaded.runs if run.kind is ResultKind.CHECKS]
    programs = [(file, run) for file, run in loaded.runs if run.kind is not ResultKind.CHECKS]
    if len(loaded.runs) < 2:  # noqa: PLR2004 -- it takes two to compare
        if loaded.unreadable:
            raise SubjectError(
                f"it takes two runs, and {len(loaded.runs) or 'none'} could be read: " + "; ".join(loaded.unreadable),
                advice="name two runs or more that this version reads",
                page="compare",
            )
        raise UsageError(
            "one run alone cannot be compared", advice="name two runs or more, or a folder of them", page="compare"
        )
    if verified and programs:
        raise UsageError(
            f"{verified[0][0]} is a run of checks and {programs[0][0]} one of a program; they have nothing in common",
            advice="compare runs of `verify` with each other, and runs of `run` with each other",
            page="compare",
        )
    return _sides_of_runs(verified, lane) if verified else _sides_of_reports(programs)


def _sides_of_runs(runs: Sequence[tuple[str, Result]], lane: Lane | None) -> Sides:
    columns: list[Column] = []
    rows: list[Row] = []
    notes: list[str] = []
    for file, run in runs:
        chosen = lane_of(run, lane)
        if chosen is None:
            notes.append(f"{file}: no check of {f'the {lane.value} lane' if lane else 'any lane'} was run")
            continue
        columns.append(column_of_run(run, file, chosen))
        rows += rows_of_run(run, chosen)
    if len(columns) < 2:  # noqa: PLR2004 -- it takes two to compare
        raise SubjectError(
            "fewer than two of the runs hold checks to compare: " + "; ".join(notes),
            advice="choose another --lane, or other runs",
            page="compare",
        )
    return Sides(columns=tuple(columns), rows=tuple(rows), notes=tuple(notes))


def _sides_of_reports(reports: Sequence[tuple[str, Result]]) -> Sides:
    columns = [column_of_report(report, file, real(file).parent.name or file) for file, report in reports]
    rows = tuple(row for _, report in reports for row in rows_of_report(report))
    commands = dict.fromkeys(row.title for row in rows if row.kind is RowKind.PROGRAM)
    notes = (f"the commands differ: {'; '.join(commands)}",) if len(commands) > 1 else ()
    return Sides(
        columns=tuple(replace(column, cells=with_all_findings(column, rows)) for column in columns),
        rows=rows,
        notes=notes,
    )
