"""Measure the pipeline, or one part of it, and show a table for each measurement; `nox -s bench`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.failures import as_exit_code
from python_tsan.cli.options import INTERPRETER, NUMPY, add_settings, open_pipeline
from python_tsan.errors import ExitCode
from tools.bench.kinds import DEFAULT, KINDS
from tools.bench.model import Part
from tools.bench.order import Order

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return the exit code: 1 when a limit is exceeded."""
    return as_exit_code(lambda: _measure(_parser().parse_args(arguments)), last=arguments is None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench",
        description="Compare the pipeline with the manual recipe, or measure one part.",
        allow_abbrev=False,
    )
    parts = [part.value for part in Part]
    parser.add_argument("--only", action="append", choices=parts, help="measure only this part; may be repeated")
    kinds = parser.add_mutually_exclusive_group()
    for kind in KINDS:
        kinds.add_argument(kind.flag, action="store_const", const=kind.tables, dest="tables", help=kind.summary)
    parser.set_defaults(tables=DEFAULT)
    parser.add_argument(
        "--events", type=int, default=50_000_000, help="GIL releases for --gil's memory test (%(default)s, 0: skip)"
    )
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="with --logs: read each log by this checkout too, and show ratios"
    )
    parser.add_argument(
        "--log", action="append", metavar="NAME", help="with --against: only logs with this in the name"
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="with --against: size of the logs, of that in the table (%(default)s)"
    )
    parser.add_argument("--again", action="store_true", help="repeat measurements that are already there")
    parser.add_argument("--folder", type=Path, help="where to build and keep results (default: the cache)")
    add_settings(parser, *INTERPRETER, *NUMPY, "binding")
    return parser


def _measure(arguments: argparse.Namespace) -> ExitCode:
    pipeline = open_pipeline(arguments)
    order = Order(
        pipeline=pipeline,
        folder=(arguments.folder or pipeline.layout.root / "bench").absolute(),
        parts=[Part(name) for name in arguments.only] if arguments.only else list(Part),
        again=arguments.again,
        events=arguments.events,
        against=arguments.against.absolute() if arguments.against else None,
        log=arguments.log or (),
        scale=arguments.scale,
    )
    console, missed = pipeline.console, False
    for number, table in enumerate(arguments.tables(order)):
        if number:
            console.say("")
        console.table(table.title, table.columns, table.rows)
        for complaint in table.complaints:
            console.warn(complaint)
        if table.kept_in:
            console.say(table.kept_in)
        missed |= table.missed
    return ExitCode.FINDINGS if missed else ExitCode.CLEAN


if __name__ == "__main__":
    sys.exit(main())
