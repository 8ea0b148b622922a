"""The verb ``install-numpy``; :mod:`python_tsan.pipeline` does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli.help_format import end_with
from python_tsan.cli.options import INTERPRETER, NUMPY, add_settings, open_pipeline
from python_tsan.errors import ExitCode

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the settings, which select the numpy too."""
    add_settings(parser, *INTERPRETER, *NUMPY)
    end_with(parser, "python-tsan install-numpy --instrumented-numpy")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Build the interpreter and install numpy into it, unless they are up to date."""
    pipeline = open_pipeline(arguments)
    pipeline.console.data(str(pipeline.interpreter_with_numpy.executable))
    return ExitCode.CLEAN
