"""Own one run of CPython's own tests, from the interpreter to ``run.json``; leave choosing them to the verb."""

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
from python_tsan.cli.provenance import provenance_of
from python_tsan.cpython.own_tests import SuiteHome, prepare_tests
from python_tsan.errors import Interrupted, UsageError
from python_tsan.expectation import Lane
from python_tsan.pipeline import Pipeline
from python_tsan.process import keeping
from python_tsan.render.checks import render_conclusion, render_lane
from python_tsan.render.run import LaneRecord, Run
from python_tsan.render.store import RunFolder, open_run, save_run
from python_tsan.render.summary import seen

if TYPE_CHECKING:
    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.checking.model import Verdict
    from python_tsan.cli.options import Context
    from python_tsan.cpython.sources.provider import SourceTree


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be run: ``tests`` in this order, each case in ``threads`` at once if that is given.

    ``earlier`` is a run that was cut short: what it judged is not run again. ``notes`` go into the run.
    """

    tests: tuple[str, ...]
    threads: int | None
    limits: Limits
    earlier: Run | None = None
    notes: tuple[str, ...] = ()


def judge_tests(wanted: Wanted, tree: SourceTree, context: Context) -> Run:
    """Build what is missing, run the tests, save and show the run.

    Raises :class:`UsageError` when the earlier run is one of another interpreter, and :class:`Interrupted` once what
    had been judged is saved and shown.
    """
    pipeline = Pipeline(settings=context.settings, layout=context.layout, console=context.console)
    interpreter = pipeline.interpreter
    kept = _kept(wanted, interpreter.key)
    tests = tuple(test for test in wanted.tests if check_name(test, wanted.threads) not in kept)
    home = prepare_tests(
        interpreter, tree.path, tests, jobs=wanted.limits.jobs, layout=context.layout, console=context.console
    )
    judging = _Judging(wanted=wanted, tree=tree, context=context, pipeline=pipeline, verdicts=kept)
    judging.run(tests, home)
    return judging.conclude()


def _kept(wanted: Wanted, key: str) -> dict[str, Verdict]:
    """Return what the earlier run judged, by the name of the check."""
    if wanted.earlier is None:
        return {}
    if any(record.interpreter is None or record.interpreter.key != key for record in wanted.earlier.lanes):
        raise UsageError(
            f"--resume: run {wanted.earlier.id} is one of another interpreter",
            advice="give the settings that it was started with; its run.json names them",
        )
    return {one.check: one for one in wanted.earlier.verdicts if has_ended(one)}


@dataclass(kw_only=True)
class _Judging:
    """A run under way. ``verdicts`` has what has been judged, by the name of the check."""

    wanted: Wanted
    tree: SourceTree
    context: Context
    pipeline: Pipeline
    verdicts: dict[str, Verdict]
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.folder: RunFolder = open_run(self.context.settings.output)
        self.notes = list(self.wanted.notes)
        if self.wanted.earlier:
            self.notes.append(f"taken over from run {self.wanted.earlier.id}: {len(self.verdicts)}")

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
                limits=self.wanted.limits,
                threads=self.wanted.threads,
                on_verdict=self._told,
            )

    def _told(self, verdict: Verdict) -> None:
        self.verdicts[verdict.check] = verdict
        self.context.console.note(f"{verdict.status.value}: {verdict.check} ({seen(verdict)})")

    def _interrupted(self) -> Interrupted:
        self.conclude(unfinished="interrupted")
        return Interrupted(
            f"{len(self.verdicts)} of {len(self.wanted.tests)} tests had ended",
            evidence=self.folder.path,
            advice=f"the same command with --resume {self.folder.path}",
        )

    def conclude(self, *, unfinished: str = "") -> Run:
        """Save and show the run, in the order of the tests."""
        names = {check_name(test, self.wanted.threads): test for test in self.wanted.tests}
        missing = {name: not_judged(test, self.wanted.threads, INTERRUPTED) for name, test in names.items()}
        verdicts = tuple(self.verdicts.get(name, missing[name]) for name in names)
        record, late = self._record(), sum(not has_ended(one) for one in verdicts)
        result = Run(
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
        saved = save_run(self.folder, result)
        for line in [*render_lane(record, verdicts), "", *render_conclusion(result, saved=saved)]:
            self.context.console.say(line)
        return result

    def _record(self) -> LaneRecord:
        toolchain = self.pipeline.toolchain
        return LaneRecord(
            lane=Lane.FULL,
            interpreter=self.pipeline.interpreter,
            toolchain=toolchain.name,
            symbolizer=str(toolchain.symbolizer or ""),
            tsan_options=self.environment.tsan_options,
            blind_spot=BLIND_SPOTS[Lane.FULL],
            seconds=time.monotonic() - self.started,
        )
