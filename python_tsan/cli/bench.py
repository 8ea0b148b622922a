"""Own the verb ``bench``: its options and how its tables are shown; leave what is measured to :mod:`..bench.kinds`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.bench.kinds import DEFAULT, KINDS
from python_tsan.bench.model import Part
from python_tsan.bench.order import Order
from python_tsan.cli.options import open_pipeline
from python_tsan.errors import ExitCode

if TYPE_CHECKING:
    import argparse

    from python_tsan.bench.table import Table
    from python_tsan.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the bench's own arguments."""
    parts = [part.value for part in Part]
    parser.add_argument("--only", action="append", choices=parts, help="measure this part only; may be repeated")
    kinds = parser.add_mutually_exclusive_group()
    for kind in KINDS:
        kinds.add_argument(kind.flag, action="store_const", const=kind.tables, dest="tables", help=kind.summary)
    parser.set_defaults(tables=DEFAULT)
    parser.add_argument(
        "--events", type=int, default=50_000_000, help="releases of --gil for the memory (%(default)s, 0 for none)"
    )
    parser.add_argument("--again", action="store_true", help="measure anew what was measured before")
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to build and keep results (default: the cache)"
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Show each table as soon as it is measured."""
    order = _order(arguments)
    missed = False
    for number, table in enumerate(arguments.tables(order)):
        if number:
            order.pipeline.console.say("")
        _show(table, order.pipeline.console)
        missed |= table.missed
    return ExitCode.FINDINGS if missed else ExitCode.CLEAN


def _order(arguments: argparse.Namespace) -> Order:
    pipeline = open_pipeline(arguments)
    return Order(
        pipeline=pipeline,
        folder=(arguments.folder or pipeline.layout.root / "bench").absolute(),
        parts=[Part(name) for name in arguments.only] if arguments.only else list(Part),
        again=arguments.again,
        events=arguments.events,
    )


def _show(table: Table, console: Console) -> None:
    console.table(table.title, table.columns, table.rows)
    for complaint in table.complaints:
        console.warn(complaint)
    if table.kept_in:
        console.say(table.kept_in)
