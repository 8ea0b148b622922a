"""Own the verb ``interpreter``: what is known of the one that the settings mean; leave building it to ``build``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.cli.options import open_context
from python_tsan.cpython.build.interpreter import find_built
from python_tsan.cpython.manifest import MANIFESTS
from python_tsan.cpython.stock import find_stock
from python_tsan.errors import ExitCode, SubjectError
from python_tsan.expectation import Lane
from python_tsan.toolchain import choose_toolchain

if TYPE_CHECKING:
    import argparse

    from python_tsan.cli.options import Context
    from python_tsan.cpython.manifest import Interpreter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the lane."""
    parser.add_argument(
        "--lane",
        choices=[each.value for each in Lane],
        default=Lane.FULL.value,
        help="full: the one built under ThreadSanitizer (default); fast: a stock one",
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Print the interpreter's description as JSON; build nothing."""
    context = open_context(arguments)
    context.console.say(MANIFESTS.encode(_find(context, Lane(arguments.lane))).decode().rstrip())
    return ExitCode.CLEAN


def _find(context: Context, lane: Lane) -> Interpreter:
    settings, layout, console = context.settings, context.layout, context.console
    toolchain = choose_toolchain(settings.toolchain, layout=layout, console=console)
    if lane is Lane.FULL:
        found = find_built(settings, toolchain=toolchain, layout=layout)
        what, advice = "CPython under ThreadSanitizer is not built yet", "`python-tsan build` builds it, once"
    else:
        found = find_stock(settings, toolchain=toolchain, layout=layout, console=console)
        what = "there is no stock CPython with a shared library and headers on this machine"
        advice = "install one (Debian: python3-dev and libpython3-dev), or take the full lane"
    if found is None:
        raise SubjectError(what, advice=advice, page="no-interpreter")
    return found
