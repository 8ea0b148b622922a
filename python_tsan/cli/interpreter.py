"""The verb ``interpreter``: print the description of the one that the settings select; ``build`` builds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli.help_format import end_with
from python_tsan.cli.options import PLAN, add_settings, open_context
from python_tsan.cpython.build.interpreter import find_built
from python_tsan.cpython.manifest import MANIFESTS, built_differently
from python_tsan.cpython.stock import find_stock
from python_tsan.errors import ExitCode, SubjectError
from python_tsan.expectation import Lane
from python_tsan.setting_values import DEFAULT_PYTHON
from python_tsan.toolchain import choose_toolchain

if TYPE_CHECKING:
    import argparse

    from python_tsan.cli.options import VerbContext
    from python_tsan.cpython.manifest import Interpreter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the lane and the settings."""
    parser.add_argument(
        "--lane",
        choices=[each.value for each in Lane],
        default=Lane.FULL.value,
        help="full: the one built under ThreadSanitizer; fast: a stock one (full)",
    )
    add_settings(parser, *PLAN, "jobs", "binding")
    end_with(parser, "python-tsan interpreter --python 3.13")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the interpreter's description as JSON; build nothing."""
    context = open_context(arguments)
    context.console.data(MANIFESTS.encode(_find(context, Lane(arguments.lane))).decode().rstrip())
    return ExitCode.CLEAN


def _find(context: VerbContext, lane: Lane) -> Interpreter:
    settings, layout, console = context.settings, context.layout, context.console
    toolchain = choose_toolchain(settings.toolchain, layout=layout, console=console)
    if lane is Lane.FULL:
        found = find_built(settings, toolchain=toolchain, layout=layout)
        what, advice = "CPython under ThreadSanitizer is not built yet", "build it with `python-tsan build`"
        if others := built_differently(settings.python or DEFAULT_PYTHON, layout.interpreters):
            advice = f"{advice}; {others}"
    else:
        found = find_stock(settings, toolchain=toolchain, console=console)
        what = "this machine has no stock CPython with a shared library and headers"
        advice = "install one (Debian: python3-dev and libpython3-dev), or use --lane full"
    if found is None:
        raise SubjectError(what, advice=advice, page="no-interpreter")
    return found
