"""Measure how often threads without a schedule deadlock: the same trial in many processes, k of n with a bound."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports.model.interpreter import PROCESS_SECONDS
from python_tsan.process import run
from python_tsan.rate import CONFIDENCE, lower_bound
from tools.import_table.measure import build_of, rows_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.imports.model.interpreter import Python
    from tools.import_table.case_results import Build

# What a program can do about it without changing the package; none is the program by itself.
COMPARED = ("none", "parents_first", "safe_import", "long_switch_interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """In how many of ``runs`` fresh processes a thread met an error, ``met`` of them, under one mitigation."""

    build: Build
    mitigation: str
    met: int
    runs: int

    def __str__(self) -> str:
        """Write ``48 of 60, ≥ 69 %`` or ``0 of 60, ≤ 5 %``: the exact one-sided bound on the side that is open."""
        if self.met:
            bound = f"≥ {math.floor(lower_bound(self.met, self.runs) * 100)} %"
        else:
            bound = f"≤ {math.ceil((1 - lower_bound(self.runs, self.runs)) * 100)} %"
        return f"{self.met} of {self.runs}, {bound}"


def measure_rates(pythons: Iterable[Python], *, trials: int) -> Iterator[Rate]:
    """Try each interpreter under each of the compared mitigations, one process at a time: others would disturb it.

    Under the sanitizer, where a start takes a second, the mitigations are left out.
    """
    for python in pythons if trials else ():
        for mitigation in COMPARED[:1] if python.sanitized else COMPARED:
            met = sum(_fails(python, mitigation) for _ in range(trials))
            yield Rate(build=build_of(python), mitigation=mitigation, met=met, runs=trials)


def _fails(python: Python, mitigation: str) -> bool:
    command = [*python.command, "-m", "tools.import_table.inside.unforced", "--mitigation", mitigation]
    ended = run(command, env=rows_environment(), timeout=PROCESS_SECONDS)
    try:
        return bool(json.loads(ended.stdout))
    except ValueError as error:
        last = ended.stderr.strip().rpartition("\n")[2]
        raise SubjectError(f"a trial on Python {python.text} ended without a result: {last}") from error


def confidence() -> str:
    """Write the confidence that the bounds have."""
    return f"{CONFIDENCE * 100:.0f} %"
