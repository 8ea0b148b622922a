"""Read the options of the table of late threads, measure it, and write its page."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.failures import as_exit_code
from python_tsan.cli.options import add_settings, count, open_context
from python_tsan.cpython.manifest import read_manifest
from python_tsan.errors import ExitCode
from python_tsan.plain_text import counted
from python_tsan.storage import storage_errors, write_whole
from tools.debian_pythons import unpack_pythons
from tools.late_threads.expected import disagreement
from tools.late_threads.measure import (
    LIMIT_SECONDS,
    built_target,
    cases,
    compile_program,
    measure,
    stock_targets,
    unpacked_target,
)
from tools.late_threads.page import render_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.cli.options import VerbContext
    from tools.late_threads.measure import Measured, Target


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and return the exit code: FINDINGS when an outcome is not as the table says."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.late_threads",
        description="Measure what happens to native threads that use Python during and after Py_FinalizeEx.",
    )
    add = parser.add_argument
    add("--python", dest="pythons", metavar="PATH", type=Path, action="append", default=[], help="additional Python")
    add("--unpacked", action="store_true", help="also test Debian sid's Pythons, unpacked privately")
    add("--built", action="store_true", help="also test the interpreters that were built here, under ThreadSanitizer")
    add("--runs", type=count, default=5, metavar="N", help="runs of each case (5)")
    add("--output", type=Path, metavar="FILE", help="write the page of late threads")
    add_settings(parser, "cache", "network-timeout")
    return as_exit_code(lambda: _table(parser.parse_args(arguments)), last=arguments is None)


def _table(arguments: argparse.Namespace) -> ExitCode:
    context = open_context(arguments)
    console = context.console
    measured: list[Measured] = []
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for target in _targets(arguments, context):
            program = compile_program(target, Path(folder))
            for how, when in cases(target):
                result = measure(target, how, when, program=program, runs=arguments.runs)
                measured.append(result)
                difference = disagreement(result)
                wrong += bool(difference)
                report = console.warn if difference else console.note
                report(f"{target.name}, {how.value} thread, {when.value}: {difference or result}")
    if arguments.output:
        _write(measured, arguments)
    console.say(f"{counted(len(measured), 'case')}, {wrong} not as the table says")
    return ExitCode.FINDINGS if wrong else ExitCode.CLEAN


def _targets(arguments: argparse.Namespace, context: VerbContext) -> list[Target]:
    found = {target.name: target for target in _all_targets(arguments, context)}
    return sorted(found.values(), key=lambda target: target.order)


def _all_targets(arguments: argparse.Namespace, context: VerbContext) -> Iterator[Target]:
    yield from stock_targets(arguments.pythons)
    if arguments.unpacked:
        timeout = context.settings.network_timeout
        yield from map(unpacked_target, unpack_pythons(layout=context.layout, console=context.console, timeout=timeout))
    if arguments.built:
        for folder in sorted(context.layout.interpreters.glob("3.*")):
            if interpreter := read_manifest(folder):
                yield built_target(interpreter)


def _write(measured: Sequence[Measured], arguments: argparse.Namespace) -> None:
    named = [word for path in arguments.pythons for word in ("--python", str(path))]
    words = ["tools.late_threads", *named, *(f"--{name}" for name in ("unpacked", "built") if getattr(arguments, name))]
    page = render_page(
        measured,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        command=shlex.join([*words, "--runs", str(arguments.runs), "--output", str(arguments.output)]),
        limit=LIMIT_SECONDS,
    )
    with storage_errors(arguments.output, option="--output"):
        write_whole(arguments.output.absolute(), page.encode())


if __name__ == "__main__":
    raise SystemExit(main())
