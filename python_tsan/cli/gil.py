"""Define the verb ``gil``: record why the GIL is released, and answer questions about the record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.options import open_context
from python_tsan.errors import ExitCode, SubjectError, UsageError
from python_tsan.gil.analysis import explain_trace
from python_tsan.gil.codec import decode, encode
from python_tsan.gil.engine import DEFAULT_BYTES, NothingSeenError, Settings
from python_tsan.gil.engine_diff import COLUMNS as AGREEMENT
from python_tsan.gil.engine_diff import compare
from python_tsan.gil.registry import ANY_DEBUGGER, ENGINES, NAMES, find_engine
from python_tsan.gil.summary import caveats, summarise, why
from python_tsan.gil.timeline import chrome_trace, html_page
from python_tsan.plain_text import counted
from python_tsan.storage import storage_errors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from python_tsan.cli.options import Context
    from python_tsan.gil.trace import Trace

DEFAULT_TRACE = "gil.trace"
MEGABYTE = 1 << 20
_ENGINES = ", ".join(f"{engine.name} ({engine.summary})" for engine in ENGINES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    trace = actions.add_parser("trace", help="run a command and record each release of the GIL")
    trace.add_argument("-o", "--trace", type=Path, default=Path(DEFAULT_TRACE), help="the trace (%(default)s)")
    trace.add_argument(
        "--engine",
        choices=NAMES,
        default=ENGINES[0].name,
        help=f"{_ENGINES}, {ANY_DEBUGGER} (the first that is installed); default: %(default)s",
    )
    trace.add_argument(
        "--memory", type=int, default=DEFAULT_BYTES // MEGABYTE, metavar="MB", help="for each process (%(default)s)"
    )
    trace.add_argument("command", nargs="+", metavar="COMMAND", help="after --, with its arguments")
    compare = actions.add_parser("compare", help="compare two traces of one program by different engines")
    compare.add_argument("traces", type=Path, nargs=2, metavar="TRACE", help="the two traces")
    for name, text in (
        ("summary", "tables by phase, module, C function and thread"),
        ("why", "each release during one import, with its reason and stack"),
        ("timeline", "a page to look at, and a file for Perfetto"),
    ):
        action = actions.add_parser(name, help=text)
        if name == "why":
            action.add_argument("imported", metavar="MODULE", help="the full name of a module")
            action.add_argument("--frames", type=int, default=None, help="Python frames of each release (all)")
        action.add_argument(
            "trace", type=Path, nargs="?", metavar="TRACE", default=Path(DEFAULT_TRACE), help="the trace (%(default)s)"
        )
        if name == "timeline":
            action.add_argument("--html", type=Path, default=Path("gil.html"), help="the page (%(default)s)")
            action.add_argument("--json", type=Path, default=Path("gil.json"), help="for Perfetto (%(default)s)")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Do the action. ``gil trace`` ends with the traced command's own exit code.

    A command that ended with 0, but of which nothing was seen, is an error: there is no trace.
    """
    context = open_context(arguments)
    if arguments.action == "compare":
        return _compare(arguments, context)
    actions: dict[str, Callable[[argparse.Namespace, Context], None]] = {
        "trace": _trace,
        "summary": _summary,
        "why": _why,
        "timeline": _timeline,
    }
    actions[arguments.action](arguments, context)
    return ExitCode.CLEAN


def _trace(arguments: argparse.Namespace, context: Context) -> None:
    if arguments.memory < 1:
        raise UsageError("--memory must be at least 1", page="gil")
    _refuse_unwritable(arguments.trace)
    try:
        trace = _record(arguments, context)
    except NothingSeenError as error:
        if error.command_exit == 0:
            raise
        context.console.warn(error.message)
        raise SystemExit(error.command_exit) from error
    cut = _cut_short(arguments.trace, trace)
    releases = sum(1 for process in trace.processes for event in process.events if event.released)
    context.console.note(
        f"{counted(releases, 'release')} in {counted(len(trace.processes), 'process')}: {arguments.trace}"
    )
    for caveat in caveats(trace):
        context.console.warn(caveat)
    if trace.exit_code:
        if cut:
            context.console.warn(cut.message)
        raise SystemExit(trace.exit_code)
    if cut:
        raise cut


def _cut_short(path: Path, trace: Trace) -> SubjectError | None:
    """Write the trace; return the error if it could not be written completely."""
    try:
        _write(path, encode(trace))
    except OSError as error:
        return SubjectError(
            f"{path} is cut short at {path.stat().st_size:,} bytes: {error.strerror}",
            evidence=path,
            advice="free some space and trace again, or read the complete part",
            page="storage",
        )
    return None


def _record(arguments: argparse.Namespace, context: Context) -> Trace:
    engine = find_engine(arguments.engine, os.environ)
    settings = Settings(layout=context.layout, console=context.console, memory=arguments.memory * MEGABYTE)
    return engine.trace(arguments.command, env=os.environ, settings=settings)


def _refuse_unwritable(path: Path) -> None:
    """Raise before anything is run, so that no trace is lost."""
    if path.is_dir():
        raise UsageError(f"the trace cannot be written: {path} is a folder", page="gil")
    existed = path.exists()
    with storage_errors(path, option="-o"), path.open("ab"):
        pass
    if not existed:
        path.unlink()


def _timeline(arguments: argparse.Namespace, context: Context) -> None:
    trace = _read(arguments.trace)
    _write(arguments.html, [html_page(trace).encode()])
    _write(arguments.json, (piece.encode() for piece in chrome_trace(trace)))
    context.console.say(f"{arguments.html}: open it in a browser")
    context.console.say(f"{arguments.json}: open it at https://ui.perfetto.dev")


def _compare(arguments: argparse.Namespace, context: Context) -> ExitCode:
    first, second = (_read(path) for path in arguments.traces)
    if not first.processes or not second.processes:
        raise UsageError("a trace has no process to compare", page="gil")
    agreements = compare(first.processes[0], second.processes[0])
    title = f"{first.engine} and {second.engine}: {' '.join(first.command)}"
    context.console.table(title, AGREEMENT, [one.cells for one in agreements])
    for one in agreements:
        if not one.holds:
            # On its own line: with a stack of Python frames it is wider than any table.
            context.console.warn(f"{one.thread} differs at {one.difference}")
    return ExitCode.CLEAN if all(one.holds for one in agreements) else ExitCode.FINDINGS


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def _read(path: Path) -> Trace:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(
            f"trace not found: {path}", advice="record one: python-tsan gil trace -- COMMAND", page="gil"
        ) from error
    return decode(data, source=path)


def _why(arguments: argparse.Namespace, context: Context) -> None:
    releases = explain_trace(_read(arguments.trace))
    for line in why(releases, arguments.imported, frames=arguments.frames):
        context.console.say(line)


def _summary(arguments: argparse.Namespace, context: Context) -> None:
    trace, console = _read(arguments.trace), context.console
    releases = explain_trace(trace)
    console.say(f"{' '.join(trace.command)}: {counted(len(releases), 'release')}, engine {trace.engine}")
    for table in summarise(releases):
        if table.rows:
            console.say("")
            console.table(table.title, table.columns, table.rows)
    for caveat in caveats(trace):
        console.warn(caveat)
