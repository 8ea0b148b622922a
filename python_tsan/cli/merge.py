"""The verb ``merge``: merge the runs of one subject from many machines; save and show the result."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.run import exit_code, formats_of
from python_tsan.console import make_console
from python_tsan.render.registry import JSON, RENDERINGS, TERMINAL, Context
from python_tsan.render.source import source_reader
from python_tsan.result.codec import RUN_FILE, encode_result
from python_tsan.result.merge import merge, unite
from python_tsan.result.model import ResultKind
from python_tsan.result.runs import PARTS_FOLDER, load_parts
from python_tsan.result.store import open_run
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    import argparse

    from python_tsan.console import Console
    from python_tsan.errors import ExitCode
    from python_tsan.result.model import Result


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
    """Merge, save with all parts, show, and answer as one run of all of them would."""
    formats = formats_of(arguments.format)
    given = list(load_parts(arguments.runs))
    parts = unite(given)
    console = make_console(quiet=arguments.quiet)
    if len(given) > len(parts):
        console.note(f"{len(given) - len(parts)} of the runs were given more than once, and count once")
    merged = merge(parts)
    folder = open_run(arguments.output or Path.cwd() / "runs").path
    with storage_errors(folder):
        for part in parts:
            kept = folder / PARTS_FOLDER / part.id
            kept.mkdir(parents=True)
            write_whole(kept / RUN_FILE, encode_result(part))
        context = Context(source_lines=source_reader((Path.cwd(),)))
        for name in dict.fromkeys((JSON, *formats)):
            if name != TERMINAL:
                write_whole(folder / RENDERINGS[name].file_name, RENDERINGS[name].render(merged, context))
    if not formats or TERMINAL in formats:
        _show(merged, folder, console, verbose=arguments.verbose)
    console.note(f"everything in {folder}")
    return exit_code(merged)


def _show(merged: Result, folder: Path, console: Console, *, verbose: bool) -> None:
    from python_tsan.render import markdown, terminal  # noqa: PLC0415 -- mostly needed, never for machines

    if merged.kind is not ResultKind.CHECKS:
        console.lines(terminal.render_lines(merged, verbose=verbose))
        return
    console.lines(terminal.render_checks(merged))
    console.say(f"evidence: {folder / RUN_FILE}")
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown.render_checks(merged))
