"""The verb ``test-python``: select CPython's own tests, run them, and save and show the run."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

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
from python_tsan.cli.provenance import lane_record, provenance_of
from python_tsan.cli.verify import save_and_show, show_verdict
from python_tsan.cpython.own_tests import Selection, files_of_test, prepare_tests, selected_tests
from python_tsan.cpython.sources.search import obtain_source
from python_tsan.errors import ExitCode, Interrupted, UsageError
from python_tsan.expectation import Lane
from python_tsan.plain_text import counted, did_you_mean
from python_tsan.process import keeping
from python_tsan.render.checks import lane_lines
from python_tsan.render.lines import Line
from python_tsan.result.build import result_of_checks
from python_tsan.result.codec import load_result
from python_tsan.result.model import Result
from python_tsan.result.shard import parse_shard, part_of
from python_tsan.result.store import open_run
from python_tsan.setting_values import LARGEST, Kind, convert

if TYPE_CHECKING:
    from python_tsan.cli.options import VerbContext
    from python_tsan.cpython.sources.provider import SourceTree
    from python_tsan.result.model import LaneRecord, Verdict
    from python_tsan.result.store import RunFolder


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
    tests, notes = choose_tests(arguments.tests, tree.path, tree.record.version, selection), []
    if arguments.shard:
        shard, every = parse_shard(arguments.shard, os.environ), tests
        tests = part_of(every, shard, "test")
        notes.append(f"shard {shard}: {len(tests)} of {len(every)} tests")
    if arguments.list:
        for test in tests:
            context.console.say(test)
        return ExitCode.CLEAN
    limits = Limits(whole=arguments.session_timeout, each=arguments.timeout, jobs=context.settings.jobs)
    judging = _Judging(
        context=context, tree=tree, tests=tests, threads=arguments.parallel, earlier=earlier, notes=notes
    )
    return judging.run(limits).exit_code


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
    number = convert(Kind.COUNT, text, Path())
    if not isinstance(number, int) or number == 1:
        raise argparse.ArgumentTypeError(f"must be an integer from 2 to {LARGEST}, not {text!r}")
    return number


@dataclass(kw_only=True)
class _Judging:
    """A run in progress: ``tests`` in this order, each case in ``threads`` threads if that is given.

    ``earlier`` is an interrupted run: its verdicts are kept. ``notes`` go into the run, ``verdicts`` are those so far
    by the name of the check; it ``started`` when all was built.
    """

    context: VerbContext
    tree: SourceTree
    tests: tuple[str, ...]
    threads: int | None
    earlier: Result | None
    notes: list[str]
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    started: float = 0.0

    def run(self, limits: Limits) -> Result:
        """Build what is missing, run the tests, save and show the run.

        Raises :class:`UsageError` when the earlier run used another interpreter, and :class:`Interrupted` after the
        verdicts so far are saved and shown.
        """
        pipeline, layout, console = self.context.pipeline, self.context.layout, self.context.console
        interpreter, toolchain = pipeline.interpreter, pipeline.toolchain
        if self.earlier:
            if any(not each.interpreter or each.interpreter.key != interpreter.key for each in self.earlier.lanes):
                raise UsageError(
                    f"--resume: run {self.earlier.id} used another interpreter",
                    advice="use the settings of that run; they are in its run.json",
                )
            self.verdicts = {one.check: one for one in self.earlier.verdicts if has_ended(one)}
            self.notes.append(f"from run {self.earlier.id}: {counted(len(self.verdicts), 'verdict')}")
        left = tuple(test for test in self.tests if check_name(test, self.threads) not in self.verdicts)
        home = prepare_tests(interpreter, self.tree.path, left, jobs=limits.jobs, layout=layout, console=console)
        folder, self.started = open_run(self.context.settings.output), time.monotonic()
        environment = suite_environment(home, toolchain)
        for note in environment.notes:
            console.warn(note)
        self.notes += environment.notes
        record = lane_record(
            Lane.FULL,
            interpreter,
            toolchain,
            tsan_options=environment.tsan_options,
            blind_spot=BLIND_SPOTS[Lane.FULL],
        )

        def interrupted() -> Interrupted:
            self._conclude(folder, record, unfinished="interrupted")
            return Interrupted(
                f"{len(self.verdicts)} of {len(self.tests)} tests finished",
                evidence=folder.path,
                advice=f"the same command with --resume {folder.path}",
            )

        with keeping(interrupted):
            run_tests(
                left,
                interpreter,
                home,
                folder=folder.path / "cpython",
                environment=environment,
                launcher=toolchain.launcher,
                limits=limits,
                threads=self.threads,
                on_verdict=self._on_verdict,
            )
        return self._conclude(folder, record)

    def _on_verdict(self, verdict: Verdict) -> None:
        self.verdicts[verdict.check] = verdict
        show_verdict(verdict, self.context.console)

    def _conclude(self, folder: RunFolder, lane: LaneRecord, *, unfinished: str = "") -> Result:
        """Save and show the run, in the order of the tests."""
        names = {check_name(test, self.threads): test for test in self.tests}
        missing = {name: not_judged(test, self.threads, INTERRUPTED) for name, test in names.items()}
        verdicts = tuple(self.verdicts.get(name, missing[name]) for name in names)
        late = sum(not has_ended(one) for one in verdicts)
        seconds = time.monotonic() - self.started
        record = replace(lane, seconds=seconds)
        run = Result(
            id=folder.id,
            provenance=provenance_of(
                folder,
                launcher=self.context.pipeline.toolchain.launcher,
                replaces=self.tree.record.replaces,
                notes=self.notes,
            ),
            lanes=(record,),
            verdicts=verdicts,
            seconds=seconds,
            unfinished=unfinished or (f"no time left for {late} of {len(verdicts)} tests" if late else ""),
        )
        kept = [one for one in verdicts if self.earlier and one in self.earlier.verdicts]
        seen = {fingerprint for one in kept for each in one.observations for fingerprint in each.seen}
        found = self.earlier.findings if self.earlier else ()
        result = result_of_checks(run, tuple(finding for finding in found if finding.fingerprint in seen))
        self.context.console.lines([*lane_lines(record, verdicts), Line("")])
        save_and_show(result, folder, self.context.console)
        return result
