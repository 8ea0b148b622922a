"""The verb ``test-python``: select CPython's own tests, run them, and save and show the run."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.lane import BLIND_SPOTS
from python_tsan.checking.own_tests import (
    INTERRUPTED,
    Limits,
    check_name,
    has_ended,
    not_judged,
    run_tests,
    suite_environment,
)
from python_tsan.cli.help_format import end_with
from python_tsan.cli.options import INTERPRETER, add_settings, open_context, seconds
from python_tsan.cli.provenance import interpreter_record, provenance_of
from python_tsan.cpython.own_tests import Selection, SuiteHome, files_of_test, prepare_tests, selected_tests
from python_tsan.cpython.sources.search import obtain_source
from python_tsan.errors import ExitCode, Interrupted, UsageError
from python_tsan.expectation import Lane
from python_tsan.pipeline import Pipeline
from python_tsan.plain_text import counted, did_you_mean
from python_tsan.process import keeping
from python_tsan.render.checks import lane_lines, matched
from python_tsan.render.lines import Line
from python_tsan.render.terminal import conclusion_lines
from python_tsan.result.build import result_of_checks
from python_tsan.result.codec import load_result
from python_tsan.result.model import LaneRecord, Result
from python_tsan.result.shard import parse_shard, share
from python_tsan.result.store import RunFolder, open_run, save_run

if TYPE_CHECKING:
    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.cli.options import Context
    from python_tsan.cpython.sources.provider import SourceTree
    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Verdict
    from python_tsan.result.shard import Shard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the tests and the limits."""
    add = parser.add_argument
    add("tests", nargs="*", metavar="TEST", help="such as test_queue (default: those of CPython's --tsan)")
    add(
        "--parallel",
        type=_threads,
        metavar="N",
        help="run those of CPython's --tsan-parallel (3.14 and later), each case in N threads",
    )
    add("--shard", metavar="I/N|auto", help="run only part I of N, for N machines, or this job's part")
    add("--resume", type=Path, metavar="DIR", help="resume an interrupted run")
    add("--list", action="store_true", help="print the selected tests, run nothing")
    add("--timeout", type=seconds, default=600.0, metavar="SECONDS", help="limit of each test (600)")
    add("--session-timeout", type=seconds, default=1800.0, metavar="SECONDS", help="limit of all tests together (1800)")
    add_settings(parser, *INTERPRETER, "output")
    end_with(parser, "python-tsan test-python test_queue test_threading --python 3.14")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run CPython's own tests and return the code of the run: 0 clean, 1 a test failed, 6 not all were judged."""
    context = open_context(arguments)
    earlier = load_result(arguments.resume) if arguments.resume else None
    tree = obtain_source(context.settings, layout=context.layout, console=context.console)
    selection = Selection.PARALLEL if arguments.parallel else Selection.THREADED
    chosen = choose_tests(arguments.tests, tree.path, tree.record.version, selection)
    shard = parse_shard(arguments.shard, os.environ) if arguments.shard else None
    tests = part_of(chosen, shard)
    if arguments.list:
        for test in tests:
            context.console.say(test)
        return ExitCode.CLEAN
    request = TestRequest(
        tests=tests,
        threads=arguments.parallel,
        limits=Limits(whole=arguments.session_timeout, each=arguments.timeout, jobs=context.settings.jobs),
        earlier=earlier,
        notes=(f"shard {shard}: {len(tests)} of {len(chosen)} tests",) if shard else (),
    )
    return judge_tests(request, tree, context).exit_code


def part_of(tests: tuple[str, ...], shard: Shard | None) -> tuple[str, ...]:
    """Return one machine's part of the tests; the parts together are all tests. Raises ``UsageError``."""
    part = tuple(tests[number - 1] for number in share(shard, len(tests)))
    if not part:
        raise UsageError(f"--shard {shard}: there are only {counted(len(tests), 'test')}", page="merge")
    return part


def choose_tests(named: list[str], tree: Path, version: str, selection: Selection) -> tuple[str, ...]:
    """Return the tests to run. Raises ``UsageError`` for one that does not exist, or when none is selected."""
    selected = selected_tests(tree, selection)
    chosen = tuple(dict.fromkeys(named)) or selected
    if not chosen or (selection is Selection.PARALLEL and not selected):
        raise UsageError(
            f"CPython {version} has no `-m test {selection.option}`; it is new in {selection.since}",
            advice="without --parallel, name the tests, such as test_threading test_queue",
        )
    for test in chosen:
        if not files_of_test(tree, test):
            known = [path.stem for path in sorted(tree.joinpath("Lib", "test").glob("test_*"))]
            listing = "--list prints the default selection; the others are in Lib/test of its source"
            raise UsageError(
                f"CPython {version} has no test {test!r}", advice=did_you_mean(test, known, otherwise=listing)
            )
    return chosen


def _threads(text: str) -> int:
    if not (text.isdecimal() and int(text) > 1):
        raise argparse.ArgumentTypeError(f"must be an integer of 2 or more, not {text!r}")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRequest:
    """What to run: ``tests`` in this order, each case in ``threads`` threads if that is given.

    ``earlier`` is an interrupted run: its verdicts are kept. ``notes`` go into the run.
    """

    tests: tuple[str, ...]
    threads: int | None
    limits: Limits
    earlier: Result | None = None
    notes: tuple[str, ...] = ()


def judge_tests(request: TestRequest, tree: SourceTree, context: Context) -> Result:
    """Build what is missing, run the tests, save and show the run.

    Raises :class:`UsageError` when the earlier run used another interpreter, and :class:`Interrupted` after the
    verdicts so far are saved and shown.
    """
    pipeline = Pipeline(settings=context.settings, layout=context.layout, console=context.console)
    interpreter = pipeline.interpreter
    kept = _kept(request, interpreter.key)
    tests = tuple(test for test in request.tests if check_name(test, request.threads) not in kept)
    home = prepare_tests(
        interpreter, tree.path, tests, jobs=request.limits.jobs, layout=context.layout, console=context.console
    )
    judging = _Judging(request=request, tree=tree, context=context, pipeline=pipeline, verdicts=kept)
    judging.run(tests, home)
    return judging.conclude()


def _kept(request: TestRequest, key: str) -> dict[str, Verdict]:
    """Return the verdicts of the earlier run by the name of the check."""
    if request.earlier is None:
        return {}
    if any(record.interpreter is None or record.interpreter.key != key for record in request.earlier.lanes):
        raise UsageError(
            f"--resume: run {request.earlier.id} used another interpreter",
            advice="use the settings of that run; they are in its run.json",
        )
    return {one.check: one for one in request.earlier.verdicts if has_ended(one)}


@dataclass(kw_only=True)
class _Judging:
    """A run in progress, with its ``verdicts`` so far by the name of the check."""

    request: TestRequest
    tree: SourceTree
    context: Context
    pipeline: Pipeline
    verdicts: dict[str, Verdict]
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.folder: RunFolder = open_run(self.context.settings.output)
        self.notes = list(self.request.notes)
        if self.request.earlier:
            self.notes.append(f"from run {self.request.earlier.id}: {counted(len(self.verdicts), 'verdict')}")

    def run(self, tests: tuple[str, ...], home: SuiteHome) -> None:
        """Run the tests; an interrupt saves and shows the verdicts so far."""
        self.environment: SubjectEnvironment = suite_environment(home, self.pipeline.toolchain)
        for note in self.environment.notes:
            self.context.console.warn(note)
            self.notes.append(note)
        with keeping(self._interrupted):
            run_tests(
                tests,
                self.pipeline.interpreter,
                home,
                folder=self.folder.path / "cpython",
                environment=self.environment,
                launcher=self.pipeline.toolchain.launcher,
                limits=self.request.limits,
                threads=self.request.threads,
                on_verdict=self._on_verdict,
            )

    def _on_verdict(self, verdict: Verdict) -> None:
        self.verdicts[verdict.check] = verdict
        self.context.console.note(f"{verdict.status.value}: {verdict.check} ({matched(verdict)})")

    def _interrupted(self) -> Interrupted:
        self.conclude(unfinished="interrupted")
        return Interrupted(
            f"{len(self.verdicts)} of {len(self.request.tests)} tests finished",
            evidence=self.folder.path,
            advice=f"the same command with --resume {self.folder.path}",
        )

    def conclude(self, *, unfinished: str = "") -> Result:
        """Save and show the run, in the order of the tests."""
        names = {check_name(test, self.request.threads): test for test in self.request.tests}
        missing = {name: not_judged(test, self.request.threads, INTERRUPTED) for name, test in names.items()}
        verdicts = tuple(self.verdicts.get(name, missing[name]) for name in names)
        record, late = self._record(), sum(not has_ended(one) for one in verdicts)
        run = Result(
            id=self.folder.id,
            provenance=provenance_of(
                self.folder,
                launcher=self.pipeline.toolchain.launcher,
                replaces=self.tree.record.replaces,
                notes=self.notes,
            ),
            lanes=(record,),
            verdicts=verdicts,
            seconds=record.seconds,
            unfinished=unfinished or (f"no time left for {late} of {len(verdicts)} tests" if late else ""),
        )
        result = result_of_checks(run, self._earlier_findings(verdicts))
        saved = save_run(self.folder, result)
        self.context.console.lines([*lane_lines(record, verdicts), Line(""), *conclusion_lines(result)])
        self.context.console.say(f"evidence: {saved}")
        return result

    def _earlier_findings(self, verdicts: tuple[Verdict, ...]) -> tuple[DistinctFinding, ...]:
        """Return the findings of the verdicts that come from the earlier run."""
        earlier = self.request.earlier
        if earlier is None:
            return ()
        kept = [one for one in verdicts if one in earlier.verdicts]
        seen = {fingerprint for one in kept for each in one.observations for fingerprint in each.seen}
        return tuple(finding for finding in earlier.findings if finding.fingerprint in seen)

    def _record(self) -> LaneRecord:
        toolchain = self.pipeline.toolchain
        return LaneRecord(
            lane=Lane.FULL,
            interpreter=interpreter_record(self.pipeline.interpreter),
            toolchain=toolchain.name,
            symbolizer=str(toolchain.symbolizer or ""),
            tsan_options=self.environment.tsan_options,
            blind_spot=BLIND_SPOTS[Lane.FULL],
            seconds=time.monotonic() - self.started,
        )
