"""Play one row with Python threads and print what happened as one line of JSON; end a hang at the deadline."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from .case_run import CaseRun, no_mitigation
from .rows import HAZARD, LAZY_ROWS, ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .case_run import Mitigation

GRACE_SECONDS = 3.0
WITHOUT: Mapping[str, Mitigation] = {"none": no_mitigation}


def main(mitigations: Mapping[str, Mitigation] = WITHOUT) -> None:
    """Parse the command line, run the row, and leave without waiting for threads that hang."""
    parser = argparse.ArgumentParser(prog="import_cases", description=__doc__)
    parser.add_argument("row", choices=[row.name for row in (*ROWS, *LAZY_ROWS)])
    parser.add_argument("--variant", default=HAZARD)
    parser.add_argument("--mitigation", default="none", choices=sorted(mitigations))
    parser.add_argument("--deadline", type=float, default=3.0, help="seconds (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="import-cases-") as folder:
        run = CaseRun(arguments.row, arguments.variant, folder, mitigations[arguments.mitigation])
        # Where a thread waits for a native lock with the GIL held, nothing in Python can end this process any more.
        faulthandler.dump_traceback_later(2 * arguments.deadline + GRACE_SECONDS, exit=True)
        report = {**run.perform(arguments.deadline), "mitigation": arguments.mitigation}
    sys.stdout.write(json.dumps(report, sort_keys=True) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
