"""Read the options of the table of mistakes, measure it, and write its page."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan import process
from python_tsan.cli.failures import as_exit_code
from python_tsan.cli.options import add_settings, count, open_context
from python_tsan.cpython.manifest import read_manifest
from python_tsan.cpython.stock import OLDEST, ask
from python_tsan.errors import ExitCode, UsageError
from python_tsan.plain_text import counted
from python_tsan.preload_library import LOCK_RECORDER, build_library
from python_tsan.running.companion import obtain_companion
from python_tsan.storage import storage_errors, write_whole
from python_tsan.version import parse_version
from tools.contract_table.measure import cases, compile_program, measure
from tools.contract_table.page import render_page
from tools.debian_pythons import unpack_pythons
from tools.late_threads.measure import built_target, stock_targets, unpacked_target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.cli.options import VerbContext
    from tools.contract_table.measure import Measured
    from tools.late_threads.measure import Target


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and return the exit code: FINDINGS when a mistake is missed or a right program is reported."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.contract_table", description="Measure which mistakes with Python's C API are found."
    )
    add = parser.add_argument
    add("--python", dest="pythons", metavar="PATH", type=Path, action="append", default=[], help="additional Python")
    add("--unpacked", action="store_true", help="also test Debian sid's Pythons, unpacked privately")
    add("--built", metavar="VERSION", action="append", default=[], help="also test builds of this version made here")
    add("--only", metavar="CASE", action="append", default=[], help="run this case only")
    add("--jobs", type=count, default=4, metavar="N", help="cases at a time (4)")
    add("--output", type=Path, metavar="FILE", help="write the page")
    add_settings(parser, "cache", "network-timeout")
    return as_exit_code(lambda: _table(parser.parse_args(arguments)), last=arguments is None)


def _table(arguments: argparse.Namespace) -> ExitCode:
    context = open_context(arguments)
    console = context.console
    recorder = build_library(LOCK_RECORDER, layout=context.layout, console=console)
    include = _include(arguments.pythons)
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        for target in _targets(arguments, context):
            program = compile_program(target, Path(folder), include=include)
            chosen = [each for each in cases(target, program) if not arguments.only or each.name in arguments.only]
            libraries = [recorder, *_shims(target, context)]
            run = partial(measure, target, program=program, libraries=libraries)
            for result in process.in_parallel(run, chosen, jobs=arguments.jobs):
                measured.append(result)
                if not result.is_as_expected:
                    rules = [sorted(rule.name for rule in rules) for rules in (result.wrong, result.right)]
                    console.warn(f"{target.name}, {result.case.name}: {result.expected} expected, {rules} found")
            console.note(f"{target.name}: {counted(len(chosen), 'case')}")
    wrong = sum(not each.is_as_expected for each in measured)
    if arguments.output:
        _write(measured, arguments)
    console.say(f"{counted(len(measured), 'case')}, {wrong} not as expected")
    return ExitCode.FINDINGS if wrong else ExitCode.CLEAN


def _include(pythons: Sequence[Path]) -> Path:
    """Return the headers of a stock Python; the program needs the stable ABI only."""
    found = [*(stock for path in pythons if (stock := ask(path)))]
    folder = next((each.include for each in found if (each.include / "Python.h").is_file()), None)
    if folder is None:
        raise UsageError("no Python with headers was named", advice="name one with --python")
    return folder


def _shims(target: Target, context: VerbContext) -> list[Path]:
    """Return the library without which a sanitizer's runtime crashes in the thread of a timer."""
    interpreter = read_manifest(target.home) if target.sanitized else None
    if interpreter is None:
        return []
    companion = obtain_companion(interpreter=interpreter, compiler=None, layout=context.layout, console=context.console)
    return [companion] if companion else []


def _targets(arguments: argparse.Namespace, context: VerbContext) -> list[Target]:
    found = {target.name: target for target in _all_targets(arguments, context)}
    usable = [each for each in found.values() if parse_version(each.version).release >= OLDEST]
    return sorted(usable, key=lambda target: target.order)


def _all_targets(arguments: argparse.Namespace, context: VerbContext) -> Iterator[Target]:
    yield from stock_targets(arguments.pythons)
    if arguments.unpacked:
        timeout = context.settings.network_timeout
        yield from map(unpacked_target, unpack_pythons(layout=context.layout, console=context.console, timeout=timeout))
    for folder in sorted(context.layout.interpreters.glob("3.*")) if arguments.built else ():
        if (interpreter := read_manifest(folder)) and interpreter.version in arguments.built:
            yield built_target(interpreter)


def _write(measured: Sequence[Measured], arguments: argparse.Namespace) -> None:
    words = ["tools.contract_table", *(word for path in arguments.pythons for word in ("--python", str(path)))]
    words += ["--unpacked"] if arguments.unpacked else []
    words += [word for version in arguments.built for word in ("--built", version)]
    page = render_page(measured, command=shlex.join([*words, "--output", str(arguments.output)]))
    with storage_errors(arguments.output, option="--output"):
        write_whole(arguments.output.absolute(), page.encode())


if __name__ == "__main__":
    raise SystemExit(main())
