"""Own the verb ``replay``: a run once more, after what differs from then has been said."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.options import open_context
from python_tsan.cli.run import Detail, exit_code, show
from python_tsan.errors import SubjectError
from python_tsan.running.preparation import open_session
from python_tsan.running.record import differences, load_replay, machine_facts, restored

if TYPE_CHECKING:
    import argparse

    from python_tsan.console import Console
    from python_tsan.errors import ExitCode
    from python_tsan.result.model import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the folder of the run."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a run")
    parser.add_argument("--repeat", type=int, metavar="N", help="another number of runs")
    parser.add_argument("--verbose", action="store_true", help="whole stacks, and findings that do not fail")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Say what differs, run the command again in a new folder, and say what was found again."""
    context = open_context(arguments)
    then = load_replay(arguments.folder)
    request = then.request if arguments.repeat is None else replace(then.request, repeat=arguments.repeat, shard=None)
    if not Path(request.cwd).is_dir():
        raise SubjectError(f"the folder in which it ran is gone: {request.cwd}", page="replay")
    env = restored(then, os.environ)
    session = open_session(request, context.settings, layout=context.layout, console=context.console, env=env)
    facts = request.facts | machine_facts(session.setup.prepared, session.setup.toolchain)
    lines = list(differences(then, facts=facts, env=os.environ))
    context.console.say("differs from then:" if lines else "nothing that is recorded differs from then")
    for line in lines:
        context.console.say(f"  {line}")

    def tell(report: Result, folder: Path) -> None:
        show(report, folder, request, context.console, detail=Detail.of(arguments))

    report, folder = session.run(cut=tell)
    tell(report, folder)
    _compare(then.findings, report, context.console)
    return exit_code(report)


def _compare(before: tuple[str, ...], report: Result, console: Console) -> None:
    now = {finding.fingerprint for finding in report.findings}
    again = sum(each in now for each in before)
    console.say(f"{again} of {len(before)} findings seen again, {len(now - set(before))} that were not there then")
