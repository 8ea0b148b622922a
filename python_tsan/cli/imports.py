"""The verb ``imports``: the options of its verbs, which :mod:`.import_verbs` run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.help_format import add_quiet, end_with
from python_tsan.cli.options import add_settings, count, open_context, seconds
from python_tsan.cli.output import add_output
from python_tsan.imports.cases.import_cases.lazy_names import MODES
from python_tsan.imports.cases.import_cases.watch import STALL_SECONDS
from python_tsan.imports.model.probe import PUBLIC_MODULES, TRACE_SECONDS
from python_tsan.imports.preimport import Language
from python_tsan.imports.renderings import RENDERINGS

if TYPE_CHECKING:
    from python_tsan.errors import ExitCode

CONFIRM_RUNS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs of ``imports``."""
    verbs = parser.add_subparsers(dest="imports_verb", metavar="VERB", required=True)
    _add_scan(verbs.add_parser("scan", help="predict imports that are hazards when threads make them at the same time"))
    _add_confirm(verbs.add_parser("confirm", help="drive two threads that import A and B into the predicted hazards"))
    _add_show(verbs.add_parser("show", help="show a saved scan in another format"))
    _add_preimport(verbs.add_parser("preimport", help="write the shortest list of imports that removes every hazard"))
    _add_watch(verbs.add_parser("watch", help="run a command and report the threads of an import deadlock"))


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run one of the verbs and return its code: 1 for a hazard, a deadlock or a stale list."""
    from python_tsan.cli.import_verbs import ACTS  # noqa: PLC0415 -- `--help` needs none

    return ACTS[arguments.imports_verb](arguments, open_context(arguments))


def _add_entry_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("entries", nargs="*", metavar="ENTRY", help="a module that a thread may import")
    add("--package", nargs="+", action="extend", default=[], metavar="DIST", help="the modules of a distribution")
    add(
        "--limit",
        type=count,
        default=PUBLIC_MODULES,
        metavar="N",
        help="modules of each distribution, shallowest first (%(default)s)",
    )
    add(
        "--calls",
        action=argparse.BooleanOptionalAction,
        help="also scan what functions import when called (default: not with --package)",
    )


def _add_scan(parser: argparse.ArgumentParser) -> None:
    _add_entry_options(parser)
    parser.add_argument("--confirm", action="store_true", help="drive two threads into each predicted hazard")
    _add_hazard_options(parser)
    end_with(parser, "python-tsan imports scan --package numpy --confirm")


def _add_confirm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("entries", nargs=2, metavar="ENTRY", help="the two modules, A and B")
    _add_hazard_options(parser)
    parser.set_defaults(package=[], limit=PUBLIC_MODULES, calls=False, confirm=True)
    end_with(parser, "python-tsan imports confirm xml.dom xml.sax --repeat 10")


def _add_hazard_options(parser: argparse.ArgumentParser) -> None:
    _add_probe_options(parser)
    parser.add_argument("--trace-gil", action="store_true", help="show which release of the GIL opens each hazard")
    add_output(parser, RENDERINGS)
    add_settings(parser, "cache", "jobs")


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="the output of `scan --format json`")
    add_output(parser, RENDERINGS)
    add_quiet(parser)
    end_with(parser, "python-tsan imports show scan.json --format html --output scan.html")


def _add_preimport(parser: argparse.ArgumentParser) -> None:
    _add_entry_options(parser)
    languages = [each.value for each in Language]
    parser.add_argument("--format", choices=languages, default="python", help="language (%(default)s)")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--output", type=Path, metavar="FILE", help="write the list to this file")
    target.add_argument("--check", type=Path, metavar="FILE", help="fail if this file differs from the list")
    _add_probe_options(parser)
    add_settings(parser, "cache")
    end_with(parser, "python-tsan imports preimport numpy pandas --output preimports.py")


def _add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=STALL_SECONDS,
        metavar="SECONDS",
        help="report imports that make no progress for so long (%(default)g)",
    )
    add_quiet(parser)
    parser.add_argument("command", nargs="...", metavar="-- COMMAND", help="any program that runs Python")
    end_with(parser, "python-tsan imports watch --timeout 5 -- python3 program.py")


def _add_probe_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--python",
        dest="interpreter",
        metavar="VERSION|PATH",
        default="python3",
        help="any CPython from 3.9 (%(default)s)",
    )
    add("--path", action="append", type=Path, default=[], metavar="DIR", help="a folder of modules; may be repeated")
    add("--lazy", choices=MODES, help="mode of lazy imports, Python 3.15 (default: PYTHON_LAZY_IMPORTS, or normal)")
    add(
        "--repeat",
        type=count,
        default=CONFIRM_RUNS,
        metavar="N",
        help="run each hazard N times (%(default)s)",
    )
    add(
        "--timeout",
        type=seconds,
        default=TRACE_SECONDS,
        metavar="SECONDS",
        help="limit of one import (%(default)g)",
    )
