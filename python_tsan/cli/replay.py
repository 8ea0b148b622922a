"""The verb ``replay``: repeat a saved run after reporting what changed since."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.help_format import end_with
from python_tsan.cli.options import PLAN, add_settings, add_verbose, count, open_context
from python_tsan.cli.run import Detail, exit_code, show
from python_tsan.errors import SubjectError
from python_tsan.plain_text import counted
from python_tsan.running.preparation import open_session
from python_tsan.running.record import differences, load_replay, machine_facts, restored

if TYPE_CHECKING:
    import argparse

    from python_tsan.console import Console
    from python_tsan.errors import ExitCode
    from python_tsan.result.model import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder of the run."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--repeat", type=count, metavar="N", help="run it N times (default: as before)")
    add_verbose(parser)
    add_settings(parser, *(name for name in PLAN if name != "python"), "instrumented-numpy", "numpy", "output")
    end_with(parser, "python-tsan replay runs/latest --repeat 10")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Report what changed, run the command again in a new folder, and report which findings recurred."""
    context = open_context(arguments)
    then = load_replay(arguments.folder)
    request = then.request if arguments.repeat is None else replace(then.request, repeat=arguments.repeat, shard=None)
    if not Path(request.cwd).is_dir():
        raise SubjectError(f"the working directory of the run no longer exists: {request.cwd}", page="replay")
    env = restored(then, os.environ)
    session = open_session(request, context.settings, layout=context.layout, console=context.console, env=env)
    facts = request.facts | machine_facts(session.setup.prepared, session.setup.toolchain)
    lines = list(differences(then, facts=facts, env=os.environ))
    context.console.say("changed since the run:" if lines else "nothing recorded changed since the run")
    for line in lines:
        context.console.say(f"  {line}")

    def on_result(report: Result, folder: Path) -> None:
        show(report, folder, request, context.console, detail=Detail.of(arguments))

    report, folder = session.run(cut=on_result)
    on_result(report, folder)
    _compare(then.findings, report, context.console)
    return exit_code(report)


def _compare(before: tuple[str, ...], report: Result, console: Console) -> None:
    now = {finding.fingerprint for finding in report.findings}
    again = sum(each in now for each in before)
    console.say(
        f"{again} of {counted(len(before), 'finding')} recurred, {counted(len(now - set(before)), 'new finding')}"
    )
