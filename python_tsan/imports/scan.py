"""Own a scan from entry points to weighed hazards: trace each, predict between them, confirm what is predicted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports.hazards import Hazard, Model, predict
from python_tsan.imports.proof import Proof, weigh
from python_tsan.imports.requests import merge, read_trace
from python_tsan.imports.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.imports.probe import Probe
    from python_tsan.imports.requests import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A predicted hazard and what directed runs say of it (None if none was made)."""

    hazard: Hazard
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a scan found. ``problems`` has a line for each entry that could not be traced, by entry."""

    python: str
    entries: tuple[str, ...]
    modules: int
    problems: dict[str, str]
    findings: tuple[Finding, ...]


def scan(probe: Probe, entries: Sequence[str], *, runs: int = 0) -> Scan:
    """Scan ``entries``; with ``runs``, confirm each hazard by that many directed runs.

    An entry that cannot be imported is told in ``problems``, and the others are scanned all the same.
    """
    programs: list[Program] = []
    problems: dict[str, str] = {}
    for entry in dict.fromkeys(entries):
        try:
            trace = probe.trace([entry])
        except SubjectError as error:
            problems[entry] = error.message
            continue
        programs.append(read_trace(trace))
        if trace["error"]:
            problems[entry] = trace["error"]
        elif entry in trace["already"]:
            problems[entry] = "is imported before any program's own code, so that no thread can be the first"
    program = merge(programs)
    sound = tuple(entry for entry in dict.fromkeys(entries) if entry not in problems)
    return Scan(
        python=probe.python.text,
        entries=tuple(entries),
        modules=len(program),
        problems=problems,
        findings=tuple(_findings(probe, program, sound, runs)),
    )


def _findings(probe: Probe, program: Program, entries: tuple[str, ...], runs: int) -> Iterator[Finding]:
    model = Model(program=program, rules=rules_of(probe.python.version), read=read_source)
    for hazard in predict(model, entries):
        yield Finding(hazard=hazard, proof=prove(probe, hazard, runs) if runs else None)


def prove(probe: Probe, hazard: Hazard, runs: int) -> Proof:
    """Drive two threads into the hazard in ``runs`` fresh processes and weigh what they met."""
    return weigh([probe.confirm(hazard) for _ in range(runs)])


def read_source(path: str) -> str | None:
    """Return the text of a module's source, or None if there is none, as with extension modules."""
    if not path.endswith(".py"):
        return None
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
