"""The verb ``replay``: repeat a saved run after reporting what changed since."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.help_format import add_verbose, end_with
from python_tsan.cli.options import PLAN, add_settings, count, open_context
from python_tsan.cli.run import show
from python_tsan.errors import SubjectError, UsageError
from python_tsan.plain_text import counted, printable
from python_tsan.running.preparation import open_session
from python_tsan.running.record import differences, is_ours, load_replay, machine_facts, restored

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from python_tsan.console import Console
    from python_tsan.errors import ExitCode
    from python_tsan.result.model import Result
    from python_tsan.running.record import Replay


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder of the run."""
    parser.add_argument("folder", type=Path, metavar="RUN", help="the folder of a run")
    parser.add_argument("--repeat", type=count, metavar="N", help="run it N times (default: as before)")
    parser.add_argument("--yes", action="store_true", help="do not ask about a command from elsewhere")
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
    facts = request.facts | machine_facts(session.prepared, session.toolchain)
    lines = list(differences(then, facts=facts, env=os.environ))
    context.console.say(printable(f"command: {shlex.join(request.command)} (in {request.cwd})"))
    context.console.say("changed since the run:" if lines else "nothing recorded changed since the run")
    for line in lines:
        context.console.say(printable(f"  {line}"))
    if reasons := list(_reasons_to_ask(then, facts)):
        _ask(reasons, yes=arguments.yes, console=context.console)

    def on_result(report: Result, folder: Path) -> None:
        show(report, folder, request, arguments, context.console)

    report, folder = session.run(cut=on_result)
    on_result(report, folder)
    now = {finding.fingerprint for finding in report.findings}
    before, again = counted(len(then.findings), "finding"), sum(each in now for each in then.findings)
    new = counted(len(now.difference(then.findings)), "new finding")
    context.console.say(f"{again} of {before} recurred, {new}")
    return report.exit_code


def _reasons_to_ask(then: Replay, facts: Mapping[str, str]) -> Iterator[str]:
    if not is_ours(then):
        yield "this folder was written by another user, on another machine, or changed since"
    if "program" in then.facts and then.facts["program"] != facts["program"]:
        yield "the program has changed since the run"


def _ask(reasons: Sequence[str], *, yes: bool, console: Console) -> None:
    """Ask whether to run the command. Raises :class:`UsageError` if the answer is no, or nobody can answer."""
    for reason in reasons:
        console.warn(reason)
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("the command was not run", advice="check the command above, then add --yes", page="replay")
    sys.stderr.write("Run the command? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("the command was not run", page="replay")
