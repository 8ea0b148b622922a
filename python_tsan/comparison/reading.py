"""Own finding and reading the runs to compare; leave what is in their files to the rooms that write them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.comparison.programs import column_of_report, rows_of_report, with_all_findings
from python_tsan.comparison.verified import column_of_run, lane_of, rows_of_run
from python_tsan.errors import PythonTsanError, SubjectError, UsageError
from python_tsan.render.run import Run
from python_tsan.render.store import RUN_FILE, load_run
from python_tsan.report.codec import REPORT_FILE, decode_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.comparison.model import Column, Row
    from python_tsan.expectation import Lane
    from python_tsan.report.model import Report

_FILES = (RUN_FILE, REPORT_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was read: whole runs with their files, and for each file that could not be read its error in words."""

    runs: tuple[tuple[str, Run | Report], ...]
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The columns and rows to compare, and what has to be said about them."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def find_runs(paths: Sequence[str]) -> tuple[Path, ...]:
    """Return the file of each run that ``paths`` name: files, run folders, and folders that hold run folders.

    Raises :class:`UsageError` for a path that is not there, or a folder without a run.
    """
    found: dict[Path, Path] = {}
    for name in paths:
        files = list(_files_in(Path(name)))
        if not files:
            raise UsageError(
                f"{name}: {'no run is in this folder' if Path(name).is_dir() else 'there is no such run'}",
                advice=f"name a run's folder, its {RUN_FILE} or {REPORT_FILE}, or a folder of runs",
                page="compare",
            )
        for file in files:
            found.setdefault(file.resolve(), file)
    return tuple(found.values())


def _files_in(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    # Links (`latest`) name a run that is found under its own name.
    for folder, folders, files in os.walk(path):
        folders.sort()
        if name := next((name for name in _FILES if name in files), None):
            folders.clear()  # the evidence of a run is no run
            yield Path(folder) / name


def load_all(files: Iterable[Path]) -> Loaded:
    """Read each file. One that cannot be read costs none of the others."""
    runs, unreadable = [], []
    for file in files:
        try:
            runs.append((str(file), _load(file)))
        except PythonTsanError as error:
            unreadable.append(f"{error.message}{f' ({error.advice})' if error.advice else ''}")
    return Loaded(runs=tuple(runs), unreadable=tuple(unreadable))


def _load(file: Path) -> Run | Report:
    if file.name != REPORT_FILE:
        return load_run(file)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SubjectError(f"cannot read {file}: {error.strerror}", page="report-json") from error
    return decode_report(data, name=str(file))


def sides_of(loaded: Loaded, lane: Lane | None) -> Sides:
    """Return the columns and rows of what was read.

    Raises :class:`SubjectError` when too few could be read, and :class:`UsageError` when there were fewer than two to
    begin with, or when checks of the harness are mixed with programs: they have no row in common.
    """
    verified = [(file, run) for file, run in loaded.runs if isinstance(run, Run)]
    programs = [(file, run) for file, run in loaded.runs if not isinstance(run, Run)]
    _refuse_too_few(loaded)
    if verified and programs:
        raise UsageError(
            f"{verified[0][0]} is a run of checks and {programs[0][0]} one of a program; they have nothing in common",
            advice="compare runs of `verify` with each other, and runs of `run` with each other",
            page="compare",
        )
    return _sides_of_runs(verified, lane) if verified else _sides_of_reports(programs)


def _refuse_too_few(loaded: Loaded) -> None:
    if len(loaded.runs) > 1:
        return
    if loaded.unreadable:
        raise SubjectError(
            f"it takes two runs, and {len(loaded.runs) or 'none'} could be read: " + "; ".join(loaded.unreadable),
            advice="name two runs or more that this version reads",
            page="compare",
        )
    raise UsageError(
        "one run alone cannot be compared", advice="name two runs or more, or a folder of them", page="compare"
    )


def _sides_of_runs(runs: Sequence[tuple[str, Run]], lane: Lane | None) -> Sides:
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


def _sides_of_reports(reports: Sequence[tuple[str, Report]]) -> Sides:
    columns = [column_of_report(report, file, Path(file).parent.name or file) for file, report in reports]
    rows = tuple(row for _, report in reports for row in rows_of_report(report))
    commands = dict.fromkeys(rows_of_report(report).__next__().title for _, report in reports)
    notes = (f"the commands differ: {'; '.join(commands)}",) if len(commands) > 1 else ()
    return Sides(
        columns=tuple(replace(column, cells=with_all_findings(column, rows)) for column in columns),
        rows=rows,
        notes=notes,
    )
