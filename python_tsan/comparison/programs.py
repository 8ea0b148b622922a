"""Turn a result of a program into a column: the program as a whole, and each finding that it showed. No I/O."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from python_tsan.comparison.model import Cell, Column, ColumnVerdict, Configuration, Row, RowKind, Seen
from python_tsan.comparison.verified import seen_of_kinds, verdict_of
from python_tsan.plain_text import counted
from python_tsan.render import wording
from python_tsan.result.model import VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Result

PROGRAM = "program"


def column_of_report(report: Result, file: str, name: str) -> Column:
    """Return a report as a column; rows that it lacks are filled in by :func:`with_all_findings`."""
    runs = report.subject.rate.runs if report.subject and report.subject.rate else 0
    cells = {finding.fingerprint: _found(finding, runs) for finding in report.findings}
    return Column(
        run=name,
        file=file,
        configuration=_configuration(report),
        verdict=verdict_of(report),
        conclusion=wording.conclusion(report),
        cells={PROGRAM: _program(report, runs), **cells},
    )


def rows_of_report(report: Result) -> Iterator[Row]:
    """Yield the program itself, then its findings in their order."""
    command = shlex.join(report.subject.command) if report.subject else "the logs"
    yield Row(id=PROGRAM, title=command, kind=RowKind.PROGRAM)
    for finding in report.findings:
        yield Row(id=finding.fingerprint, title=wording.headline(finding), kind=RowKind.FINDING)


def with_all_findings(column: Column, rows: Sequence[Row]) -> dict[str, Cell]:
    """Return the column's cells with one for each row: what a judged run does not show, it is clean of."""
    absent = Cell(seen=Seen.DOUBT if column.verdict is ColumnVerdict.COULD_NOT_JUDGE else Seen.CLEAN)
    return {row.id: column.cells.get(row.id, absent) for row in rows}


def _found(finding: DistinctFinding, runs: int) -> Cell:
    return Cell(
        seen=seen_of_kinds([finding.kind]),
        as_expected=not finding.status.fails,
        runs=runs,
        detail=f"{finding.status.value}, {counted(finding.occurrences, 'block')}",
    )


def _program(report: Result, runs: int) -> Cell:
    return Cell(
        seen=_seen(report),
        as_expected=report.verdict.status is VerdictStatus.CLEAN,
        met=report.subject.rate.found if report.subject and report.subject.rate and report.findings else 0,
        runs=runs,
        detail=report.verdict.reason,
    )


def _seen(report: Result) -> Seen:
    subject = report.subject
    if report.verdict.status is VerdictStatus.COULD_NOT_JUDGE:
        return Seen.DOUBT
    if subject and any(code < 0 for code in subject.exit_codes) and not subject.timed_out:
        return Seen.CRASH
    if subject and subject.timed_out:
        return Seen.HANG
    if report.findings:
        return seen_of_kinds(finding.kind for finding in report.findings)
    return Seen.CLEAN if report.verdict.status is VerdictStatus.CLEAN else Seen.OTHER


def _configuration(report: Result) -> Configuration:
    facts = report.provenance.facts if report.provenance else {}
    return Configuration(
        python=facts.get("CPython", ""),
        threading=facts.get("threading", ""),
        compiler=facts.get("program compilers", "") or facts.get("toolchain", ""),
        binding=facts.get("binding", ""),
        build=facts.get("build", ""),
    )
