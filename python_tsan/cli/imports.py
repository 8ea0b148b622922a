"""Own the verb ``imports``: its own verbs and their exit codes; leave the work to :mod:`python_tsan.imports`."""

from __future__ import annotations

import os
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
from python_tsan.imports.preimport import Language, plan, write
from python_tsan.imports.probe import TRACE_SECONDS, Probe
from python_tsan.imports.scan import scan
from python_tsan.imports.told import Format, standing, tell
from python_tsan.imports.watching import watch

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from python_tsan.cli.options import Context
    from python_tsan.imports.measure import Python

CONFIRM_RUNS = 3
STALL_SECONDS = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of imports, each with its own arguments."""
    verbs = parser.add_subparsers(dest="imports_verb", metavar="VERB", required=True)
    scanning = verbs.add_parser(
        "scan", help="predict which imports can break each other when threads make them at once"
    )
    scanning.add_argument("entries", nargs="+", metavar="ENTRY", help="a module that a thread may import")
    scanning.add_argument("--confirm", action="store_true", help="drive two threads into each predicted hazard")
    confirming = verbs.add_parser("confirm", help="drive two threads that import A and B into what is predicted")
    confirming.add_argument("entries", nargs=2, metavar=("A", "B"))
    listing = verbs.add_parser("preimport", help="write the shortest list of imports that removes every hazard")
    listing.add_argument("entries", nargs="+", metavar="ENTRY", help="a module that a thread may import")
    listing.add_argument("--as", dest="language", choices=[each.value for each in Language], default="python")
    listing.add_argument("--write", type=Path, metavar="FILE", help="write the list here instead of printing it")
    listing.add_argument("--check", type=Path, metavar="FILE", help="fail unless this file is what would be written")
    for each in (scanning, confirming, listing):
        _add_probe(each)
    for each in (scanning, confirming):
        each.add_argument("--format", choices=[form.value for form in Format], default=Format.TERMINAL.value)
    watching = verbs.add_parser("watch", help="run a command and tell who waits for whom when its imports deadlock")
    watching.add_argument("--stall", type=float, default=STALL_SECONDS, help="seconds of standstill (%(default)s)")
    watching.add_argument("command", nargs="...", metavar="-- COMMAND", help="any program that runs Python")
    table = verbs.add_parser("table", help="measure every row of the table on every interpreter at hand")
    table.add_argument("--with", dest="interpreters", metavar="PYTHON", action="append", default=[], help="another one")
    table.add_argument("--unpacked", action="store_true", help="and on Debian's newest, unpacked privately")
    table.add_argument("--write", type=Path, metavar="FILE", help="write the page of import hazards")


def _add_probe(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--with", dest="interpreter", metavar="PYTHON", default="python3", help="any CPython from 3.9")
    add("--path", action="append", type=Path, default=[], help="a folder to find modules in")
    add("--runs", type=int, default=CONFIRM_RUNS, help="directed runs a hazard (%(default)s)")
    add("--patience", type=float, default=TRACE_SECONDS, help="seconds that an import may take (%(default)s)")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Do one of the verbs. FINDINGS: a hazard, a report, a stale list, or a row that is not as the table says."""
    context = open_context(arguments)
    match arguments.imports_verb:
        case "table":
            return _table(arguments, context)
        case "watch":
            return _watch(arguments, context)
        case "preimport":
            return _preimport(arguments, context)
        case _:
            return _scan(arguments, context)


def _probe(arguments: argparse.Namespace) -> Probe:
    if arguments.runs <= 0:
        raise UsageError("--runs wants a whole number above 0")
    if arguments.patience <= 0:
        raise UsageError("--patience wants a number of seconds above 0")
    path = tuple(folder.absolute() for folder in arguments.path)
    return Probe(python=identify([arguments.interpreter]), path=path, patience=arguments.patience)


def _scan(arguments: argparse.Namespace, context: Context) -> ExitCode:
    form = Format(arguments.format)
    confirmed = arguments.imports_verb == "confirm" or arguments.confirm
    found = scan(_probe(arguments), arguments.entries, runs=arguments.runs if confirmed else 0)
    if form is Format.TERMINAL:
        for entry, problem in found.problems.items():
            context.console.warn(f"{entry}: {problem}")
    context.console.say(tell(found, form))
    if standing(found):
        return ExitCode.FINDINGS
    return ExitCode.SUBJECT if found.problems else ExitCode.CLEAN


def _preimport(arguments: argparse.Namespace, context: Context) -> ExitCode:
    found = plan(_probe(arguments), arguments.entries, runs=arguments.runs)
    text = write(found, Language(arguments.language))
    hazards = len(found.before.findings)
    context.console.note(f"{hazards} hazards without the list, none with it ({len(found.modules)} modules)")
    if arguments.check:
        if arguments.check.exists() and arguments.check.read_text(encoding="utf-8", errors="replace") == text:
            return ExitCode.CLEAN
        context.console.warn(f"{arguments.check} is stale; it should import {', '.join(found.modules) or 'nothing'}")
        return ExitCode.FINDINGS
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    else:
        context.console.say(text.rstrip("\n"))
    return ExitCode.CLEAN


def _watch(arguments: argparse.Namespace, context: Context) -> ExitCode:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise UsageError("watch wants a command", advice="python-tsan imports watch -- python3 program.py")
    if arguments.stall <= 0:
        raise UsageError("--stall wants a number of seconds above 0")
    ended = watch(command, stall=arguments.stall, env=os.environ)
    if ended.reports:
        return ExitCode.FINDINGS
    if not ended.interpreters:
        context.console.warn("no Python took up the watch: one that runs with -I, -E or -S leaves PYTHONPATH out")
        return ExitCode.SUBJECT
    if ended.exit_code:
        context.console.warn(f"the command ended with exit code {ended.exit_code}, and its imports were not at fault")
        return ExitCode.SUBJECT
    return ExitCode.CLEAN


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
