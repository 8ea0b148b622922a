"""The verb ``report``: show the ThreadSanitizer logs of any project, or a saved run, in any format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from python_tsan.cli.help_format import add_quiet, add_verbose, end_with
from python_tsan.cli.output import add_output, write_output
from python_tsan.collector import paused
from python_tsan.console import make_console
from python_tsan.errors import ExitCode, UsageError
from python_tsan.render.registry import RENDERINGS, TERMINAL, Context
from python_tsan.render.source import source_reader
from python_tsan.result.model import OLD_FILE, RUN_FILE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from python_tsan.console import Console
    from python_tsan.result.model import Result

OWN_HELP = "your code: a folder, a file or a module's name; may be repeated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``report``."""
    parser.add_argument(
        "paths", nargs="+", metavar="LOG", help="a log, a folder of logs, the folder of a run, or - for standard input"
    )
    add_output(parser, RENDERINGS)
    parser.add_argument("--own", action="append", default=[], metavar="PATH", help=OWN_HELP)
    parser.add_argument("--silent-is-clean", action="store_true", help="treat logs without sanitizer output as clean")
    add_verbose(parser)
    add_quiet(parser)
    end_with(parser, "python-tsan report tsan-logs --own src --format sarif --output races.sarif")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Show the report and return 1 for findings that fail, 0 for none, 2 for invalid input, 6 if nothing was judged."""
    console = make_console(quiet=arguments.quiet)
    with paused():  # findings have no cycles, and with many of them the search for some takes half the time
        report = load_report(
            arguments.paths,
            own=own_paths(arguments.own),
            silent_is_clean=arguments.silent_is_clean,
            once=arguments.format == "json",
        )
        show(report, arguments, console)
    bad = [each for each in report.inputs if each.problem]
    if arguments.output or arguments.format != TERMINAL:
        for each in bad:
            console.warn(f"{each.file}: {each.problem}")
    return exit_code(report)


def exit_code(report: Result) -> ExitCode:
    """Return the exit code of a report. Input that is not a log outweighs everything but a finding."""
    unread = any(each.problem and not each.spoke for each in report.inputs)
    return ExitCode.USAGE if unread and report.exit_code is ExitCode.CLEAN else report.exit_code


def load_report(
    paths: Sequence[str], *, own: tuple[str, ...] = (), silent_is_clean: bool = False, once: bool = False
) -> Result:
    """Return the report of logs, of which the findings are read ``once`` or more often, or that of a run.

    Raises :class:`UsageError` when none of ``paths`` can be read as a log at all, :class:`SubjectError` when a run's
    file cannot be read.
    """
    # `--help` needs none of these, and `run` uses this module for its own help.
    from python_tsan.detect.reading import NO_LOGS, STANDARD_INPUT, read_logs  # noqa: PLC0415
    from python_tsan.result.build import Facts, attributed, build_result  # noqa: PLC0415

    if list(paths) != [STANDARD_INPUT] and (saved := _saved(paths)):
        return attributed(saved, own) if own else saved
    reading = read_logs(paths, packs=once)
    if silent_is_clean:  # a run without a finding leaves the folder of log_path= empty
        reading.inputs = [replace(each, problem="") if each.problem == NO_LOGS else each for each in reading.inputs]
    problems = [each for each in reading.inputs if each.problem and not each.spoke]
    if problems and len(problems) == len(reading.inputs):
        raise UsageError(
            "no log to read: " + "; ".join(f"{each.file}: {each.problem}" for each in problems),
            advice="name a ThreadSanitizer log, or the folder of log_path=",
            page="logs",
        )
    facts = Facts(own=own, inputs=tuple(reading.inputs), silent_is_clean=silent_is_clean)
    return build_result(reading.digest, facts, once=once)


def own_paths(given: Sequence[str]) -> tuple[str, ...]:
    """Return the user's paths as a log may spell them: as given, and absolute if they exist."""
    there = [Path(path) for path in given if os.path.exists(path)]  # noqa: PTH110 -- Path.exists raises for long names
    # A compiler writes the path that it was given, with links or without.
    absolute = (str(path) for each in there for path in (each.absolute(), each.resolve()))
    return tuple(dict.fromkeys((*given, *absolute)))


def show(report: Result, arguments: argparse.Namespace, console: Console) -> None:
    """Write the rendering to its file, or to standard output."""
    if arguments.format == TERMINAL and arguments.output is None:
        from python_tsan.render.terminal import render_lines  # noqa: PLC0415 -- only the requested rendering is loaded

        console.lines(render_lines(report, verbose=arguments.verbose, quiet=arguments.quiet))
        return
    context = Context(
        root=str(Path.cwd()),
        source_lines=source_reader((Path.cwd(), *arguments.own)),
        verbose=arguments.verbose,
        quiet=arguments.quiet,
    )
    parts = RENDERINGS[arguments.format].parts(report, context)
    write_output(parts, arguments.format, arguments.output, console)


def _saved(paths: Sequence[str]) -> Result | None:
    """Return the result of a run, when the one path is its folder or its file."""
    if len(paths) != 1:
        return None
    path = Path(paths[0])
    file = next((each for each in (path / RUN_FILE, path / OLD_FILE, path) if os.path.isfile(each)), None)  # noqa: PTH113 -- see own_paths
    if file is None or file.name not in {RUN_FILE, OLD_FILE}:
        return None
    from python_tsan.result.codec import load_result  # noqa: PLC0415 -- most reports are of logs

    return load_result(file)
