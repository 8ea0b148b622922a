"""Own the verb ``install-numpy``; leave installing to :mod:`python_tsan.cpython.numpy.wheel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli.options import open_pipeline
from python_tsan.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare nothing: which numpy is installed is a setting."""
    del parser


def run(arguments: argparse.Namespace) -> ExitCode:
    """Build the interpreter unless it is there, and numpy into it unless it is there."""
    pipeline = open_pipeline(arguments)
    pipeline.console.say(str(pipeline.interpreter_with_numpy.executable))
    return ExitCode.CLEAN
