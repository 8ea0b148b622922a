"""Survey the wheels and write ``docs/wheels.md``: ``python -m tools.wheels --site DIR --python INTERPRETER...``."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path

from python_tsan.cpython.manifest import read_manifest
from tools.wheels.page import page
from tools.wheels.survey import Row, survey, wheels

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    """Run what is asked for, keep all rows in ``DIR/rows.json``, and write the page from them."""
    parser = argparse.ArgumentParser(prog="python -m tools.wheels", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the names of the wheels, to install them")
    parser.add_argument("--site", type=Path, default=Path("site"), metavar="DIR", help="where the wheels are installed")
    parser.add_argument("--work", type=Path, default=Path("work"), metavar="DIR", help="where runs and rows are kept")
    parser.add_argument("--python", type=Path, action="append", default=[], metavar="DIR", help="a built interpreter")
    parser.add_argument("--only", action="append", default=[], choices=wheels(), metavar="WHEEL", help="this one")
    parser.add_argument("--kind", action="append", default=[], choices=("Python", "C++"), help="run from this alone")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(wheels()))  # noqa: T201 -- the command's output
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    file = arguments.work / "rows.json"
    rows = [Row(**each) for each in json.loads(file.read_text("utf-8"))] if file.is_file() else []
    for folder in arguments.python:
        interpreter = read_manifest(folder)
        if interpreter is None:
            parser.error(f"{folder} has no manifest.json")
        options = {"site": arguments.site.resolve(), "work": arguments.work.resolve()}
        for row in survey(interpreter, **options, only=arguments.only, kinds=arguments.kind):
            same = (row.wheel, row.toolchain, row.kind)
            rows = [each for each in rows if (each.wheel, each.toolchain, each.kind) != same] + [row]
            file.write_text(json.dumps([asdict(each) for each in rows], indent=1), "utf-8")
            print(row.wheel, row.toolchain, row.kind, row.verdict, flush=True)  # noqa: T201 -- the command's output
    today = dt.datetime.now(tz=dt.UTC).date()
    (DOCS / "wheels.md").write_text(page(rows, today=today), "utf-8")


if __name__ == "__main__":
    main()
