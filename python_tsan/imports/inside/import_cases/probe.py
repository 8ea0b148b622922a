"""Read one command, do it, and write its result as one line of JSON to a descriptor that the modules cannot reach."""

from __future__ import annotations

import argparse
import json
import os
import sys


def main() -> None:
    """Trace or confirm, and leave without waiting for threads that the modules have started."""
    parser = argparse.ArgumentParser(prog="import_cases.probe", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    tracing = verbs.add_parser("trace")
    tracing.add_argument("entries", nargs="+")
    confirming = verbs.add_parser("confirm")
    confirming.add_argument("plan", help="JSON object")
    arguments = parser.parse_args()

    # A module that prints must not spoil the result: it gets standard error in place of standard output.
    result = os.dup(1)
    os.dup2(2, 1)
    if arguments.verb == "trace":
        from .tracer import trace  # noqa: PLC0415 -- what a trace does not need must not be cached by it

        answer = trace(arguments.entries)
    else:
        from .drive import confirm  # noqa: PLC0415 -- as above

        answer = confirm(json.loads(arguments.plan))
    data = json.dumps(answer).encode()
    while data:
        data = data[os.write(result, data) :]
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
