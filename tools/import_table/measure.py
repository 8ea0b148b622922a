"""Run rows on interpreters, each in a fresh process; leave what a report means to ``case_results``."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports.cases.import_cases.rows import LAZY_ROWS, ROWS
from python_tsan.imports.cases.import_cases.schedules import HAZARD
from python_tsan.imports.model.interpreter import PROCESS_SECONDS, Python
from python_tsan.imports.model.rules import LAZY_SINCE
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.process import in_parallel, run
from tools.import_table.case_results import Build, CaseResult, read_report
from tools.import_table.inside.mitigations import MITIGATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# Two levels up: tools and python_tsan are packages there.
REPOSITORY = Path(__file__).parents[2]
HANG_SECONDS = 2.0
SANITIZED_HANG_SECONDS = 15.0
# How faulthandler's report begins when a thread waits with the GIL held, so that nothing in Python could answer.
NOTHING_RUNS = "Timeout ("


def build_of(python: Python) -> Build:
    """Return what distinguishes this interpreter from others of the same version."""
    return Build(
        version=python.version, free_threaded=python.free_threaded, sanitized=python.sanitized, text=python.text
    )


def run_row(
    python: Python, row: str, *, variant: str = HAZARD, mitigation: str = "none", deadline: float = HANG_SECONDS
) -> CaseResult:
    """Run one row in a fresh process; ``deadline`` is the time in seconds after which it is taken for hung.

    Raises SubjectError when the process ends without a report.
    """
    arguments = [
        "tools.import_table.inside",
        row,
        "--variant",
        variant,
        "--mitigation",
        mitigation,
        "--deadline",
        str(deadline),
    ]
    ended = run([*python.command, "-m", *arguments], env=rows_environment(), timeout=PROCESS_SECONDS + 5 * deadline)
    if ended.stderr.startswith(NOTHING_RUNS):
        return CaseResult(
            row=row, variant=variant, mitigation=mitigation, build=build_of(python), outcome=ImportOutcome.HANG
        )
    try:
        return read_report(json.loads(ended.stdout), build_of(python))
    except ValueError as error:
        last = ended.stderr.strip().rpartition("\n")[2]
        raise SubjectError(f"{row} on Python {python.text} ended without a report ({ended.how}): {last}") from error


def rows_environment() -> dict[str, str]:
    """Return the caller's environment without what changes Python, and with the rows in its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}


def run_rows(
    pythons: Iterable[Python], *, jobs: int, on_result: Callable[[CaseResult], None] = lambda _: None
) -> list[CaseResult]:
    """Run every variant of every row, and every row under every mitigation, on each interpreter.

    Rows of lazy imports run where there are such, and under no mitigation. Under the sanitizer, where a start takes a
    second, the mitigations are left out, and no more runs go at once than there are cores. ``on_result`` receives each
    result as it comes, all of them before ``KeyboardInterrupt`` is raised.
    """
    stock: list[Python] = []
    sanitized: list[Python] = []
    for python in pythons:
        (sanitized if python.sanitized else stock).append(python)
    return [
        result
        for group, limit, deadline in (
            (stock, jobs, HANG_SECONDS),
            (sanitized, min(jobs, os.cpu_count() or 1), SANITIZED_HANG_SECONDS),
        )
        for result in in_parallel(partial(_run_once, deadline=deadline), _cases(group), jobs=limit, on_result=on_result)
    ]


def _cases(pythons: Sequence[Python]) -> list[tuple[Python, str, str, str]]:
    plain = [
        (python, row.name, variant.name, "none")
        for python in pythons
        for row in (*ROWS, *(LAZY_ROWS if python.version >= LAZY_SINCE else ()))
        for variant in row.variants
    ]
    mitigated = [
        (python, row.name, HAZARD, mitigation)
        for python in pythons
        if not python.sanitized
        for row in ROWS
        for mitigation in MITIGATIONS
        if mitigation != "none"
    ]
    return [*plain, *mitigated]


def _run_once(case: tuple[Python, str, str, str], deadline: float) -> CaseResult:
    """Run once; a process that ends without a report has no outcome, and the others still run."""
    python, row, variant, mitigation = case
    try:
        return run_row(python, row, variant=variant, mitigation=mitigation, deadline=deadline)
    except SubjectError as error:
        return CaseResult(
            row=row, variant=variant, mitigation=mitigation, build=build_of(python), outcome=None, error=error.message
        )
