"""Play one row with Python threads and print what happened as one line of JSON; end a hang at the deadline."""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import sys
import tempfile

from .mitigations import MITIGATIONS
from .rows import HAZARD, ROWS
from .stage import Stage

GRACE_SECONDS = 3.0


def main() -> None:
    """Parse the command line, play the row, and leave without waiting for threads that hang."""
    parser = argparse.ArgumentParser(prog="import_cases", description=__doc__)
    parser.add_argument("row", choices=[row.name for row in ROWS])
    parser.add_argument("--variant", default=HAZARD)
    parser.add_argument("--mitigation", default="none", choices=sorted(MITIGATIONS))
    parser.add_argument("--deadline", type=float, default=3.0, help="seconds (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="import-cases-") as folder:
        stage = Stage(arguments.row, arguments.variant, folder, arguments.mitigation)
        # Where a thread waits for a native lock with the GIL held, nothing in Python can end this process any more.
        faulthandler.dump_traceback_later(2 * arguments.deadline + GRACE_SECONDS, exit=True)
        report = stage.perform(arguments.deadline)
    sys.stdout.write(json.dumps(report, sort_keys=True) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
