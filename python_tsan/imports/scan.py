"""Own a scan from entry points to weighed hazards: trace each, predict between them, confirm what is predicted."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from python_tsan.errors import SubjectError
from python_tsan.imports.modelling import model_of
from python_tsan.imports.proof import Proof, weigh
from python_tsan.imports.search import predict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.imports.hazards import Hazard
    from python_tsan.imports.model import Model
    from python_tsan.imports.probe import Probe

LINE_LENGTH = 300
CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A predicted hazard and what directed runs say of it (None if none was made)."""

    hazard: Hazard
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a scan found. ``problems`` has a line for each entry that could not be traced, by entry.

    ``main`` is what the main thread imports before any thread begins, ``calls`` the calls that are entries besides, and
    ``calls_left_out`` the number of those that would be, too, were they not beyond the limit.
    """

    python: str
    entries: tuple[str, ...]
    modules: int
    problems: dict[str, str]
    findings: tuple[Finding, ...]
    main: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    calls_left_out: int = 0
    model: Model = field(repr=False)


def scan(
    probe: Probe,
    entries: Sequence[str],
    *,
    runs: int = 0,
    main: Sequence[str] = (),
    jobs: int = CORES,
    calls: bool = False,
) -> Scan:
    """Scan ``entries``, after the main thread's imports ``main``; with ``runs``, confirm each hazard by directed runs.

    An entry that cannot be imported is told in ``problems``, and the others are scanned all the same. ``jobs`` is the
    number of processes at a time. With ``calls``, what functions of the entries' packages import when they are called
    is an entry too.
    """
    wanted = tuple(dict.fromkeys(entries))
    modelled = model_of(probe, wanted, main=main, jobs=jobs, calls=calls)
    model, problems = modelled.model, modelled.problems
    hazards = list(predict(model, (*(entry for entry in wanted if entry not in problems), *modelled.calls)))
    with ThreadPoolExecutor(jobs) as pool:
        proofs = pool.map(lambda hazard: prove(probe, hazard, runs, main) if runs else None, hazards)
        findings = tuple(Finding(hazard=each, proof=proof) for each, proof in zip(hazards, proofs, strict=True))
    return Scan(
        python=probe.python.text,
        entries=tuple(entries),
        modules=len(model.program),
        problems={entry: one_line(problem) for entry, problem in problems.items()},
        findings=findings,
        main=tuple(main),
        calls=modelled.calls,
        calls_left_out=modelled.left_out,
        model=model,
    )


def prove(probe: Probe, hazard: Hazard, runs: int, main: Sequence[str] = ()) -> Proof:
    """Drive two threads into the hazard in ``runs`` fresh processes and weigh what they met.

    A run that ends without a report is one in which the schedule was not reached; the last such end is the ``error``.
    """
    reports: list[dict[str, Any]] = []
    failed = ""
    for _ in range(runs):
        try:
            reports.append(probe.confirm(hazard, main=main))
        except SubjectError as error:
            failed = one_line(error.message)
    proof = weigh(reports)
    return replace(proof, runs=runs, error=proof.error or failed)


def one_line(text: str) -> str:
    """Return what a person needs of a text that a module may have made as long as it likes."""
    line = " ".join(text[: 4 * LINE_LENGTH].split())
    return line if len(line) <= LINE_LENGTH else f"{line[:LINE_LENGTH]}..."
