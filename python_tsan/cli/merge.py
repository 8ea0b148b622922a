"""The verb ``merge``: merge the runs of one subject from several machines; save and show the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.help_format import add_verbose, end_with
from python_tsan.cli.options import add_settings, open_context
from python_tsan.cli.output import add_formats, add_to_job_summary, formats_of
from python_tsan.plain_text import counted
from python_tsan.render.registry import TERMINAL, Context, write_renderings
from python_tsan.render.source import source_reader
from python_tsan.result.codec import encode_result
from python_tsan.result.merge import merge, unite
from python_tsan.result.model import RUN_FILE, ResultKind
from python_tsan.result.runs import PARTS_FOLDER, load_parts
from python_tsan.result.store import open_run
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from python_tsan.cli import options
    from python_tsan.errors import ExitCode
    from python_tsan.result.model import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``merge``."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="a run's folder, a folder of runs, or an earlier merge")
    add_formats(parser)
    add_verbose(parser)
    add_settings(parser, "output")
    end_with(parser, "python-tsan merge downloads/* --output merged")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Merge, save the result with all parts, show it, and return the code of the merged run."""
    formats = formats_of(arguments.format)
    given = list(load_parts(arguments.runs))
    parts = unite(given)
    context = open_context(arguments)
    if len(given) > len(parts):
        context.console.note(f"{counted(len(given) - len(parts), 'duplicate')} skipped")
    return save_merged(parts, formats, context, verbose=arguments.verbose).exit_code


def save_merged(
    parts: Sequence[Result], formats: Sequence[str], context: options.VerbContext, *, verbose: bool
) -> Result:
    """Merge parts, which are as :func:`unite` returns them; save the result with them all, and show it."""
    from python_tsan.render import terminal  # noqa: PLC0415 -- mostly needed, never for machines

    merged = merge(parts)
    folder, console = open_run(context.settings.output).path, context.console
    with storage_errors(folder):
        for part in parts:
            kept = folder / PARTS_FOLDER / part.id
            kept.mkdir(parents=True)
            write_whole(kept / RUN_FILE, encode_result(part))
        write_renderings(merged, folder, formats, Context(source_lines=source_reader((Path.cwd(),))))
    if not formats or TERMINAL in formats:
        if merged.kind is ResultKind.CHECKS:
            console.lines(terminal.render_checks(merged))
            console.say(f"evidence: {folder / RUN_FILE}")
            add_to_job_summary(merged)
        else:
            console.lines(terminal.render_lines(merged, verbose=verbose))
    console.note(f"all files: {folder}")
    return merged
