"""Own the verb ``merge``: runs of one subject from many machines, added up, kept and shown as one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.run import exit_code, formats_of
from python_tsan.console import make_console
from python_tsan.merging import checks, programs
from python_tsan.merging.parts import CheckedPart, Part, ProgramPart, unite
from python_tsan.merging.reading import PARTS_FOLDER, load_parts
from python_tsan.render.registry import JSON, RENDERINGS, TERMINAL, Context
from python_tsan.render.run import encode_run
from python_tsan.render.source import source_reader
from python_tsan.render.store import RUN_FILE, open_run
from python_tsan.report.codec import REPORT_FILE, encode_report
from python_tsan.running.account import EVIDENCE_FILE, encode_account
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from python_tsan.console import Console
    from python_tsan.errors import ExitCode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``merge``."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="a run's folder, a folder of runs, or an earlier merge")
    add("--output", type=Path, default=None, metavar="DIR", help="folder that receives the merge (runs)")
    add(
        "--format",
        action="append",
        default=[],
        metavar="FORMAT",
        help=f"{', '.join(RENDERINGS)}; may be repeated (runs of a program)",
    )
    add("--verbose", action="store_true", help="whole stacks, and findings that do not fail")
    add("--quiet", action="store_true", help="print results only")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Add up, save with all parts, show, and answer as one run of all of them would."""
    formats = formats_of(arguments.format)
    given = list(load_parts(arguments.runs))
    parts = unite(given)
    console = make_console(quiet=arguments.quiet)
    if len(given) > len(parts):
        console.note(f"{len(given) - len(parts)} of the runs were given more than once, and count once")
    folder = open_run(arguments.output or Path.cwd() / "runs").path
    with storage_errors(folder):
        for part in parts:
            _keep(part, folder / PARTS_FOLDER / part.name)
        code = _finish(parts, folder, formats, console, verbose=arguments.verbose)
    console.note(f"everything in {folder}")
    return code


def _keep(part: Part, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, data in _files(part):
        write_whole(folder / name, data)


def _files(part: Part) -> Iterator[tuple[str, bytes]]:
    if isinstance(part, CheckedPart):
        yield RUN_FILE, encode_run(part.run)
    else:
        yield REPORT_FILE, encode_report(part.report)
        yield EVIDENCE_FILE, encode_account(part.account)


def _finish(
    parts: Sequence[Part], folder: Path, formats: tuple[str, ...], console: Console, *, verbose: bool
) -> ExitCode:
    checked = [part for part in parts if isinstance(part, CheckedPart)]
    if checked:
        return _show_run(checked, folder, console)
    report = programs.add_up([part for part in parts if isinstance(part, ProgramPart)])
    context = Context(source_lines=source_reader((Path.cwd(),)))
    for name in dict.fromkeys((JSON, *formats)):
        if name != TERMINAL:
            write_whole(folder / RENDERINGS[name].file_name, RENDERINGS[name].render(report, context))
    if not formats or TERMINAL in formats:
        from python_tsan.render.terminal import render_lines  # noqa: PLC0415 -- mostly needed, never for machines

        console.lines(render_lines(report, verbose=verbose))
    return exit_code(report)


def _show_run(parts: Sequence[CheckedPart], folder: Path, console: Console) -> ExitCode:
    from python_tsan.render.checks import render_run  # noqa: PLC0415 -- as above
    from python_tsan.render.checks_markdown import render_markdown  # noqa: PLC0415 -- of this kind of run only

    merged = checks.add_up(parts)
    write_whole(folder / RUN_FILE, encode_run(merged))
    for line in render_run(merged, saved=folder / RUN_FILE):
        console.say(line)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(render_markdown(merged))
    return merged.exit_code
