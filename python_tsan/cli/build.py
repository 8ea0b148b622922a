"""The verb ``build``: build, export or restore an interpreter, and print it, its key, its plan or shell lines."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.help_format import end_with
from python_tsan.cli.options import INTERPRETER, NUMPY, add_settings, open_pipeline
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
    """Declare what to print, and the archive to write or to restore."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--print-key", action="store_true", help="print the content key of the build, build nothing")
    choice.add_argument("--print-plan", action="store_true", help="print the build plan as JSON, build nothing")
    choice.add_argument("--print-env", action="store_true", help="print shell lines for the build of an embedder")
    parser.add_argument("--export", metavar="FILE", type=Path, help="also write the interpreter to an archive")
    parser.add_argument("--with-numpy", action="store_true", help="with --export: include numpy")
    parser.add_argument("--from", dest="archive", metavar="FILE|URL", help="restore an archive instead of building")
    parser.add_argument("--sha256", type=_sha256, metavar="HEX", help="with --from: the expected hash of the archive")
    add_settings(parser, *INTERPRETER, *NUMPY)
    end_with(parser, "python-tsan build --python 3.13 --toolchain clang-19")


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{64}", text):
        raise argparse.ArgumentTypeError(f"must be 64 hexadecimal digits, not {text!r}")
    return text


def run(arguments: argparse.Namespace) -> ExitCode:
    """Build the interpreter unless it is up to date, and print what was requested."""
    _refuse_conflicts(arguments)
    pipeline = open_pipeline(arguments)
    if arguments.export:
        pipeline.console.data(export(pipeline, arguments.export.absolute(), with_numpy=arguments.with_numpy))
        return ExitCode.CLEAN
    if arguments.print_key or arguments.print_plan:
        plan = _plan(pipeline)
        pipeline.console.data(plan.key if arguments.print_key else plan.describe())
        return ExitCode.CLEAN
    interpreter = (
        restore(pipeline, arguments.archive, arguments.sha256 or "") if arguments.archive else pipeline.interpreter
    )
    if arguments.print_env:
        for line in shell_lines(interpreter):
            pipeline.console.data(line)
    else:
        pipeline.console.data(str(interpreter.executable))
    return ExitCode.CLEAN


def _refuse_conflicts(arguments: argparse.Namespace) -> None:
    prints = arguments.print_key or arguments.print_plan
    if arguments.export and (prints or arguments.print_env):
        raise UsageError("--export prints the SHA-256 of the archive and cannot be combined with a --print option")
    if arguments.archive == "":
        raise UsageError("--from is empty", advice="name an archive or its address")
    if arguments.archive and (arguments.export or prints):
        raise UsageError("--from restores an archive and cannot be combined with --export, --print-key or --print-plan")
    if arguments.with_numpy and not arguments.export:
        raise UsageError("--with-numpy needs --export", advice="to install numpy, run `python-tsan install-numpy`")
    if arguments.sha256 and not arguments.archive:
        raise UsageError("--sha256 needs --from")


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
    """Restore an archive, and warn if these settings select another interpreter than its own."""
    settings, layout, console = pipeline.settings, pipeline.layout, pipeline.console
    restored = restore_interpreter(archive, settings, layout=layout, console=console, sha256=sha256)
    selected = plan_offline(settings, toolchain=pipeline.toolchain, layout=layout)
    if options := _other_options(restored, selected, instrumented_numpy=settings.instrumented_numpy):
        console.warn(f"these settings select another interpreter; to use this one: {options}")
    return restored


def _other_options(restored: Interpreter, selected: BuildPlan | None, *, instrumented_numpy: bool) -> str:
    """Return the options that select a restored interpreter, empty when the settings do already."""
    key = "" if selected is None else selected.key
    has_numpy = "-numpy-" in restored.key
    if key == restored.key.partition("-numpy-")[0]:
        return "--instrumented-numpy" if has_numpy and not instrumented_numpy else ""
    threading = " --free-threaded" if restored.free_threaded else ""
    numpy = " --instrumented-numpy" if has_numpy else ""
    return f"--python {restored.version}{threading} --toolchain {restored.toolchain}{numpy}"


def shell_lines(interpreter: Interpreter) -> list[str]:
    """Return POSIX shell lines with which the build of an embedding program finds the interpreter and its compiler.

    ``LD_LIBRARY_PATH`` is not among them: another Python of the same version would load this libpython and fail.
    """
    values = {
        "PYTHON_TSAN_PREFIX": str(interpreter.prefix),
        "PYTHON_TSAN_EXECUTABLE": str(interpreter.executable),
        "PYTHON_TSAN_CC": str(interpreter.cc),
        "PYTHON_TSAN_CXX": str(interpreter.cxx),
        "PYTHON_TSAN_LIBRARY_PATH": str(interpreter.library.parent),
    }
    return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]


def _plan(pipeline: Pipeline) -> BuildPlan:
    """Return the plan; the network is used only when the cache does not know the source."""
    known = plan_offline(pipeline.settings, toolchain=pipeline.toolchain, layout=pipeline.layout)
    if known is not None:
        return known
    tree = obtain_source(pipeline.settings, layout=pipeline.layout, console=pipeline.console)
    return make_plan(pipeline.settings, tree.record, pipeline.toolchain, libc=libc_identity())
