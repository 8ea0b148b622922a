"""Own the page on CPython's own tests, written from saved runs and nothing else. Pure, no I/O."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from python_tsan.checking.model import Status
from python_tsan.checking.own_tests import PREFIX
from python_tsan.render.markdown import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from python_tsan.checking.model import Verdict
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.render.run import Run

_INTRODUCTION = """\
# CPython's own tests under ThreadSanitizer

This page is generated from runs of `nox -s test_python`; every cell is the newest verdict on one test of one build. To
write it again from the runs below a folder:

    python-tsan test-python --page docs/own-tests.md --output RUNS

A test is one of `python -m test --tsan`, upstream's own choice of what uses threads, in a process of its own, with
upstream's own suppressions. Seconds are wall time of that one run, beside whatever else the machine did: they tell how
to share the tests out (`--shard`), and no more. What is known to fail is in `python_tsan/checking/own_tests.toml`;
anything else that fails, and anything known that no longer does, makes the session red. Tests in N threads are those of
`--tsan-parallel`, which came with CPython 3.14.
"""


def render_own_tests(runs: Iterable[Run]) -> str:
    """Write the page: a sentence for each build, a row for each test, and what had to be said of a verdict."""
    newest = _newest(runs)
    lines = [_INTRODUCTION]
    lines += [f"- {build}: {_tally(verdicts.values())}" for build, verdicts in newest.items()]
    lines += ["", *_table(newest), ""]
    for build, verdicts in newest.items():
        lines += _reasons(build, verdicts.values())
    return "\n".join(lines).rstrip() + "\n"


def _newest(runs: Iterable[Run]) -> dict[str, dict[str, Verdict]]:
    """Return the newest verdict on each test, by build and test; a test that was not reached is none."""
    found: dict[str, dict[str, Verdict]] = defaultdict(dict)
    for run in sorted(runs, key=lambda run: run.id):
        interpreter = next((record.interpreter for record in run.lanes if record.interpreter), None)
        judged = [one for one in run.verdicts if one.check.startswith(PREFIX) and one.runs]
        if interpreter and judged:
            found[_build(interpreter)] |= {one.check.removeprefix(PREFIX): one for one in judged}
    return dict(sorted(found.items()))


def _build(interpreter: Interpreter) -> str:
    threading = " free-threaded" if interpreter.free_threaded else ""
    return f"{interpreter.version}{threading}, {interpreter.toolchain}, {'debug' if interpreter.debug else 'release'}"


def _tally(verdicts: Iterable[Verdict]) -> str:
    told = list(verdicts)
    counts = {status: sum(one.status is status for one in told) for status in Status}
    excused = sum(one.status is Status.PASSED and bool(one.reason) for one in told)
    parts = [f"{counts[Status.PASSED]} of {len(told)} tests passed"]
    parts += [f"{excused} of them with the words below"] if excused else []
    parts += [f"{number} {status.value}" for status, number in counts.items() if number and status is not Status.PASSED]
    return f"{', '.join(parts)}; {sum(one.seconds for one in told):.0f} s in all."


def _table(newest: Mapping[str, Mapping[str, Verdict]]) -> Iterator[str]:
    yield f"| test | {' | '.join(newest)} |"
    yield f"| --- |{' --- |' * len(newest)}"
    for test in sorted({test for verdicts in newest.values() for test in verdicts}):
        yield f"| {escape(test)} | {' | '.join(_cell(verdicts.get(test)) for verdicts in newest.values())} |"


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not run"
    if verdict.status is not Status.PASSED:
        return f"**{verdict.status.value}**, {verdict.seconds:.0f} s"
    return f"passed{', see below' if verdict.reason else ''}, {verdict.seconds:.0f} s"


def _reasons(build: str, verdicts: Iterable[Verdict]) -> Sequence[str]:
    told = [f"- **{escape(one.check.removeprefix(PREFIX))}**: {escape(one.reason)}" for one in verdicts if one.reason]
    return [f"## {build}", "", *told, ""] if told else []
