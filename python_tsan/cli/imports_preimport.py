"""Own ``imports preimport``: its options and exit codes; leave the list to :mod:`python_tsan.imports.preimport`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.imports_scan import add_probe, probe_of, write_file
from python_tsan.errors import ExitCode
from python_tsan.imports.preimport import Language, plan, write

if TYPE_CHECKING:
    import argparse

    from python_tsan.cli.options import Context


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb."""
    listing = verbs.add_parser("preimport", help="write the shortest list of imports that removes every hazard")
    listing.add_argument("entries", nargs="+", metavar="ENTRY", help="a module that a thread may import")
    listing.add_argument("--as", dest="language", choices=[each.value for each in Language], default="python")
    listing.add_argument("--write", type=Path, metavar="FILE", help="write the list here instead of printing it")
    listing.add_argument("--check", type=Path, metavar="FILE", help="fail unless this file is what would be written")
    add_probe(listing)
    listing.set_defaults(act=_preimport)


def _preimport(arguments: argparse.Namespace, context: Context) -> ExitCode:
    found = plan(probe_of(arguments), arguments.entries, runs=arguments.runs)
    text = write(found, Language(arguments.language))
    hazards = len(found.before.findings)
    context.console.note(f"{hazards} hazards without the list, none with it ({len(found.modules)} modules)")
    if arguments.check:
        if arguments.check.exists() and arguments.check.read_text(encoding="utf-8", errors="replace") == text:
            return ExitCode.CLEAN
        context.console.warn(f"{arguments.check} is stale; it should import {', '.join(found.modules) or 'nothing'}")
        return ExitCode.FINDINGS
    if arguments.write:
        write_file(arguments.write, text, context)
    else:
        context.console.say(text.rstrip("\n"))
    return ExitCode.CLEAN
