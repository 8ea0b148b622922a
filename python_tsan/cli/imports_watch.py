"""Own ``imports watch``: its options and exit codes; leave the watch to :mod:`python_tsan.imports.watch`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from python_tsan.errors import ExitCode, UsageError
from python_tsan.imports.watch import watch

if TYPE_CHECKING:
    import argparse

    from python_tsan.cli.options import Context

STALL_SECONDS = 10.0


def add_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the verb."""
    watching = verbs.add_parser("watch", help="run a command and tell who waits for whom when its imports deadlock")
    watching.add_argument("--stall", type=float, default=STALL_SECONDS, help="seconds of standstill (%(default)s)")
    watching.add_argument("command", nargs="...", metavar="-- COMMAND", help="any program that runs Python")
    watching.set_defaults(act=_watch)


def _watch(arguments: argparse.Namespace, context: Context) -> ExitCode:
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise UsageError("watch wants a command", advice="python-tsan imports watch -- python3 program.py")
    if arguments.stall <= 0:
        raise UsageError("--stall wants a number of seconds above 0")
    ended = watch(command, stall=arguments.stall, env=os.environ)
    if ended.reports:
        return ExitCode.FINDINGS
    if not ended.interpreters:
        context.console.warn("no Python took up the watch: one that runs with -I, -E or -S leaves PYTHONPATH out")
        return ExitCode.SUBJECT
    if ended.exit_code:
        context.console.warn(f"the command ended with exit code {ended.exit_code}, and its imports were not at fault")
        return ExitCode.SUBJECT
    return ExitCode.CLEAN
