"""Read the options of the import table, measure it, and write its page."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.failures import as_exit_code
from python_tsan.cli.options import add_settings, count, open_context
from python_tsan.errors import ExitCode, Interrupted
from python_tsan.imports.model.interpreter import identify
from python_tsan.plain_text import counted
from python_tsan.process import keeping
from tools.debian_pythons import unpack_pythons
from tools.import_table.case_results import disagreement
from tools.import_table.measure import build_of, run_rows
from tools.import_table.page import render_page
from tools.import_table.rates import measure_rates
from tools.pythons import pythons_at_hand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.cli.options import VerbContext
    from python_tsan.console import Console
    from python_tsan.imports.model.interpreter import Python
    from tools.import_table.case_results import CaseResult
    from tools.import_table.rates import Rate


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the table and return the exit code: FINDINGS when a run is not as the table says."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.import_table",
        description="Measure every row of the import table on every interpreter of this machine.",
    )
    add = parser.add_argument
    add("--python", dest="interpreters", metavar="PATH", action="append", default=[], help="additional interpreter")
    add("--unpacked", action="store_true", help="also test Debian sid's Pythons, unpacked privately")
    add("--built", action="store_true", help="also test the interpreters that were built here, under ThreadSanitizer")
    add("--repeat", type=count, default=0, metavar="N", help="also run unscheduled threads N times on each (0)")
    add("--output", type=Path, metavar="FILE", help="write the page of import hazards")
    add_settings(parser, "cache", "jobs", "network-timeout")
    return as_exit_code(lambda: _table(parser.parse_args(arguments)), last=arguments is None)


def _table(arguments: argparse.Namespace) -> ExitCode:
    context = open_context(arguments)
    console = context.console
    pythons = _unique([*pythons_at_hand(), *(identify([name]) for name in _named(arguments, context))])
    console.note(f"on {', '.join(str(build_of(python)) for python in pythons)}")
    measuring = _Measuring(arguments=arguments, console=console)
    with keeping(measuring.interrupted):
        measuring.measured = run_rows(pythons, jobs=context.settings.jobs, on_result=measuring.keep)
        for rate in measure_rates(pythons, trials=arguments.repeat):
            measuring.rates.append(rate)
            console.note(f"{rate.build}, {rate.mitigation}: {rate}")
    if arguments.output:
        measuring.write(arguments.output)
    return ExitCode.FINDINGS if measuring.conclude() else ExitCode.CLEAN


@dataclass(kw_only=True)
class _Measuring:
    """A table under way: every run that has ended, and every rate."""

    arguments: argparse.Namespace
    console: Console
    measured: list[CaseResult] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)

    def keep(self, result: CaseResult) -> None:
        """Keep a result, and warn when it is not as the table says."""
        self.measured.append(result)
        difference = disagreement(result)
        if difference:
            mitigation = "" if result.mitigation == "none" else f" under {result.mitigation}"
            self.console.warn(f"{result.case}{mitigation} on {result.build}: {difference}")

    def conclude(self) -> int:
        """Say how many runs there were, and return how many were not as the table says."""
        wrong = sum(bool(disagreement(result)) for result in self.measured)
        self.console.say(f"{counted(len(self.measured), 'run')}, {wrong} not as the table says")
        return wrong

    def write(self, file: Path, *, unfinished: str = "") -> None:
        """Write the page. Raises ``UsageError`` where it cannot be written."""
        from python_tsan.storage import storage_errors, write_whole  # noqa: PLC0415 -- help does without

        page = render_page(
            self.measured,
            self.rates,
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            machine=_machine(),
            command=_command(self.arguments),
            unfinished=unfinished,
        )
        with storage_errors(file, option="--output"):
            write_whole(file.absolute(), page.encode())

    def interrupted(self) -> Interrupted:
        """Show what had been measured; a page that is whole is not replaced."""
        from python_tsan.storage import unfinished_file  # noqa: PLC0415 -- as above

        measured = f"{counted(len(self.measured), 'run')} finished" + (
            f", and {counted(len(self.rates), 'rate')}" if self.rates else ""
        )
        self.conclude()
        target = unfinished_file(self.arguments.output.absolute()) if self.arguments.output else None
        if target:
            self.write(target, unfinished=f"Interrupted when {measured}.")
        return Interrupted(measured, evidence=target, advice="the same command; a table is measured in one go")


def _command(arguments: argparse.Namespace) -> str:
    """Return the verb with the options that decide what is measured and where it is written."""
    words = ["tools.import_table"]
    for interpreter in arguments.interpreters:
        words += ["--python", interpreter]
    words += [f"--{name}" for name in ("unpacked", "built") if getattr(arguments, name)]
    words += ["--repeat", str(arguments.repeat)] if arguments.repeat else []
    return shlex.join([*words, "--output", str(arguments.output)])


def _named(arguments: argparse.Namespace, context: VerbContext) -> Iterator[str]:
    """Yield the interpreters that are requested in addition to those at hand."""
    yield from arguments.interpreters
    if arguments.unpacked:
        timeout = context.settings.network_timeout
        yield from map(str, unpack_pythons(layout=context.layout, console=context.console, timeout=timeout))
    if arguments.built:
        yield from sorted(str(path) for path in context.layout.interpreters.glob("3.*/bin/python3"))


def _machine() -> str:
    """Describe what the rates depend on: the machine, and how much it had to do."""
    load = round(os.getloadavg()[2])
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, load average {load}"


def _unique(pythons: Sequence[Python]) -> list[Python]:
    found = {build_of(python): python for python in pythons}
    return [found[build] for build in sorted(found)]


if __name__ == "__main__":
    sys.exit(main())
