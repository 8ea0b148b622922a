"""Own ``imports preimport``: its options and exit codes; leave the list to :mod:`python_tsan.imports.preimport`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.imports_scan import add_probe, probe_of, shown, write_file
from python_tsan.errors import ExitCode, SubjectError
from python_tsan.imports.preimport import STEPS, Language, plan, write
from python_tsan.plain_text import counted

if TYPE_CHECKING:
    import argparse

    from python_tsan.cli.options import Context


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb."""
    listing = verbs.add_parser("preimport", help="write the shortest list of imports that removes every hazard")
    listing.add_argument("entries", nargs="+", metavar="ENTRY", help="a module that a thread may import")
    listing.add_argument("--as", dest="language", choices=[each.value for each in Language], default="python")
    where = listing.add_mutually_exclusive_group()
    where.add_argument("--write", type=Path, metavar="FILE", help="write the list here instead of printing it")
    where.add_argument("--check", type=Path, metavar="FILE", help="fail unless this file is what would be written")
    add_probe(listing)
    listing.set_defaults(act=_preimport)


def _preimport(arguments: argparse.Namespace, context: Context) -> ExitCode:
    # A file that cannot be read is told before the work, not after it.
    there = _read(arguments.check) if arguments.check else ""
    probe = probe_of(arguments, context)
    with shown(STEPS, context) as advance:
        found = plan(probe, arguments.entries, runs=arguments.runs, advance=advance)
    text = write(found, Language(arguments.language))
    hazards = counted(len(found.before.findings), "hazard")
    context.console.note(f"{hazards} without the list, none with it ({counted(len(found.modules), 'module')})")
    if arguments.check:
        if there == text:
            context.console.note(f"{arguments.check} is what would be written today")
            return ExitCode.CLEAN
        state = "is not there" if there is None else "is stale"
        context.console.warn(f"{arguments.check} {state}; it should import {', '.join(found.modules) or 'nothing'}")
        return ExitCode.FINDINGS
    if arguments.write:
        write_file(arguments.write, text, context)
    else:
        context.console.say(text.rstrip("\n"))
    return ExitCode.CLEAN


def _read(path: Path) -> str | None:
    """Return the text of a file, None where there is none. Raises SubjectError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SubjectError(f"cannot read {path}: {error.strerror}") from error
