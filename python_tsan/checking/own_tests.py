"""Own the running of CPython's own tests, one subject each, and what is known of them; leave choosing to the verb.

A known failure is one that upstream has an issue for: it is left out of its test by name, and said in the verdict.
"""

from __future__ import annotations

import os
import re
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from python_tsan.checking.environment import compose_environment
from python_tsan.checking.execution import STDOUT_FILE, observe
from python_tsan.checking.judge import judge
from python_tsan.checking.model import Expectation, Lane, Outcome, Status, Verdict
from python_tsan.cpython.environment import clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.cpython.manifest import Interpreter
    from python_tsan.cpython.own_tests import SuiteHome
    from python_tsan.toolchain.model import Toolchain

CLEAN = Expectation(outcome=Outcome.CLEAN)
NOT_REACHED = "the time for all tests was over before it was reached"
# regrtest says by 2 that a test failed, and the judge takes 2 for a command line that was refused. That the interpreter
# was built without test modules is what its sysconfig says; here they are there.
PROGRAM = """
import sys, sysconfig
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
class Known:
    """One case of CPython's own tests that fails under ThreadSanitizer by upstream's own account.

    ``case`` is a pattern for its full name, ``releases`` the minors that it is known of, ``free_threaded`` the kind of
    build (None for both).
    """

    test: str
    case: str
    issue: str
    reason: str
    releases: tuple[str, ...]
    free_threaded: bool | None = None

    def concerns(self, interpreter: Interpreter) -> bool:
        """Tell whether it is known of this version and kind of build."""
        minor = ".".join(interpreter.version.split(".")[:2])
        return minor in self.releases and self.free_threaded in (None, interpreter.free_threaded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long things may take, in seconds: all tests together, and each by itself. ``jobs`` run at a time."""

    whole: float
    each: float
    jobs: int


@cache
def known_failures() -> tuple[Known, ...]:
    """Return what is known of CPython's own tests (``own_tests.toml``)."""
    table = tomllib.loads(files("python_tsan.checking").joinpath("own_tests.toml").read_text(encoding="utf-8"))
    return tuple(Known(**{**entry, "releases": tuple(entry["releases"])}) for entry in table.get("known", ()))


def suite_environment(home: SuiteHome, toolchain: Toolchain, bytecode: Path) -> SubjectEnvironment:
    """Return what CPython's tests run in: upstream's suppressions, and byte-code kept out of the source tree."""
    wanted = {"suppressions": str(home.suppressions)} if home.suppressions else {}
    return compose_environment(
        clean_environment(os.environ),
        toolchain=toolchain,
        # A test that ends a child by a deadly signal wants to see that signal.
        wanted={**wanted, "handle_segv": "0"},
        extra={"PYTHONPYCACHEPREFIX": str(bytecode)},
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
    on_verdict: Callable[[Verdict], None],
) -> tuple[Verdict, ...]:
    """Run each test as a subject of its own and return a verdict for each; what is not reached in time is skipped."""
    ends = time.monotonic() + limits.whole

    def one(test: str) -> Verdict:
        left = ends - time.monotonic()
        if left <= 0:
            verdict = _not_reached(test)
        else:
            known = [each for each in known_failures() if each.test == test and each.concerns(interpreter)]
            command = [home.python, "-c", PROGRAM, *_options(known), "--tempdir", "{temporary}", test]
            place = folder / test
            observation = observe(
                [str(part).replace("{temporary}", str(place.absolute() / "temporary")) for part in command],
                folder=place,
                env=environment.variables,
                deadline=min(limits.each, left),
                launcher=launcher,
            )
            judged = judge(f"cpython/{test}", Lane.FULL, CLEAN, [observation])
            verdict = _with_known(_if_anything_ran(judged, place / STDOUT_FILE), known)
        on_verdict(verdict)
        return verdict

    with ThreadPoolExecutor(max_workers=limits.jobs) as pool:
        return tuple(pool.map(one, tests))


def _options(known: Iterable[Known]) -> Iterator[str]:
    for each in known:
        yield from ("--ignore", each.case)


def _if_anything_ran(verdict: Verdict, output: Path) -> Verdict:
    """Return the verdict, but for a test that passed by skipping everything that is in it: nothing was seen then."""
    text = output.read_text(encoding="utf-8", errors="replace")
    totals = _TOTALS.search(text)
    run, skipped = ((totals[name] or "0").replace(",", "") for name in ("run", "skipped")) if totals else ("0", "0")
    if verdict.status is not Status.PASSED or int(run) > int(skipped):
        return verdict
    why = _SKIPPED.search(text)
    reason = f"it skipped all that is in it{f': {why[1]}' if why else ''}" if totals else "it did not say what it ran"
    return replace(verdict, status=Status.SKIPPED if totals else Status.COULD_NOT_JUDGE, reason=reason)


def _with_known(verdict: Verdict, known: Iterable[Known]) -> Verdict:
    told = "; ".join(f"left out {each.case}: {each.reason} ({each.issue})" for each in known)
    return replace(verdict, reason="; ".join(filter(None, (verdict.reason, told))))


def _not_reached(test: str) -> Verdict:
    return Verdict(
        check=f"cpython/{test}",
        lane=Lane.FULL,
        status=Status.SKIPPED,
        expectation=CLEAN,
        met=0,
        runs=0,
        reason=NOT_REACHED,
        seconds=0.0,
    )
