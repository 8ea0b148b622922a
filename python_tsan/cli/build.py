"""Own the verb ``build``: what it prints; leave building to :mod:`python_tsan.cpython.build.interpreter`."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.options import open_pipeline
from python_tsan.cpython.build.interpreter import libc_identity, plan_offline
from python_tsan.cpython.numpy.wheel import choose_numpy
from python_tsan.cpython.planning import make_plan
from python_tsan.cpython.prebuilt.export import export_interpreter
from python_tsan.cpython.prebuilt.restore import restore_interpreter
from python_tsan.cpython.sources.search import obtain_source
from python_tsan.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.plan import BuildPlan
    from python_tsan.pipeline import Pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to print instead of the summary."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--print-key", action="store_true", help="print the plan's content key and build nothing")
    choice.add_argument("--print-plan", action="store_true", help="print the plan as JSON and build nothing")
    choice.add_argument("--print-env", action="store_true", help="print shell lines for an embedder's own build")
    parser.add_argument("--export", metavar="FILE", type=Path, help="also write the interpreter into an archive")
    parser.add_argument("--with-numpy", action="store_true", help="with --export: numpy is in the archive too")
    parser.add_argument(
        "--from", dest="archive", metavar="FILE|URL", help="restore the interpreter of an archive instead of building"
    )
    parser.add_argument("--sha256", type=_sha256, metavar="HEX", help="with --from: the archive's own hash")


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        raise argparse.ArgumentTypeError(f"64 hexadecimal digits are wanted, not {text!r}")
    return text


def run(arguments: argparse.Namespace) -> ExitCode:
    """Build the interpreter unless it is there, or print what was asked for."""
    _refuse_conflicts(arguments)
    pipeline = open_pipeline(arguments)
    if arguments.export:
        pipeline.console.say(export(pipeline, arguments.export.absolute(), with_numpy=arguments.with_numpy))
        return ExitCode.CLEAN
    if arguments.print_key or arguments.print_plan:
        plan = _plan(pipeline)
        pipeline.console.say(plan.key if arguments.print_key else plan.describe())
        return ExitCode.CLEAN
    interpreter = (
        restore(pipeline, arguments.archive, arguments.sha256 or "") if arguments.archive else pipeline.interpreter
    )
    if arguments.print_env:
        for line in shell_lines(interpreter):
            pipeline.console.say(line)
    else:
        pipeline.console.say(str(interpreter.executable))
    return ExitCode.CLEAN


def _refuse_conflicts(arguments: argparse.Namespace) -> None:
    prints = arguments.print_key or arguments.print_plan
    if arguments.export and (prints or arguments.print_env):
        raise UsageError("--export prints the archive's SHA-256, and nothing else can be asked for beside it")
    if arguments.archive and (arguments.export or prints):
        raise UsageError("--from restores what was built elsewhere; --export and --print-key ask what is built here")
    if arguments.with_numpy and not arguments.export:
        raise UsageError("--with-numpy says what --export takes along", advice="`install-numpy` installs numpy")
    if arguments.sha256 and not arguments.archive:
        raise UsageError("--sha256 is the hash of the archive that --from names")


def export(pipeline: Pipeline, target: Path, *, with_numpy: bool) -> str:
    """Write the interpreter of these settings into the archive ``target`` and return the archive's SHA-256."""
    interpreter = pipeline.interpreter_with_numpy if with_numpy else pipeline.interpreter
    return export_interpreter(
        interpreter,
        _plan(pipeline),
        target,
        numpy=choose_numpy(interpreter, pipeline.settings).version if with_numpy else "",
        layout=pipeline.layout,
        console=pipeline.console,
        toolchain=pipeline.toolchain,
    )


def restore(pipeline: Pipeline, archive: str, sha256: str) -> Interpreter:
    """Restore an archive, and say so if these settings mean another interpreter than the one that is in it."""
    settings, layout, console = pipeline.settings, pipeline.layout, pipeline.console
    restored = restore_interpreter(archive, settings, layout=layout, console=console, sha256=sha256)
    meant = plan_offline(settings, toolchain=pipeline.toolchain, layout=layout)
    if options := _other_options(restored, meant, instrumented_numpy=settings.instrumented_numpy):
        console.warn(f"These settings mean another interpreter; this one is named by {options}.")
    return restored


def _other_options(restored: Interpreter, meant: BuildPlan | None, *, instrumented_numpy: bool) -> str:
    """Return the options that name a restored interpreter, empty when the settings in force do already."""
    wanted = "" if meant is None else meant.key
    has_numpy = "-numpy-" in restored.key
    if wanted == restored.key.partition("-numpy-")[0]:
        return "--instrumented-numpy" if has_numpy and not instrumented_numpy else ""
    threading = " --free-threaded" if restored.free_threaded else ""
    numpy = " --instrumented-numpy" if has_numpy else ""
    return f"--python {restored.version}{threading} --toolchain {restored.toolchain}{numpy}"


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
