"""Own the verb ``gil``: record why the GIL is released, and answer questions about the record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from python_tsan.checking.gil_trace import trace_scenario
from python_tsan.checking.lane import make_bench
from python_tsan.cli.options import open_context, open_pipeline
from python_tsan.errors import ExitCode, SubjectError, UsageError
from python_tsan.gil.analysis import explain_trace
from python_tsan.gil.codec import decode, encode
from python_tsan.gil.debugger import installed_debugger, trace_with_debugger
from python_tsan.gil.library import build_tracer
from python_tsan.gil.oracle import COLUMNS as AGREEMENT
from python_tsan.gil.oracle import compare
from python_tsan.gil.page import page, picture, without_folders
from python_tsan.gil.preload import DEFAULT_BYTES, NothingSeenError, trace_preloaded
from python_tsan.gil.screenshot import take_picture
from python_tsan.gil.summary import caveats, summarise
from python_tsan.gil.timeline import chrome_trace, html_page
from python_tsan.gil.trace import Engine, Trace
from python_tsan.gil.why import why
from python_tsan.plain_text import counted
from python_tsan.storage import storage_errors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from python_tsan.cli.options import Context

DEFAULT_TRACE = "gil.trace"
ORIGINAL = "embed_test"  # the scenario that the project began with
MEGABYTE = 1 << 20
ANY_DEBUGGER = "debugger"
ENGINES = (*(engine.value for engine in Engine), ANY_DEBUGGER)
_OUTPUTS = {
    "page": (
        ("--markdown", "the page", "docs/why-the-gil-is-released.md"),
        ("--picture", "its picture", "docs/images/why-the-gil-is-released.svg"),
        ("--screenshot", "the timeline in Chromium, where that is installed", "docs/images/gil-timeline.png"),
    ),
    "timeline": (("--html", "the page", "gil.html"), ("--json", "for Perfetto", "gil.json")),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    trace = actions.add_parser("trace", help="run a command and record each release of the GIL")
    trace.add_argument("-o", "--trace", type=Path, default=Path(DEFAULT_TRACE), help="the trace (%(default)s)")
    trace.add_argument(
        "--engine",
        choices=ENGINES,
        default=Engine.PRELOAD.value,
        help="preload (default): quick, with Python frames; debugger: breakpoints, slow, for any build, by gdb or lldb",
    )
    trace.add_argument(
        "--memory", type=int, default=DEFAULT_BYTES // MEGABYTE, metavar="MB", help="for each process (%(default)s)"
    )
    trace.add_argument("command", nargs="+", metavar="COMMAND", help="after --, with its arguments")
    compare = actions.add_parser("compare", help="hold two traces of one program, by two engines, against each other")
    compare.add_argument("traces", type=Path, nargs=2, metavar="TRACE", help="the two traces")
    for name, text in (
        ("summary", "tables by phase, module, C function and thread"),
        ("why", "each release during one import, with its reason and stack"),
        ("timeline", "a page to look at, and a file for Perfetto"),
        ("page", "the answer for one import, as Markdown with a picture"),
    ):
        action = actions.add_parser(name, help=text)
        if name in {"why", "page"}:
            action.add_argument("imported", metavar="MODULE", help="the full name of a module")
        if name == "page":
            action.add_argument(
                "trace", type=Path, nargs="?", metavar="TRACE", help="by default the program with numpy is run"
            )
        else:
            action.add_argument(
                "trace",
                type=Path,
                nargs="?",
                metavar="TRACE",
                default=Path(DEFAULT_TRACE),
                help="the trace (%(default)s)",
            )
        if name == "why":
            action.add_argument("--frames", type=int, default=None, help="Python frames of each release (all)")
        for option, summary, default in _OUTPUTS.get(name, ()):
            action.add_argument(option, type=Path, default=Path(default), help=f"{summary} (%(default)s)")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Do the action. ``gil trace`` ends with the traced command's own exit code.

    A command that ended with 0, and of which nothing was seen, is an error all the same: there is no trace.
    """
    context = open_context(arguments)
    if arguments.action == "compare":
        return _compare(arguments, context)
    actions: dict[str, Callable[[argparse.Namespace, Context], None]] = {
        "trace": _trace,
        "summary": _summary,
        "why": _why,
        "timeline": _timeline,
        "page": _page,
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
    """Write the trace, and return what is to be told when it could not be written to its end."""
    try:
        _write(path, encode(trace))
    except OSError as error:
        return SubjectError(
            f"{path} is cut short at {path.stat().st_size:,} bytes: {error.strerror}",
            evidence=path,
            advice="make room and trace again, or read what is there",
            page="storage",
        )
    return None


def _record(arguments: argparse.Namespace, context: Context) -> Trace:
    engine = installed_debugger(os.environ) if arguments.engine == ANY_DEBUGGER else Engine(arguments.engine)
    match engine:
        case Engine.PRELOAD:
            library = build_tracer(layout=context.layout, console=context.console)
            memory = arguments.memory * MEGABYTE
            return trace_preloaded(arguments.command, library=library, env=os.environ, memory=memory)
        case Engine.GDB | Engine.LLDB:
            return trace_with_debugger(arguments.command, env=os.environ, engine=engine)
    assert_never(engine)


def _refuse_unwritable(path: Path) -> None:
    """Raise before anything is run, rather than lose the trace afterwards."""
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
        raise UsageError("a trace without a process has nothing to compare", page="gil")
    agreements = compare(first.processes[0], second.processes[0])
    title = f"{first.engine.value} and {second.engine.value}: {' '.join(first.command)}"
    context.console.table(title, AGREEMENT, [one.cells for one in agreements])
    for one in agreements:
        if not one.holds:
            # A line of its own: with a stack of Python frames it is wider than any table.
            context.console.warn(f"{one.thread} parts at {one.difference}")
    return ExitCode.CLEAN if all(one.holds for one in agreements) else ExitCode.FINDINGS


def _trace_original(arguments: argparse.Namespace) -> Trace:
    """Build what is missing and trace the program that the project began with, the working directory on its path."""
    pipeline = open_pipeline(arguments)
    pipeline.interpreter_with_numpy  # noqa: B018 -- reading a stage does it
    bench, _ = make_bench(
        pipeline.harness, toolchain=pipeline.toolchain, folder=arguments.markdown.parent, base=os.environ, jobs=1
    )
    return trace_scenario(bench, ORIGINAL, packages=".")


def _page(arguments: argparse.Namespace, context: Context) -> None:
    trace = _read(arguments.trace) if arguments.trace else _trace_original(arguments)
    paths = (arguments.markdown, arguments.picture, arguments.screenshot)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    relative, timeline = (os.path.relpath(path, arguments.markdown.parent) for path in paths[1:])
    if not take_picture(html_page(without_folders(trace)), arguments.screenshot, env=os.environ):
        context.console.warn("no Chromium: the picture of the timeline stays as it is")
        timeline = timeline if arguments.screenshot.is_file() else ""
    lines = list(page(trace, arguments.imported, picture=relative, timeline=timeline))
    _write(arguments.markdown, [("\n".join(lines).strip() + "\n").encode()])
    _write(arguments.picture, [picture(trace, arguments.imported).encode()])
    context.console.say(f"{arguments.markdown}, {arguments.picture}")


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def _read(path: Path) -> Trace:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(
            f"there is no trace: {path}", advice="make one: python-tsan gil trace -- COMMAND", page="gil"
        ) from error
    return decode(data, source=path)


def _why(arguments: argparse.Namespace, context: Context) -> None:
    releases = explain_trace(_read(arguments.trace))
    for line in why(releases, arguments.imported, frames=arguments.frames):
        context.console.say(line)


def _summary(arguments: argparse.Namespace, context: Context) -> None:
    trace, console = _read(arguments.trace), context.console
    releases = explain_trace(trace)
    console.say(f"{' '.join(trace.command)}: {counted(len(releases), 'release')}, engine {trace.engine.value}")
    for table in summarise(releases):
        if table.rows:
            console.say("")
            console.table(table.title, table.columns, table.rows)
    for caveat in caveats(trace):
        console.warn(caveat)
