"""Run CPython's own tests and save and show their result."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
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
from python_tsan.cli.provenance import interpreter_record, provenance_of
from python_tsan.cpython.own_tests import SuiteHome, prepare_tests
from python_tsan.errors import Interrupted, UsageError
from python_tsan.expectation import Lane
from python_tsan.pipeline import Pipeline
from python_tsan.process import keeping
from python_tsan.render.checks import lane_lines, matched
from python_tsan.render.lines import Line
from python_tsan.render.terminal import conclusion_lines
from python_tsan.result.build import result_of_checks
from python_tsan.result.model import LaneRecord, Result
from python_tsan.result.store import RunFolder, open_run, save_run

if TYPE_CHECKING:
    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.cli.options import Context
    from python_tsan.cpython.sources.provider import SourceTree
    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRequest:
    """What to run: ``tests`` in this order, each case in ``threads`` at once if that is given.

    ``earlier`` is a run that was cut short: what it judged is not run again. ``notes`` go into the run.
    """

    tests: tuple[str, ...]
    threads: int | None
    limits: Limits
    earlier: Result | None = None
    notes: tuple[str, ...] = ()


def judge_tests(request: TestRequest, tree: SourceTree, context: Context) -> Result:
    """Build what is missing, run the tests, save and show the run.

    Raises :class:`UsageError` when the earlier run used another interpreter, and :class:`Interrupted` once what
    had been judged is saved and shown.
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
    """Return what the earlier run judged, by the name of the check."""
    if request.earlier is None:
        return {}
    if any(record.interpreter is None or record.interpreter.key != key for record in request.earlier.lanes):
        raise UsageError(
            f"--resume: run {request.earlier.id} used another interpreter",
            advice="give the settings that it was started with; its run.json names them",
        )
    return {one.check: one for one in request.earlier.verdicts if has_ended(one)}


@dataclass(kw_only=True)
class _Judging:
    """A run under way. ``verdicts`` has what has been judged, by the name of the check."""

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
            self.notes.append(f"taken from run {self.request.earlier.id}: {len(self.verdicts)}")

    def run(self, tests: tuple[str, ...], home: SuiteHome) -> None:
        """Run the tests; when that is interrupted, conclude with what there is and say how to go on."""
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
            f"{len(self.verdicts)} of {len(self.request.tests)} tests had ended",
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
            unfinished=unfinished or (f"for {late} of {len(verdicts)} tests there was no time" if late else ""),
        )
        result = result_of_checks(run, self._earlier_findings(verdicts))
        saved = save_run(self.folder, result)
        self.context.console.lines([*lane_lines(record, verdicts), Line(""), *conclusion_lines(result)])
        self.context.console.say(f"evidence: {saved}")
        return result

    def _earlier_findings(self, verdicts: tuple[Verdict, ...]) -> tuple[DistinctFinding, ...]:
        """Return the findings of verdicts that were taken from the earlier run."""
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
