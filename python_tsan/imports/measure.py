"""Own the running of rows on interpreters, each in a fresh process; leave what a report means to ``played``."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.errors import SubjectError
from python_tsan.imports.inside.import_cases.mitigations import MITIGATIONS
from python_tsan.imports.inside.import_cases.rows import HAZARD, ROWS
from python_tsan.imports.outcomes import ImportOutcome
from python_tsan.imports.played import Build, Played, read_report
from python_tsan.process import in_parallel, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

INSIDE = Path(__file__).parent / "inside"
HANG_SECONDS = 2.0
SANITIZED_HANG_SECONDS = 15.0
# Starting an interpreter on a busy machine takes longer than any row.
PROCESS_SECONDS = 60.0
# How faulthandler's report begins when a thread waits with the GIL held, so that nothing in Python could answer.
NOTHING_RUNS = "Timeout ("
MINORS = range(9, 16)

_IDENTIFY = """
import json, sys
tsan = b"__tsan_init" in open("/proc/self/exe", "rb").read()
threads = "free-threading" in sys.version
print(json.dumps([sys.version_info[:3], sys.version.split()[0], sys.implementation.name, threads, tsan]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """An interpreter that can be started. ``command`` starts it; ``version`` is exact; ``sanitized``: under TSan."""

    command: tuple[str, ...]
    version: tuple[int, ...]
    text: str
    free_threaded: bool = False
    sanitized: bool = False

    @property
    def build(self) -> Build:
        """What tells this interpreter from others of the same version."""
        return Build(version=self.version, free_threaded=self.free_threaded, sanitized=self.sanitized)


def identify(command: Sequence[str]) -> Python:
    """Start ``command`` and ask what it is. Raises SubjectError if it is not a Python from 3.9 on."""
    advice = "Name the executable of a CPython from 3.9 to 3.15."
    try:
        ended = run([*command, "-I", "-c", _IDENTIFY], timeout=PROCESS_SECONDS)
    except OSError as error:
        raise SubjectError(f"{command[0]} cannot be started: {error.strerror}", advice=advice) from error
    if ended.timed_out:
        raise SubjectError(f"{command[0]} did not answer within {PROCESS_SECONDS:g} s", advice=advice)
    try:
        version, text, implementation, free_threaded, sanitized = json.loads(ended.stdout)
    except (ValueError, TypeError) as error:
        raise SubjectError(f"{command[0]} does not answer as a Python does ({ended.how})", advice=advice) from error
    if implementation != "cpython":
        raise SubjectError(f"{command[0]} is {implementation}, which has no module locks of CPython's", advice=advice)
    if tuple(version) < (3, MINORS.start):
        raise SubjectError(f"{command[0]} is Python {text}, which is too old", advice=advice)
    return Python(
        command=tuple(command), version=tuple(version), text=text, free_threaded=free_threaded, sanitized=sanitized
    )


def pythons_at_hand() -> list[Python]:
    """Return one interpreter of each version on ``PATH`` and among pyenv's, oldest first."""
    candidates = [shutil.which(f"python3.{minor}") for minor in MINORS]
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    candidates += [str(path) for path in sorted(pyenv.glob("3.*/bin/python3"))]
    found: dict[tuple[int, ...], Python] = {}
    for candidate in candidates:
        if candidate is not None:
            for python in _try_identify(candidate):
                found.setdefault(python.version, python)
    return [found[version] for version in sorted(found)]


def _try_identify(candidate: str) -> Iterator[Python]:
    try:
        yield identify([candidate])
    except SubjectError:
        return  # pyenv's shims answer for versions that are not chosen, and old releases are of no use here


def play(
    python: Python, row: str, *, variant: str = HAZARD, mitigation: str = "none", deadline: float = HANG_SECONDS
) -> Played:
    """Play one row in a fresh process; ``deadline`` is the time in seconds after which it is taken for hung.

    Raises SubjectError when the process ends without a report.
    """
    arguments = ["import_cases", row, "--variant", variant, "--mitigation", mitigation, "--deadline", str(deadline)]
    ended = run([*python.command, "-m", *arguments], env=rows_environment(), timeout=PROCESS_SECONDS + 5 * deadline)
    if ended.stderr.startswith(NOTHING_RUNS):
        return Played(row=row, variant=variant, mitigation=mitigation, build=python.build, outcome=ImportOutcome.HANG)
    try:
        return read_report(json.loads(ended.stdout), python.build)
    except ValueError as error:
        last = ended.stderr.strip().rpartition("\n")[2]
        raise SubjectError(f"{row} on Python {python.text} ended without a report ({ended.how}): {last}") from error


def rows_environment() -> dict[str, str]:
    """Return the caller's environment without what changes Python, and with the rows in its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": str(INSIDE), "PYTHONDONTWRITEBYTECODE": "1"}


def play_rows(pythons: Iterable[Python], *, jobs: int, told: Callable[[Played], None] = lambda _: None) -> list[Played]:
    """Play every variant of every row, and every row under every mitigation, on each interpreter.

    Under the sanitizer, where a start takes a second, the mitigations are left out, and no more runs go at once than
    there are cores. ``told`` is told of each run as it ends, and of all that have ended when ``KeyboardInterrupt`` is
    raised.
    """
    stock: list[Python] = []
    sanitized: list[Python] = []
    for python in pythons:
        (sanitized if python.sanitized else stock).append(python)
    return [
        played
        for group, limit, deadline in (
            (stock, jobs, HANG_SECONDS),
            (sanitized, min(jobs, os.cpu_count() or 1), SANITIZED_HANG_SECONDS),
        )
        for played in in_parallel(partial(_play_patiently, deadline=deadline), _wanted(group), jobs=limit, told=told)
    ]


def _wanted(pythons: Sequence[Python]) -> list[tuple[Python, str, str, str]]:
    plain = [(python, row.name, variant.name, "none") for python in pythons for row in ROWS for variant in row.variants]
    cured = [
        (python, row.name, HAZARD, mitigation)
        for python in pythons
        if not python.sanitized
        for row in ROWS
        for mitigation in MITIGATIONS
        if mitigation != "none"
    ]
    return [*plain, *cured]


def _play_patiently(wanted: tuple[Python, str, str, str], deadline: float) -> Played:
    """Play once; a process that ends without a report has no outcome, and the others are still played."""
    python, row, variant, mitigation = wanted
    try:
        return play(python, row, variant=variant, mitigation=mitigation, deadline=deadline)
    except SubjectError as error:
        return Played(
            row=row, variant=variant, mitigation=mitigation, build=python.build, outcome=None, error=error.message
        )
