"""Own how a scan reads: lines for a terminal, one JSON object, a Markdown page; leave printing to the verb. Pure."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Any, assert_never

from python_tsan.imports.proof import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.imports.hazards import Link
    from python_tsan.imports.scan import Finding, Scan

FORMAT_NAME = "python-tsan-imports"
FORMAT_VERSION = 1


class Format(Enum):
    """How a scan is written."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"


def tell(found: Scan, form: Format) -> str:
    """Write a scan in one of the forms, without a line end after its last line."""
    match form:
        case Format.TERMINAL:
            return "\n".join(_terminal(found))
        case Format.JSON:
            return json.dumps(as_object(found), indent=2)
        case Format.MARKDOWN:
            return "\n".join(_markdown(found))
        case _ as never:
            assert_never(never)


def standing(found: Scan) -> list[Finding]:
    """Return the findings that no directed run has refuted."""
    return [each for each in found.findings if each.proof is None or each.proof.answer is not Answer.REFUTED]


def as_object(found: Scan) -> dict[str, Any]:
    """Return a scan as one JSON object.

    ``outcome`` is what is predicted, ``proof`` is null when no run was made, ``where`` is ``file:line`` or empty, and
    ``problems`` maps each entry that could not be scanned to one line that says why.
    """
    return {
        "format": FORMAT_NAME,
        "version": FORMAT_VERSION,
        "python": found.python,
        "entries": list(found.entries),
        "main": list(found.main),
        "modules": found.modules,
        "problems": dict(found.problems),
        "standing": len(standing(found)),
        "hazards": [_hazard(each) for each in found.findings],
    }


def _hazard(finding: Finding) -> dict[str, Any]:
    hazard, proof = finding.hazard, finding.proof
    return {
        "outcome": hazard.outcome.value,
        "threads": [
            {
                "thread": thread,
                "imports": entry,
                "waits_for": module,
                "chain": [{"module": link.module, "where": link.place} for link in chain],
            }
            for thread, entry, module, chain in (
                ("T1", hazard.first, hazard.closing, hazard.chains[0]),
                ("T2", hazard.second, hazard.awaited, hazard.chains[1]),
            )
        ],
        "proof": None
        if proof is None
        else {
            "answer": proof.answer.value,
            "seen": proof.seen,
            "runs": proof.runs,
            "thread": proof.thread,
            "error": proof.error,
            "where": proof.where,
            "graph": list(proof.graph),
        },
    }


def _terminal(found: Scan) -> Iterator[str]:
    for finding in found.findings:
        yield from _finding_lines(finding)
    yield _summary(found)


def _summary(found: Scan) -> str:
    left = standing(found)
    refuted = len(found.findings) - len(left)
    after = f" after {', '.join(found.main)}" if found.main else ""
    return (
        f"Python {found.python}: {len(left)} hazards between {len(found.entries)} entries{after}, "
        f"{found.modules} modules" + (f"; {refuted} more were predicted and refuted" if refuted else "")
    )


def _finding_lines(finding: Finding) -> Iterator[str]:
    hazard = finding.hazard
    yield f"{hazard.first} against {hazard.second}: {hazard.outcome.value} at the import of {hazard.closing}"
    for thread, chain in zip(("T1", "T2"), hazard.chains, strict=True):
        yield f"  {thread} {' > '.join(_link(link) for link in chain)}"
    yield f"  T2 waits for {hazard.awaited}, T1 for {hazard.closing}"
    if finding.proof is not None:
        yield f"  {_proof(finding)}"
        if finding.proof.where:
            yield f"  at {finding.proof.where}"


def _proof(finding: Finding) -> str:
    proof = finding.proof
    if proof is None:
        return "predicted"
    return f"{proof.answer.value} {proof.seen} of {proof.runs}" + (f": {proof.error}" if proof.error else "")


def _link(link: Link) -> str:
    return f"{link.module} ({link.place})" if link.place else link.module


def _markdown(found: Scan) -> Iterator[str]:
    yield f"{_summary(found)}."
    if found.problems:
        yield from ("", "| entry | problem |", "| --- | --- |")
        yield from (f"| {_code(entry)} | {_cell(text)} |" for entry, text in found.problems.items())
    if found.findings:
        yield from (
            "",
            "| T1 imports | T2 imports | outcome | T1 waits for | T2 waits for | runs |",
            "| --- " * 6 + "|",
        )
    for finding in found.findings:
        hazard = finding.hazard
        cells = [_code(name) for name in (hazard.first, hazard.second)]
        cells += [hazard.outcome.value, _code(hazard.closing), _code(hazard.awaited), _cell(_proof(finding))]
        yield f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
