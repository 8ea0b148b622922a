"""Define the verb ``gil``: record why the GIL is released, and answer questions about the record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from python_tsan.cli.help_format import add_quiet, end_with
from python_tsan.cli.options import add_settings, count, count_or_zero, open_context
from python_tsan.collector import paused
from python_tsan.console import make_console
from python_tsan.errors import ExitCode, SubjectError, UsageError
from python_tsan.gil.analysis import explain_trace
from python_tsan.gil.codec import MAGIC, decode, encode
from python_tsan.gil.engine import DEFAULT_BYTES, NothingSeenError, Settings
from python_tsan.gil.engine_diff import COLUMNS as AGREEMENT
from python_tsan.gil.engine_diff import compare
from python_tsan.gil.registry import ANY_DEBUGGER, ENGINES, NAMES, find_engine
from python_tsan.gil.summary import caveats, summarise, time_lost, why
from python_tsan.gil.timeline import chrome_trace, html_page
from python_tsan.plain_text import counted
from python_tsan.storage import read_regular, storage_errors, write_named

if TYPE_CHECKING:
    import argparse

    from python_tsan.console import Console
    from python_tsan.gil.trace import Trace

DEFAULT_TRACE = "gil.trace"
MEGABYTE = 1 << 20
MOST_BYTES = 8 << 30  # a trace of 50 million releases has about 1 GB
_TIMELINES = {"html": "open it in a browser", "json": "open it at https://ui.perfetto.dev"}
_ENGINES = ", ".join(f"{engine.name} ({engine.summary})" for engine in ENGINES)


class Act(Protocol):
    """The function of one verb of ``gil``."""

    def __call__(self, arguments: argparse.Namespace, console: Console) -> ExitCode:
        """Return the exit code."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of ``gil``; each sets ``act``."""
    verbs = parser.add_subparsers(dest="gil_verb", metavar="VERB", required=True)
    _add_trace(verbs.add_parser("trace", help="run a command and record each release of the GIL"))
    compare = verbs.add_parser("compare", help="compare two traces of one program by different engines")
    compare.add_argument("traces", type=Path, nargs=2, metavar="TRACE", help="the two traces")
    _end(compare, _compare, "python-tsan gil compare preload.trace gdb.trace")
    summary = verbs.add_parser(
        "summary", help="count releases by phase, module, C function, thread; waits with the GIL held"
    )
    _add_trace_file(summary)
    _end(summary, _summary, "python-tsan gil summary")
    reasons = verbs.add_parser("why", help="list each release during one import, with its reason and stack")
    reasons.add_argument("imported", metavar="MODULE", help="the full name of a module")
    _add_trace_file(reasons)
    reasons.add_argument("--frames", type=count_or_zero, metavar="N", help="Python frames of each release (all)")
    _end(reasons, _why, "python-tsan gil why numpy --frames 5")
    timeline = verbs.add_parser("timeline", help="write a timeline, as a page or for Perfetto")
    _add_trace_file(timeline)
    timeline.add_argument(
        "--format", choices=_TIMELINES, default="html", help="html: a page; json: for https://ui.perfetto.dev (html)"
    )
    timeline.add_argument("--output", type=Path, metavar="FILE", help="the file (gil.html or gil.json)")
    _end(timeline, _timeline, "python-tsan gil timeline --format json --output gil.json")


def _add_trace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, default=Path(DEFAULT_TRACE), metavar="FILE", help="the trace (%(default)s)"
    )
    parser.add_argument(
        "--engine",
        choices=NAMES,
        default=ENGINES[0].name,
        help=f"{_ENGINES}, {ANY_DEBUGGER} (the first that is installed); default: %(default)s",
    )
    parser.add_argument(
        "--memory",
        type=count,
        default=DEFAULT_BYTES // MEGABYTE,
        metavar="MB",
        help="memory for each process (%(default)s)",
    )
    parser.add_argument("command", nargs="+", metavar="-- COMMAND", help="the program with its arguments")
    add_settings(parser, "cache")
    parser.set_defaults(act=_trace)
    end_with(parser, "python-tsan gil trace -- python3 -c 'import numpy'")


def _add_trace_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "trace", type=Path, nargs="?", metavar="TRACE", default=Path(DEFAULT_TRACE), help="the trace (%(default)s)"
    )


def _end(parser: argparse.ArgumentParser, act: Act, example: str) -> None:
    add_quiet(parser)
    parser.set_defaults(act=act)
    end_with(parser, example)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run one of the verbs. ``gil trace`` ends with the exit code of the traced command.

    If that is 0 and no release was recorded, it is an error: there is no trace.
    """
    act: Act = arguments.act
    return act(arguments, make_console(quiet=arguments.quiet))


def _trace(arguments: argparse.Namespace, console: Console) -> ExitCode:
    context = open_context(arguments)
    _refuse_unwritable(arguments.output)
    engine = find_engine(arguments.engine, os.environ)
    settings = Settings(layout=context.layout, console=console, memory=arguments.memory * MEGABYTE)
    try:
        trace = engine.trace(arguments.command, env=os.environ, settings=settings)
    except NothingSeenError as error:
        if error.command_exit == 0:
            raise
        console.warn(error.message)
        raise SystemExit(error.command_exit) from error
    cut = _cut_short(arguments.output, trace)
    releases = sum(1 for process in trace.processes for event in process.events if event.released)
    console.note(f"{counted(releases, 'release')} in {counted(len(trace.processes), 'process')}: {arguments.output}")
    for caveat in caveats(trace):
        console.warn(caveat)
    if trace.exit_code:
        if cut:
            console.warn(cut.message)
        raise SystemExit(trace.exit_code)
    if cut:
        raise cut
    return ExitCode.CLEAN


def _cut_short(path: Path, trace: Trace) -> SubjectError | None:
    """Write the trace; return the error if it could not be written completely."""
    try:
        with path.open("wb") as file:
            file.writelines(encode(trace))
    except OSError as error:
        return SubjectError(
            f"{path} is cut short at {path.stat().st_size:,} bytes: {error.strerror}",
            evidence=path,
            advice="free some space and trace again, or read the complete part",
            page="storage",
        )
    return None


def _refuse_unwritable(path: Path) -> None:
    """Raise before anything is run, so that no trace is lost."""
    existed = path.exists()
    if existed and not path.is_file():  # to open a pipe could wait for ever
        raise UsageError(f"the trace cannot be written: {path} is not a regular file", page="gil")
    with storage_errors(path), path.open("ab"):
        pass
    if not existed:
        path.unlink()


def _timeline(arguments: argparse.Namespace, console: Console) -> ExitCode:
    output = arguments.output or Path(f"gil.{arguments.format}")
    with paused():
        trace = _read(arguments.trace)
        pieces = [html_page(trace)] if arguments.format == "html" else chrome_trace(trace)
        with storage_errors(output):
            write_named(output.absolute(), (piece.encode() for piece in pieces))
    console.say(f"{output}: {_TIMELINES[arguments.format]}")
    return ExitCode.CLEAN


def _compare(arguments: argparse.Namespace, console: Console) -> ExitCode:
    first, second = (_read(path) for path in arguments.traces)
    if not first.processes or not second.processes:
        raise UsageError("a trace has no process to compare", page="gil")
    agreements = compare(first.processes[0], second.processes[0])
    title = f"{first.engine} and {second.engine}: {' '.join(first.command)}"
    console.table(title, AGREEMENT, [one.cells for one in agreements])
    for one in agreements:
        if not one.holds:
            # On its own line: with a stack of Python frames it is wider than any table.
            console.warn(f"{one.thread} differs at {one.difference}")
    return ExitCode.CLEAN if all(one.holds for one in agreements) else ExitCode.FINDINGS


def _read(path: Path) -> Trace:
    try:
        data = read_regular(path, limit=MOST_BYTES, begins=MAGIC.rstrip())
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", advice="record one: python-tsan gil trace -- COMMAND", page="gil"
        ) from error
    return decode(data, source=path)


def _why(arguments: argparse.Namespace, console: Console) -> ExitCode:
    releases = explain_trace(_read(arguments.trace))
    for line in why(releases, arguments.imported, frames=arguments.frames):
        console.say(line)
    return ExitCode.CLEAN


def _summary(arguments: argparse.Namespace, console: Console) -> ExitCode:
    trace = _read(arguments.trace)
    releases = explain_trace(trace)
    console.say(f"{' '.join(trace.command)}: {counted(len(releases), 'release')}, engine {trace.engine}")
    for table in (time_lost(trace.processes), *summarise(releases)):
        if table.rows:
            console.say("")
            console.table(table.title, table.columns, table.rows)
    for caveat in caveats(trace):
        console.warn(caveat)
    return ExitCode.CLEAN
