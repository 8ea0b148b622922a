"""Run CPython's own tests, each as a subject in a process of its own."""

from __future__ import annotations

import os
import re
import time
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from python_tsan.checking.environment import compose_environment
from python_tsan.checking.execution import STDOUT_FILE, observe
from python_tsan.cpython.environment import clean_environment
from python_tsan.expectation import Lane
from python_tsan.process import in_parallel
from python_tsan.result.judge.check import judge_check
from python_tsan.result.known import DATA_FILE, KnownFailure, Seen, less_what_is_known
from python_tsan.result.model import CLEAN, Status, Verdict
from python_tsan.storage import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.own_tests import SuiteHome
    from python_tsan.toolchain.model import Toolchain

PREFIX = "cpython/"  # of the names of these checks
FAILED_FILE = "failed.txt"
NOT_REACHED = "the time for all tests was over before it was reached"
CUT_SHORT = "the time for all tests was over while it ran"
INTERRUPTED = "the run was interrupted before it ended"
# regrtest reports a failed test by exit 2, which the judge takes for a refused command line. That the interpreter was
# built without test modules is what its sysconfig says; here they are there. regrtest's --junit-xml knows nothing
# of failed subtests, so the names of what failed are noted here, also for a test that does not end.
PROGRAM = """
import sys, sysconfig, unittest
names = sys.argv.pop(1)

def noting(method):
    def note(result, test, *rest):
        if rest[-1:] != (None,):  # as of a subtest that passed
            with open(names, "a", encoding="utf-8") as file:
                print(test.id(), file=file)
        return method(result, test, *rest)
    return note

for name in "addError", "addFailure", "addSubTest", "addUnexpectedSuccess":
    setattr(unittest.TestResult, name, noting(getattr(unittest.TestResult, name)))
sysconfig.get_config_vars()["TEST_MODULES"] = "yes"
from test.libregrtest.main import main
try:
    main()
except SystemExit as end:
    sys.exit(1 if end.code == 2 else end.code)
"""
# Total tests: run=162 skipped=6   /   Total tests: run=1,234 (filtered) failures=2 skipped=6
_TOTALS = re.compile(r"^Total tests: run=(?P<run>[\d,]+)(?:.*? skipped=(?P<skipped>[\d,]+))?", re.MULTILINE)
# test_capi.test_pyatomic skipped -- requires test modules
_SKIPPED = re.compile(r" skipped -- (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long things may take, in seconds: all tests together, and each by itself. ``jobs`` run at a time."""

    whole: float
    each: float
    jobs: int


def suite_environment(home: SuiteHome, toolchain: Toolchain) -> SubjectEnvironment:
    """Return what CPython's tests run in: little of the caller's own, and upstream's suppressions."""
    options = {"suppressions": str(home.suppressions)} if home.suppressions else {}
    return compose_environment(
        clean_environment(os.environ),
        toolchain=toolchain,
        # A test that ends a child by a deadly signal expects that signal.
        options={**options, "handle_segv": "0"},
    )


def run_tests(
    tests: Iterable[str],
    interpreter: Interpreter,
    home: SuiteHome,
    *,
    folder: Path,
    environment: SubjectEnvironment,
    launcher: tuple[str, ...],
    limits: Limits,
    threads: int | None = None,
    on_verdict: Callable[[Verdict], None],
) -> tuple[Verdict, ...]:
    """Run each test as a subject of its own and return a verdict for each; what is not reached in time is skipped.

    With ``threads``, every case of a test runs in that many threads at once. ``on_verdict`` is called with each
    verdict at once, and has been called with all that there are when ``KeyboardInterrupt`` is raised.
    """
    ends = time.monotonic() + limits.whole

    def one(test: str) -> Verdict:
        deadline = min(limits.each, ends - time.monotonic())
        if deadline <= 0:
            return not_judged(test, threads, NOT_REACHED)
        known, place = known_of(test, interpreter), folder / test
        observation = observe(
            _command(home, test, known, place.absolute(), threads),
            folder=place,
            env=environment.variables,
            deadline=deadline,
            launcher=launcher,
        )
        judgement = judge_check(check_name(test, threads), Lane.FULL, CLEAN, [observation])
        if observation.timed_out and deadline < limits.each:
            return replace(judgement, status=Status.SKIPPED, reason=CUT_SHORT)
        verdict = _if_anything_ran(judgement, place / STDOUT_FILE)
        return less_what_is_known(verdict, failed_cases(place / FAILED_FILE), known)

    return tuple(in_parallel(one, tests, jobs=limits.jobs, on_result=on_verdict))


@cache
def known_failures() -> tuple[KnownFailure, ...]:
    """Return what is known of CPython's own tests."""
    table = tomllib.loads(files(__package__).joinpath(DATA_FILE).read_text(encoding="utf-8"))
    return msgspec.convert(table.get("known", ()), tuple[KnownFailure, ...])


def known_of(test: str, interpreter: Interpreter) -> tuple[KnownFailure, ...]:
    """Return what is known of one test in this interpreter."""
    version, free_threaded = interpreter.version, interpreter.free_threaded
    return tuple(
        each for each in known_failures() if each.test == test and each.concerns(version, free_threaded=free_threaded)
    )


def check_name(test: str, threads: int | None) -> str:
    """Return the name under which a test has its verdict."""
    return f"{PREFIX}{test}{f' ({threads} threads)' if threads else ''}"


def _command(home: SuiteHome, test: str, known: Iterable[KnownFailure], place: Path, threads: int | None) -> list[str]:
    """Return the command for one test, whose files go into ``place``."""
    command = [str(home.python), "-c", PROGRAM, str(place / FAILED_FILE), "--tempdir", str(place / "temporary")]
    command += ["--parallel-threads", str(threads)] if threads else []
    for each in known:
        command += ["--ignore", each.case] if each.seen is Seen.LEFT_OUT else []
    return [*command, test]


def failed_cases(file: Path) -> tuple[str, ...]:
    """Return the full names of the cases that failed, once each, as :data:`PROGRAM` noted them; mostly none."""
    return tuple(dict.fromkeys(text_of(file).splitlines()))


def _if_anything_ran(verdict: Verdict, output: Path) -> Verdict:
    """Return the verdict, but for a test that passed by skipping everything that is in it: nothing was seen then."""
    text = text_of(output)
    totals = _TOTALS.search(text)
    run, skipped = ((totals[name] or "0").replace(",", "") for name in ("run", "skipped")) if totals else ("0", "0")
    if verdict.status is not Status.PASSED or int(run) > int(skipped):
        return verdict
    why = _SKIPPED.search(text)
    reason = f"it skipped all that is in it{f': {why[1]}' if why else ''}" if totals else "it did not say what it ran"
    return replace(verdict, status=Status.SKIPPED if totals else Status.COULD_NOT_JUDGE, reason=reason)


def has_ended(verdict: Verdict) -> bool:
    """Return whether a test came to its end, rather than to that of the run."""
    return verdict.reason not in {NOT_REACHED, CUT_SHORT, INTERRUPTED}


def not_judged(test: str, threads: int | None, reason: str) -> Verdict:
    """Return the verdict on a test that did not come to its end, for this reason."""
    return Verdict(
        check=check_name(test, threads),
        lane=Lane.FULL,
        status=Status.SKIPPED,
        reason=reason,
    )
