"""The verb ``merge``: merge the runs of one subject from several machines; save and show the result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli.help_format import add_verbose, end_with
from python_tsan.cli.merged import save_merged
from python_tsan.cli.options import add_settings, open_context
from python_tsan.cli.run import add_formats, exit_code, formats_of
from python_tsan.plain_text import counted
from python_tsan.result.merge import unite
from python_tsan.result.runs import load_parts

if TYPE_CHECKING:
    import argparse

    from python_tsan.errors import ExitCode


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
    return exit_code(save_merged(parts, formats, context, verbose=arguments.verbose))
