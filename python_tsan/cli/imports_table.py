"""Own ``imports table``: its options and exit codes; leave measuring and the page to the imports room."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.unpacked import unpack_pythons
from python_tsan.errors import ExitCode
from python_tsan.imports.measure import identify, play_rows, pythons_at_hand
from python_tsan.imports.page import render_page
from python_tsan.imports.played import as_version, disagreement

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from python_tsan.cli.options import Context
    from python_tsan.imports.measure import Python


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb."""
    table = verbs.add_parser("table", help="measure every row of the table on every interpreter at hand")
    table.add_argument("--with", dest="interpreters", metavar="PYTHON", action="append", default=[], help="another one")
    table.add_argument("--unpacked", action="store_true", help="and on Debian's newest, unpacked privately")
    table.add_argument("--write", type=Path, metavar="FILE", help="write the page of import hazards")
    table.set_defaults(act=_table)


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
