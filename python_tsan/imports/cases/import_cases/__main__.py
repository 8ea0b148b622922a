"""Play one row with Python threads and print what happened as one line of JSON; end a hang at the deadline."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from .case_run import CaseRun
from .rows import LAZY_ROWS, ROWS
from .schedules import HAZARD

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE_SECONDS = 3.0


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the options that say what runs, and for how long."""
    parser = argparse.ArgumentParser(prog="import_cases", description=__doc__)
    parser.add_argument("row", choices=[row.name for row in (*ROWS, *LAZY_ROWS)])
    parser.add_argument("--variant", default=HAZARD)
    parser.add_argument("--deadline", type=float, default=3.0, help="seconds (default: %(default)s)")
    return parser


def play(arguments: argparse.Namespace, prepare: Callable[[CaseRun], object] = id, **more: str) -> None:
    """Run the row that the arguments name once it is prepared, print the report and ``more``, and end the process."""
    with tempfile.TemporaryDirectory(prefix="import-cases-") as folder:
        run = CaseRun(arguments.row, arguments.variant, folder)
        prepare(run)
        # Where a thread waits for a native lock with the GIL held, nothing in Python can end this process any more.
        faulthandler.dump_traceback_later(2 * arguments.deadline + GRACE_SECONDS, exit=True)
        report = {**run.perform(arguments.deadline), **more}
    sys.stdout.write(json.dumps(report, sort_keys=True) + "\n")
    sys.stdout.flush()
    os._exit(0)  # without waiting for threads that hang


if __name__ == "__main__":
    play(command_line().parse_args())
