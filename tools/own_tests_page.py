"""Write docs/own-tests.md from saved runs of `test-python`: the newest verdict on each test of each build."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.own_tests import PREFIX
from python_tsan.cli.failures import as_exit_code
from python_tsan.console import make_console
from python_tsan.errors import ExitCode
from python_tsan.plain_text import counted
from python_tsan.render.escape import markdown
from python_tsan.render.table import markdown_table
from python_tsan.result.model import Status
from python_tsan.result.runs import find_runs, load_all
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from python_tsan.result.model import InterpreterRecord, Result, Verdict

_INTRODUCTION = """\
# CPython's own tests under ThreadSanitizer

This page is generated from runs of `nox -s test_python`; every cell is the newest verdict on one test of one build. To
write it again from the runs in a folder:

    python -m tools.own_tests_page RUNS --output docs/own-tests.md

The tests are those of `python -m test --tsan`, which CPython's developers chose because they use threads. Each runs in
its own process, with CPython's own suppressions. Seconds are the wall time of one run on a busy machine: use them to
split the tests (`--shard`), not to compare builds. `python_tsan/checking/own_tests.toml` lists the known failures; any
other failure, and any known failure that no longer occurs, fails the session. Tests in N threads are those of
`--tsan-parallel`, which CPython 3.14 added.
"""


def render_own_tests(runs: Iterable[Result]) -> str:
    """Return the page: a sentence for each build, a row for each test, and the reasons of the verdicts."""
    newest = _newest(runs)
    lines = [_INTRODUCTION]
    lines += [f"- {build}: {_tally(verdicts.values())}" for build, verdicts in newest.items()]
    lines += ["", *_table(newest), ""]
    for build, verdicts in newest.items():
        lines += _reasons(build, verdicts.values())
    return "\n".join(lines).rstrip() + "\n"


def _newest(runs: Iterable[Result]) -> dict[str, dict[str, Verdict]]:
    """Return the newest verdict on each test, by build and test; a test that was not reached has none."""
    found: dict[str, dict[str, Verdict]] = defaultdict(dict)
    for run in sorted(runs, key=lambda run: run.id):
        interpreter = next((record.interpreter for record in run.lanes if record.interpreter), None)
        judged = [one for one in run.verdicts if one.check.startswith(PREFIX) and one.runs]
        if interpreter and judged:
            found[_build(interpreter)] |= {one.check.removeprefix(PREFIX): one for one in judged}
    return dict(sorted(found.items()))


def _build(interpreter: InterpreterRecord) -> str:
    threading = " free-threaded" if interpreter.free_threaded else ""
    return f"{interpreter.version}{threading}, {interpreter.toolchain}, {'debug' if interpreter.debug else 'release'}"


def _tally(verdicts: Iterable[Verdict]) -> str:
    judged = list(verdicts)
    counts = {status: sum(one.status is status for one in judged) for status in Status}
    excused = sum(one.status is Status.PASSED and bool(one.reason) for one in judged)
    parts = [f"{counts[Status.PASSED]} of {counted(len(judged), 'test')} passed"]
    parts += [f"{excused} of them for the reasons below"] if excused else []
    parts += [f"{number} {status.value}" for status, number in counts.items() if number and status is not Status.PASSED]
    return f"{', '.join(parts)}; {sum(one.seconds for one in judged):.0f} s in all."


def _table(newest: Mapping[str, Mapping[str, Verdict]]) -> Iterator[str]:
    rows = (
        (markdown(test), *(_cell(verdicts.get(test)) for verdicts in newest.values()))
        for test in sorted({test for verdicts in newest.values() for test in verdicts})
    )
    yield from markdown_table(("test", *newest), rows)


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not run"
    if verdict.status is not Status.PASSED:
        return f"**{verdict.status.value}**, {verdict.seconds:.0f} s"
    return f"passed{', see below' if verdict.reason else ''}, {verdict.seconds:.0f} s"


def _reasons(build: str, verdicts: Iterable[Verdict]) -> Sequence[str]:
    reasons = [
        f"- **{markdown(one.check.removeprefix(PREFIX))}**: {markdown(one.reason)}" for one in verdicts if one.reason
    ]
    return [f"## {build}", "", *reasons, ""] if reasons else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page from the runs below a folder; 6 if some of them could not be read."""
    parser = argparse.ArgumentParser(prog="python -m tools.own_tests_page", description=__doc__, allow_abbrev=False)
    parser.add_argument("runs", metavar="RUNS", help="the folder of the runs")
    parser.add_argument("--output", type=Path, default=Path("docs/own-tests.md"), metavar="FILE", help="the page")
    parsed = parser.parse_args(arguments)
    return as_exit_code(lambda: _write_page(parsed.runs, parsed.output), last=arguments is None)


def _write_page(folder: str, page: Path) -> ExitCode:
    console, loaded = make_console(), load_all(find_runs([folder]))
    for line in loaded.unreadable:
        console.warn(line)
    runs = [run for _, run in loaded.runs]
    with storage_errors(page):
        write_whole(page.absolute(), render_own_tests(runs).encode())
    console.say(f"{page}: from {counted(len(runs), 'run')}")
    return ExitCode.SUBJECT if loaded.unreadable else ExitCode.CLEAN


if __name__ == "__main__":
    sys.exit(main())
