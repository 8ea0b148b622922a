"""Survey the wheels and write ``docs/wheels.md``: ``python -m tools.wheels --site DIR --python INTERPRETER...``."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.cli.cluster import FOLDER, Task, connected, refuse_address
from python_tsan.cli.failures import as_exit_code
from python_tsan.console import make_console
from python_tsan.cpython.manifest import read_manifest
from python_tsan.errors import ExitCode, Interrupted, SubjectError, UsageError
from python_tsan.paths import Layout, default_root
from python_tsan.process import keeping
from python_tsan.result.shard import parse_shard, share
from tools.wheels.page import page
from tools.wheels.survey import KINDS, SECONDS, Row, survey, wheels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.console import Console
    from python_tsan.cpython.manifest import Interpreter

REPOSITORY = Path(__file__).parents[2]
ROWS = "rows.json"
# Installing nothing, an embedder is compiled and a program run.
TASK_SECONDS = SECONDS + 300.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, keep all rows in ``DIR/rows.json``, and write the page from them."""
    return as_exit_code(lambda: _perform(parser().parse_args(arguments)), last=arguments is None)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(prog="python -m tools.wheels", description=__doc__)
    add = parser.add_argument
    add("--list", action="store_true", help="print the names of the wheels, to install them")
    add("--site", type=Path, default=Path("site"), metavar="DIR", help="where the wheels are installed")
    add("--work", type=Path, default=Path("work"), metavar="DIR", help="where runs and rows are kept")
    add("--python", type=Path, action="append", default=[], metavar="DIR", help="a built interpreter")
    add("--only", action="append", default=[], choices=wheels(), metavar="WHEEL", help="this one")
    add("--kind", action="append", default=[], choices=KINDS, help="run from this alone")
    add("--shard", metavar="I/N|auto", help="only part I of N of the wheels, or this job's part")
    add("--cluster", metavar="dask://HOST:PORT", help="let the workers of a dask cluster run the programs")
    add("--output", type=Path, default=REPOSITORY / "docs" / "wheels.md", metavar="FILE", help="the page")
    return parser


def _perform(arguments: argparse.Namespace) -> ExitCode:
    console = make_console(quiet=False)
    if arguments.list:
        console.data("\n".join(wheels()))
        return ExitCode.CLEAN
    names = arguments.only or wheels()
    if arguments.shard:
        names = [names[number - 1] for number in share(parse_shard(arguments.shard, os.environ), len(names))]
    kept = _Rows(arguments.work)
    problems: list[str] = []
    interpreters = [_interpreter(folder) for folder in arguments.python]
    with keeping(kept.interrupted):
        if arguments.cluster:
            refuse_address(arguments.cluster)
            rows = _on_cluster(arguments, names, interpreters, console, problems)
        else:
            rows = _here(arguments, names, interpreters)
        for row in rows:
            kept.add(row)
            console.say(f"{row.wheel} {row.toolchain} {row.kind} {row.verdict}")
    arguments.output.write_text(page(kept.rows, today=dt.datetime.now(tz=dt.UTC).date()), "utf-8")
    return ExitCode.SUBJECT if problems else ExitCode.CLEAN


class _Rows:
    """The rows of a folder; each is on disk before the next one is there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / ROWS
        self.rows = read_rows(self.file.read_bytes()) if self.file.is_file() else []

    def add(self, row: Row) -> None:
        """Keep a row in the place of an earlier one of the same run."""
        same = (row.wheel, row.toolchain, row.kind)
        self.rows = [each for each in self.rows if (each.wheel, each.toolchain, each.kind) != same] + [row]
        self.file.write_text(json.dumps([asdict(each) for each in self.rows], indent=1), "utf-8")

    def interrupted(self) -> Interrupted:
        """Return what to say of an interrupt."""
        return Interrupted("the rows so far are kept", evidence=self.file, advice="the same command with --only")


def read_rows(data: bytes) -> list[Row]:
    """Return the rows of ``rows.json``."""
    return [Row(**each) for each in json.loads(data)]


def _interpreter(folder: Path) -> Interpreter:
    """Return a built interpreter; on another machine, that of the same key in the cache."""
    found = read_manifest(folder) or read_manifest(Layout(root=default_root()).interpreters / folder.name)
    if found is None:
        raise UsageError(f"{folder} has no manifest.json")
    return found


def _here(arguments: argparse.Namespace, names: Sequence[str], interpreters: Sequence[Interpreter]) -> Iterator[Row]:
    site, work = arguments.site.resolve(), arguments.work.resolve()
    for interpreter in interpreters:
        yield from survey(interpreter, site=site, work=work, only=names, kinds=arguments.kind)


def _on_cluster(
    arguments: argparse.Namespace,
    names: Sequence[str],
    interpreters: Sequence[Interpreter],
    console: Console,
    problems: list[str],
) -> Iterator[Row]:
    """Yield the rows that workers make, one task for each wheel, kind and interpreter; note what is missing."""
    tasks = [
        task_of(wheel, kind, interpreter.prefix, arguments.site.resolve())
        for interpreter in interpreters
        for wheel in names
        for kind in arguments.kind or KINDS
    ]
    with connected(arguments.cluster, console) as cluster, closing(cluster.ended(tasks)) as ends:
        try:
            for ended in ends:
                for data in ended.files.values():
                    yield from read_rows(data)
                if not ended.files:
                    problems.append(f"{ended.task.name}: {ended.problem}")
                    console.warn(problems[-1])
        except SubjectError as error:  # no worker is left
            problems.append(error.message)
            console.warn(problems[-1])


def task_of(wheel: str, kind: str, interpreter: Path, site: Path) -> Task:
    """Return the command of this module that makes one row on a worker."""
    places = (f"--site={site}", f"--work={FOLDER}", f"--python={interpreter}", f"--output={FOLDER}/page.md")
    return Task(
        name=f"{wheel} from {kind} in {interpreter.name}",
        words=("tools.wheels", f"--only={wheel}", f"--kind={kind}", *places),
        files=(ROWS,),
        cwd=str(REPOSITORY),
        seconds=TASK_SECONDS,
    )


if __name__ == "__main__":
    sys.exit(main())
