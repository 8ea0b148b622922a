"""Own the verb ``build-harness``; leave the building to :mod:`python_tsan.harness.build`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli.options import open_pipeline
from python_tsan.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--list``."""
    parser.add_argument("--list", action="store_true", help="print the scenarios that the harness knows")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Build the interpreter and the harness if need be; list the scenarios when asked to."""
    pipeline = open_pipeline(arguments)
    scenarios = pipeline.harness.scenarios
    if arguments.list:
        rows = [(scenario.name, scenario.group, scenario.summary) for scenario in scenarios]
        pipeline.console.table("scenarios", ("name", "group", "summary"), rows)
    return ExitCode.CLEAN
