"""Own the verb ``build``: what it prints; leave building to :mod:`python_tsan.cpython.build`."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from python_tsan.cli.options import open_pipeline
from python_tsan.cpython.build import libc_identity, plan_offline
from python_tsan.cpython.plan import make_plan
from python_tsan.cpython.sources import obtain_source
from python_tsan.errors import ExitCode

if TYPE_CHECKING:
    import argparse

    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.pipeline import Pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to print instead of the summary."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--print-key", action="store_true", help="print the plan's content key and build nothing")
    choice.add_argument("--print-plan", action="store_true", help="print the plan as JSON and build nothing")
    choice.add_argument("--print-env", action="store_true", help="print shell lines for an embedder's own build")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Build the interpreter unless it is there, or print what was asked for."""
    pipeline = open_pipeline(arguments)
    if arguments.print_key or arguments.print_plan:
        plan = _plan(pipeline)
        pipeline.console.say(plan.key if arguments.print_key else plan.describe())
        return ExitCode.CLEAN
    interpreter = pipeline.interpreter
    if arguments.print_env:
        for line in shell_lines(interpreter):
            pipeline.console.say(line)
    else:
        pipeline.console.say(str(interpreter.executable))
    return ExitCode.CLEAN


def shell_lines(interpreter: Interpreter) -> list[str]:
    """Return POSIX shell lines that let an embedder's own build find the interpreter and its compiler."""
    library = str(interpreter.library.parent)
    values = {
        "PYTHON_TSAN_PREFIX": str(interpreter.prefix),
        "PYTHON_TSAN_EXECUTABLE": str(interpreter.executable),
        "PYTHON_TSAN_CC": str(interpreter.cc),
        "PYTHON_TSAN_CXX": str(interpreter.cxx),
        "PYTHON_TSAN_LIBRARY_PATH": library,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    # Read by the shell when the line is run, so that running it twice does no harm.
    rest = f"${{LD_LIBRARY_PATH:+{os.pathsep}$LD_LIBRARY_PATH}}"
    return [*lines, f'export LD_LIBRARY_PATH={shlex.quote(library)}"{rest}"']


def _plan(pipeline: Pipeline) -> BuildPlan:
    """Return the plan; the network is asked only when the cache cannot tell which source it is."""
    known = plan_offline(pipeline.settings, toolchain=pipeline.toolchain, layout=pipeline.layout)
    if known is not None:
        return known
    tree = obtain_source(pipeline.settings, layout=pipeline.layout, console=pipeline.console)
    return make_plan(pipeline.settings, tree.record, pipeline.toolchain, libc=libc_identity())
