"""The verb ``run``: its options and its output; :mod:`python_tsan.running` runs the program."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.help_format import add_verbose, end_with
from python_tsan.cli.options import PLAN, add_settings, count, open_context, seconds
from python_tsan.cli.output import add_formats, formats_of
from python_tsan.cli.report import OWN_HELP, own_paths
from python_tsan.detect.registry import DETECTORS, detectors_of
from python_tsan.errors import UsageError
from python_tsan.plain_text import cause_line, counted
from python_tsan.render.registry import RENDERINGS, TERMINAL
from python_tsan.result.model import TSAN_EXIT_CODE
from python_tsan.result.shard import parse_shard
from python_tsan.running.request import CLEAN, DEFAULT_SECONDS, Request
from python_tsan.storage import storage_errors, text_of, write_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.cli import options
    from python_tsan.console import Console
    from python_tsan.errors import ExitCode
    from python_tsan.result.model import Result
    from python_tsan.running.rules import Rules
    from python_tsan.running.session import Session


_LONGEST_LINE = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``run``; its ``--python`` takes a path too."""
    add = parser.add_argument
    add("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the program with its arguments")
    add(
        "--python",
        dest="interpreter",
        default="",
        metavar="VERSION|PATH",
        help="the interpreter built under ThreadSanitizer: its version or folder",
    )
    add("--timeout", type=seconds, default=DEFAULT_SECONDS, metavar="SECONDS", help="limit of each run (600)")
    add("--stall", type=seconds, default=0.0, metavar="SECONDS", help="end a run in which nothing moves for so long")
    add("--repeat", type=count, default=1, metavar="N", help="run it N times and count the runs with findings (1)")
    add("--shard", default="", metavar="I/N|auto", help="run only part I of N, or this job's; `merge` combines them")
    add("--cluster", default="", metavar="dask://HOST:PORT", help="let the workers of a dask cluster make the runs")
    add("--until-found", action="store_true", help="stop at the first run with a finding")
    add("--expect", default=CLEAN, metavar="WHAT", help="expected result: clean, race, hang, a rule or a file (clean)")
    add("--baseline", default="", metavar="FILE", help="known findings; only others fail")
    add("--write-baseline", default="", metavar="FILE", help="write the findings as a baseline, to be completed")
    add("--suppressions", action="append", default=[], metavar="FILE", help="suppressions; may be repeated")
    add("--own", action="append", default=[], metavar="PATH", help=OWN_HELP)
    add_formats(parser)
    add(
        "--fact",
        action="append",
        default=[],
        metavar="NAME=TEXT",
        help="a property of the program for `compare`, such as binding='pybind11 3.0.4'; may be repeated",
    )
    add(
        "--detect",
        action="append",
        default=[],
        metavar="WHAT",
        help=f"{', '.join(DETECTORS)}; default: all that the program allows",
    )
    add("--confirm", action="store_true", help="run it again for each possible deadlock, so that it hangs if it can")
    add("--children", action="store_true", help="judge the instrumented programs that the command starts")
    add("--keep-unlikely", action="store_true", help="judge findings that are inside a blind spot as any other")
    add_verbose(parser)
    add_settings(
        parser, *(name for name in PLAN if name != "python"), "instrumented-numpy", "numpy", "ignore-rules", "output"
    )
    end_with(parser, "python-tsan run --repeat 20 --own src -- build/my_program --threads 4")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run the command and return the code of the verdict."""
    named = arguments.interpreter
    if named and "/" not in named:
        arguments.python, arguments.settings = named, (*arguments.settings, "python")
    context = open_context(arguments)
    from python_tsan.running.preparation import open_session  # noqa: PLC0415 -- wrong options are reported at once

    request = replace(request_of(arguments), ignored=context.settings.ignore_rules)
    if arguments.cluster:
        from python_tsan.cli.shards import refuse_conflicts  # noqa: PLC0415 -- rarely used

        refuse_conflicts(arguments)
    session = open_session(
        request, context.settings, layout=context.layout, console=context.console, env=dict(os.environ)
    )

    if arguments.cluster:
        return _run_on_cluster(arguments, request, session, context)

    def on_result(report: Result, folder: Path) -> None:
        show(report, folder, request, arguments, context.console)

    report, folder = session.run(cut=on_result)
    on_result(report, folder)
    if request.write_baseline:
        _write_baseline(report, Path(request.write_baseline), session.rules, context.console)
    return report.exit_code


def _run_on_cluster(
    arguments: argparse.Namespace, request: Request, session: Session, context: options.VerbContext
) -> ExitCode:
    """Let a cluster make the runs, and save what they come to together."""
    import tempfile  # noqa: PLC0415 -- rarely used

    from python_tsan.cli.build import export  # noqa: PLC0415
    from python_tsan.cli.cluster import Needed  # noqa: PLC0415
    from python_tsan.cli.merge import save_merged  # noqa: PLC0415
    from python_tsan.cli.shards import Job, parts_of, without_cluster  # noqa: PLC0415
    from python_tsan.running.record import relevant_variables  # noqa: PLC0415

    interpreter = session.prepared.interpreter

    def archive() -> bytes:
        with tempfile.TemporaryDirectory(prefix="python-tsan-") as folder:
            file = Path(folder, "interpreter.tar")
            export(context.pipeline, file, with_numpy=bool(interpreter and "-numpy-" in interpreter.key))
            return file.read_bytes()

    job = Job(
        options=without_cluster(arguments.words[1 : len(arguments.words) - len(arguments.command)]),
        command=request.command,
        cwd=request.cwd,
        env=relevant_variables(os.environ),
        repeat=request.repeat,
        until_found=request.until_found,
        interpreter=Needed(key=interpreter.key, archive=archive) if interpreter and interpreter.instrumented else None,
    )
    parts = parts_of(arguments.cluster, job, context.console)
    return save_merged(parts, request.formats, context, verbose=arguments.verbose).exit_code


def request_of(arguments: argparse.Namespace) -> Request:
    """Return the request of the command line, with absolute paths.

    Raises :class:`UsageError` for an invalid option.
    """
    from python_tsan.running.expected import WORDS  # noqa: PLC0415 -- brings the parser of logs with it

    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    return Request(
        command=tuple(command),
        cwd=str(Path.cwd()),
        timeout=arguments.timeout,
        repeat=arguments.repeat,
        until_found=arguments.until_found,
        shard=parse_shard(arguments.shard, os.environ) if arguments.shard else None,
        python=_absolute(arguments.interpreter) if "/" in arguments.interpreter else arguments.interpreter,
        baseline=_absolute(arguments.baseline),
        write_baseline=_absolute(arguments.write_baseline),
        suppressions=tuple(_absolute(each) for each in arguments.suppressions),
        expect=arguments.expect if arguments.expect in WORDS else _absolute(arguments.expect),
        own=own_paths(arguments.own),
        formats=formats_of(arguments.format),
        children=arguments.children,
        keep_unlikely=arguments.keep_unlikely,
        facts=facts_of(arguments.fact),
        detect=detectors_of(arguments.detect),
        confirm=arguments.confirm,
        stall=arguments.stall,
    )


def facts_of(given: Sequence[str]) -> dict[str, str]:
    """Return the properties of the program by name. Raises UsageError for what is not ``NAME=TEXT``."""
    facts = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not (equals and name.strip() and text.strip()):
            raise UsageError(f"--fact {each}: must be NAME=TEXT", advice="for example: --fact binding='pybind11 3.0.4'")
        facts[name.strip()] = text.strip()
    return facts


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if path else ""


def show(report: Result, folder: Path, request: Request, arguments: argparse.Namespace, console: Console) -> None:
    """Print the report and its folder; a run with formats for machines prints only their files."""
    from python_tsan.render.terminal import render_lines  # noqa: PLC0415 -- not needed for help

    if not request.formats or TERMINAL in request.formats:
        console.lines(render_lines(report, verbose=arguments.verbose, quiet=arguments.quiet))
    for name in request.formats:
        if name != TERMINAL:
            console.note(f"{name} in {folder / RENDERINGS[name].file_name}")
    if words := last_words(report, folder):
        console.note(f"on standard error: {words}")
    here = Path.cwd()
    place = str(folder.relative_to(here) if folder.is_relative_to(here) else folder)
    console.note(f"all files: {place}")
    console.note(f"to repeat: python-tsan replay {shlex.quote(place)}")


def last_words(report: Result, folder: Path) -> str:
    """Return the line with the cause, else the last one, that the first failed program wrote to standard error.

    Empty if no program failed.
    """
    from python_tsan.checking.execution import STDERR_FILE  # noqa: PLC0415 -- `--help` needs no detector

    codes = report.subject.exit_codes if report.subject else ()
    files = sorted(folder.glob(f"[0-9]*/{STDERR_FILE}"), key=lambda file: int(file.parent.name))
    failed = (file for code, file in zip(codes, files, strict=False) if code not in {0, TSAN_EXIT_CODE})
    return next(filter(None, (cause_line(text_of(file)) for file in failed)), "")[:_LONGEST_LINE]


def _write_baseline(report: Result, file: Path, rules: Rules, console: Console) -> None:
    from python_tsan.result.baseline import write_baseline  # noqa: PLC0415

    today = dt.datetime.now(tz=dt.UTC).date()
    with storage_errors(file, option="--write-baseline"):
        write_named(file, write_baseline(report.findings, rules.baseline, today=today).encode())
    console.note(
        f"baseline of {counted(len(report.findings), 'finding')}: {file}; give each new one a reason and a link"
    )
