"""Own ``imports table``: its options and exit codes; leave measuring and the page to the imports room."""

from __future__ import annotations

import os
import platform
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cpython.unpacked import unpack_pythons
from python_tsan.errors import ExitCode, UsageError
from python_tsan.imports.measure import identify, play_rows, pythons_at_hand
from python_tsan.imports.page import render_page
from python_tsan.imports.played import disagreement
from python_tsan.imports.rates import measure_rates

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from python_tsan.cli.options import Context
    from python_tsan.imports.measure import Python


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb."""
    table = verbs.add_parser("table", help="measure every row of the table on every interpreter at hand")
    table.add_argument("--with", dest="interpreters", metavar="PYTHON", action="append", default=[], help="another one")
    table.add_argument("--unpacked", action="store_true", help="and on Debian's newest, unpacked privately")
    table.add_argument("--built", action="store_true", help="and on those that were built here, under ThreadSanitizer")
    table.add_argument("--trials", type=int, default=0, help="trials of undirected threads on each (%(default)s)")
    table.add_argument("--write", type=Path, metavar="FILE", help="write the page of import hazards")
    table.set_defaults(act=_table)


def _table(arguments: argparse.Namespace, context: Context) -> ExitCode:
    console = context.console
    if arguments.trials < 0:
        raise UsageError("--trials wants a whole number from 0 on")
    pythons = _unique([*pythons_at_hand(), *(identify([name]) for name in _named(arguments, context))])
    console.note(f"on {', '.join(str(python.build) for python in pythons)}")
    measured = []
    wrong = 0
    for played in play_rows(pythons, jobs=context.settings.jobs):
        measured.append(played)
        difference = disagreement(played)
        if difference:
            wrong += 1
            cure = "" if played.mitigation == "none" else f" under {played.mitigation}"
            console.warn(f"{played.case}{cure} on {played.build}: {difference}")
    rates = []
    for rate in measure_rates(pythons, trials=arguments.trials):
        rates.append(rate)
        console.note(f"{rate.build}, {rate.mitigation}: {rate}")
    if arguments.write:
        date = datetime.now(UTC).strftime("%Y-%m-%d")
        page = render_page(measured, rates, date=date, machine=_machine(), command=_command(arguments))
        arguments.write.write_text(page, encoding="utf-8")
    console.say(f"{len(measured)} runs, {wrong} not as the table says")
    return ExitCode.FINDINGS if wrong else ExitCode.CLEAN


def _command(arguments: argparse.Namespace) -> str:
    """Return the verb with the options that decide what is measured and where it is written."""
    words = ["imports", "table"]
    for interpreter in arguments.interpreters:
        words += ["--with", interpreter]
    words += [f"--{name}" for name in ("unpacked", "built") if getattr(arguments, name)]
    words += ["--trials", str(arguments.trials)] if arguments.trials else []
    return shlex.join([*words, "--write", str(arguments.write)])


def _named(arguments: argparse.Namespace, context: Context) -> Iterator[str]:
    """Yield the interpreters that are asked for beside those at hand."""
    yield from arguments.interpreters
    if arguments.unpacked:
        timeout = context.settings.timeout
        yield from map(str, unpack_pythons(layout=context.layout, console=context.console, timeout=timeout))
    if arguments.built:
        yield from sorted(str(path) for path in context.layout.interpreters.glob("3.*/bin/python3"))


def _machine() -> str:
    """Describe what the rates depend on: the machine, and how much it had to do."""
    load = round(os.getloadavg()[2])
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load average {load}"


def _unique(pythons: Sequence[Python]) -> list[Python]:
    found = {python.build: python for python in pythons}
    return [found[build] for build in sorted(found)]
