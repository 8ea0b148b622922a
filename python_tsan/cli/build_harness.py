"""The verb ``build-harness``; :mod:`python_tsan.harness.build` does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli.help_format import end_with
from python_tsan.cli.options import INTERPRETER, NUMPY, add_settings, open_pipeline
from python_tsan.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--list`` and the settings."""
    parser.add_argument("--list", action="store_true", help="also print the scenarios of the harness")
    add_settings(parser, *INTERPRETER, *NUMPY, "binding")
    end_with(parser, "python-tsan build-harness --list --binding nanobind")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Build the interpreter and the harness unless they are up to date; list the scenarios on request."""
    pipeline = open_pipeline(arguments)
    scenarios = pipeline.harness.scenarios
    if arguments.list:
        rows = [(scenario.name, scenario.group, scenario.summary) for scenario in scenarios]
        pipeline.console.table("scenarios", ("name", "group", "summary"), rows)
    return ExitCode.CLEAN
