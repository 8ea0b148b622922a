"""Own the verb ``imports``: its own verbs and how their results read; leave the work to :mod:`python_tsan.imports`."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.options import open_context
from python_tsan.cpython.unpacked import unpack_pythons
from python_tsan.errors import ExitCode, UsageError
from python_tsan.imports.measure import identify, play_rows, pythons_at_hand
from python_tsan.imports.page import render_page
from python_tsan.imports.played import as_version, disagreement
from python_tsan.imports.probe import Probe
from python_tsan.imports.proof import Answer
from python_tsan.imports.scan import scan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from python_tsan.cli.options import Context
    from python_tsan.console import Console
    from python_tsan.imports.hazards import Link
    from python_tsan.imports.measure import Python
    from python_tsan.imports.scan import Finding, Scan

CONFIRM_RUNS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``scan``, ``confirm`` and ``table``, each with its own arguments."""
    verbs = parser.add_subparsers(dest="imports_verb", metavar="VERB", required=True)
    scanning = verbs.add_parser(
        "scan", help="predict which imports can break each other when threads make them at once"
    )
    scanning.add_argument("entries", nargs="+", metavar="ENTRY", help="a module that a thread may import")
    scanning.add_argument("--confirm", action="store_true", help="drive two threads into each predicted hazard")
    confirming = verbs.add_parser("confirm", help="drive two threads that import A and B into what is predicted")
    confirming.add_argument("entries", nargs=2, metavar=("A", "B"))
    for each in (scanning, confirming):
        each.add_argument(
            "--with", dest="interpreter", metavar="PYTHON", default="python3", help="any CPython from 3.9"
        )
        each.add_argument("--path", action="append", type=Path, default=[], help="a folder to find modules in")
        each.add_argument("--runs", type=int, default=CONFIRM_RUNS, help="directed runs a hazard (%(default)s)")
    table = verbs.add_parser("table", help="measure every row of the table on every interpreter at hand")
    table.add_argument("--with", dest="interpreters", metavar="PYTHON", action="append", default=[], help="another one")
    table.add_argument("--unpacked", action="store_true", help="and on Debian's newest, unpacked privately")
    table.add_argument("--write", type=Path, metavar="FILE", help="write the page of import hazards")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Do one of the verbs. FINDINGS: a hazard, or a row that does not do what the table says."""
    context = open_context(arguments)
    match arguments.imports_verb:
        case "table":
            return _table(arguments, context)
        case "scan":
            runs = arguments.runs if arguments.confirm else 0
        case _:
            runs = arguments.runs
    if runs < 0 or (runs == 0 and arguments.imports_verb == "confirm"):
        raise UsageError("--runs wants a whole number above 0")
    probe = Probe(python=identify([arguments.interpreter]), path=tuple(path.absolute() for path in arguments.path))
    return _tell(scan(probe, arguments.entries, runs=runs), context.console)


def _tell(found: Scan, console: Console) -> ExitCode:
    for entry, problem in found.problems.items():
        console.warn(f"{entry}: {problem}")
    for finding in found.findings:
        console.say("\n".join(_finding_lines(finding)))
    refuted = sum(finding.proof is not None and finding.proof.answer is Answer.REFUTED for finding in found.findings)
    standing = len(found.findings) - refuted
    console.say(
        f"Python {found.python}: {standing} hazards between {len(found.entries)} entries, {found.modules} modules"
        + (f"; {refuted} more were predicted and refuted" if refuted else "")
    )
    if standing:
        return ExitCode.FINDINGS
    return ExitCode.SUBJECT if found.problems else ExitCode.CLEAN


def _finding_lines(finding: Finding) -> Iterator[str]:
    hazard, proof = finding.hazard, finding.proof
    yield f"{hazard.first} against {hazard.second}: {hazard.outcome.value} at the import of {hazard.closing}"
    for thread, chain in zip(("T1", "T2"), hazard.chains, strict=True):
        yield f"  {thread} {' > '.join(_link(link) for link in chain)}"
    yield f"  T2 waits for {hazard.awaited}, T1 for {hazard.closing}"
    if proof is not None:
        yield f"  {proof.answer.value} {proof.seen} of {proof.runs}" + (f": {proof.error}" if proof.error else "")
        if proof.where:
            yield f"  at {proof.where}"


def _link(link: Link) -> str:
    return f"{link.module} ({link.place})" if link.place else link.module


def _table(arguments: argparse.Namespace, context: Context) -> ExitCode:
    console = context.console
    named = [*arguments.interpreters]
    if arguments.unpacked:
        timeout = context.settings.timeout
        named += [str(path) for path in unpack_pythons(layout=context.layout, console=console, timeout=timeout)]
    pythons = _unique([*pythons_at_hand(), *(identify([name]) for name in named)])
    console.note(f"on {', '.join(python.text for python in pythons)}")
    measured = []
    wrong = 0
    for played in play_rows(pythons, jobs=context.settings.jobs):
        measured.append(played)
        difference = disagreement(played)
        if difference:
            wrong += 1
            console.warn(f"{played.case} on {as_version(played.version)}: {difference}")
    if arguments.write:
        machine = f"{platform.system()} {platform.machine()}"
        page = render_page(measured, date=datetime.now(UTC).strftime("%Y-%m-%d"), machine=machine)
        arguments.write.write_text(page, encoding="utf-8")
    console.say(f"{len(measured)} runs, {wrong} not as the table says")
    return ExitCode.FINDINGS if wrong else ExitCode.CLEAN


def _unique(pythons: Sequence[Python]) -> list[Python]:
    found = {python.version: python for python in pythons}
    return [found[version] for version in sorted(found)]
