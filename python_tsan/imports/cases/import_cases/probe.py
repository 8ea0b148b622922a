"""Read one command and write its result to a descriptor that modules cannot reach: JSON lines, the answer last."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from .lazy_names import NORMAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def main() -> None:
    """Do one command, and leave without waiting for threads that the modules have started."""
    parser = argparse.ArgumentParser(prog="import_cases.probe", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    tracing = verbs.add_parser("trace")
    tracing.add_argument("entries", nargs="+")
    tracing.add_argument("--main", action="append", default=[])
    tracing.add_argument("--lazy", default=NORMAL)
    listing = verbs.add_parser("list")
    listing.add_argument("distributions", nargs="+")
    listing.add_argument("--limit", type=int, default=40)
    reading = verbs.add_parser("sources")
    reading.add_argument("order", help="a file with a JSON object")
    confirming = verbs.add_parser("confirm")
    confirming.add_argument("plan", help="JSON object")
    arguments = parser.parse_args()

    # A module that prints must not spoil the result: it gets standard error in place of standard output.
    result = os.dup(1)
    os.dup2(2, 1)

    def write(answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode() + b"\n"
        while data:
            data = data[os.write(result, data) :]

    write(_answer(arguments, write))
    sys.stderr.flush()
    os._exit(0)


def _answer(arguments: argparse.Namespace, write: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    if arguments.verb == "trace":
        from .tracer import trace  # noqa: PLC0415 -- what a trace does not need must not be cached by it

        return trace(arguments.entries, arguments.main, mode=arguments.lazy, note=write)
    if arguments.verb == "list":
        from .listing import list_modules  # noqa: PLC0415 -- as above

        return {name: list_modules(name, arguments.limit) for name in arguments.distributions}
    if arguments.verb == "sources":
        from .source_reader import read_sources  # noqa: PLC0415 -- as above

        with open(arguments.order, encoding="utf-8") as file:  # noqa: PTH123 -- as above
            order = json.load(file)
        return read_sources(order, write)
    from .directed_run import confirm  # noqa: PLC0415 -- as above

    return confirm(json.loads(arguments.plan))


if __name__ == "__main__":
    main()
