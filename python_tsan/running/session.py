"""Own one run of a user's program from request to saved report; leave each step's rules to its own module."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.execution import STDERR_FILE, execute
from python_tsan.errors import Interrupted
from python_tsan.process import keeping
from python_tsan.render.registry import JSON, RENDERINGS, TERMINAL, Context
from python_tsan.render.source import source_reader
from python_tsan.render.store import open_run, point_latest
from python_tsan.report.reading import read_logs
from python_tsan.running.account import EVIDENCE_FILE, Account, encode_account, subject_of
from python_tsan.running.assembly import Done, assemble, is_found
from python_tsan.running.environment import environment_for
from python_tsan.running.judging import Attempt
from python_tsan.running.preflight import gil_enabled_by
from python_tsan.running.record import (
    REPLAY_FILE,
    SEED_VARIABLE,
    Replay,
    difference,
    encode_replay,
    machine_facts,
    telling,
)
from python_tsan.running.suppressing import merged_text
from python_tsan.running.watch import MappedObjects
from python_tsan.storage import storage_errors, write_whole
from python_tsan.tsan.finding import FatalKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.checking.execution import Execution
    from python_tsan.console import Console
    from python_tsan.report.model import Report
    from python_tsan.running.assembly import Assembled
    from python_tsan.running.preflight import Prepared
    from python_tsan.running.request import Request
    from python_tsan.running.rules import Rules
    from python_tsan.toolchain.model import Toolchain

COMPANION_FOLDER = "companion"
SUPPRESSIONS_FILE = "suppressions.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a session runs on: the prepared command, its tools, the place of its results, the caller's environment.

    ``companion`` is None where it could not be built.
    """

    prepared: Prepared
    toolchain: Toolchain | None
    companion: Path | None
    output: Path
    env: Mapping[str, str]
    console: Console


@dataclass(kw_only=True)
class Session:
    """One run under way. What has been done is saved even when it is interrupted."""

    request: Request
    rules: Rules
    stage: Stage
    runs: list[tuple[Attempt, Execution]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mapped: dict[str, None] = field(default_factory=dict)

    def run(self, *, cut: Callable[[Report, Path], None] = lambda _report, _folder: None) -> tuple[Report, Path]:
        """Run the command as often as asked; return the report and the folder that holds it.

        Raises :class:`python_tsan.errors.SubjectError` when the folder cannot be written, and
        :class:`python_tsan.errors.Interrupted` once the runs that had ended are saved and ``cut`` was told of them.
        """
        self.folder = open_run(self.stage.output)
        with storage_errors(self.folder.path):
            environment = self._environment()
            replay = self._replay(environment)
            self._write(REPLAY_FILE, encode_replay(replay))
        self._tell((*self.stage.prepared.notes, *environment.notes))

        def interrupted() -> Interrupted:
            made, left = len(self.runs), len(self.request.numbers) - len(self.runs)
            report = self._conclude(environment, replay, cut=f"interrupted after {made} of {made + left} runs")
            cut(report, self.folder.path)
            return Interrupted(
                f"{made} of {made + left} runs had ended",
                evidence=self.folder.path,
                advice=f"python-tsan replay {self.folder.path} --repeat {left}",
            )

        with keeping(interrupted):
            self._run_attempts(environment)
        return self._conclude(environment, replay), self.folder.path

    def _conclude(self, environment: SubjectEnvironment, replay: Replay, *, cut: str = "") -> Report:
        """Judge and save the runs that were made; ``cut`` says why they are not all, and leaves a doubt."""
        done = Done(
            folder=self.folder,
            runs=tuple(self.runs),
            replay=replay,
            tsan_options=environment.tsan_options,
            told=self._told if self.stage.companion else None,
            mapped=tuple(self.mapped),
            notes=tuple(self.notes),
            cut=cut,
        )
        assembled = assemble(self.request, self.rules, done)
        self._save(assembled, replay)
        return assembled.report

    @property
    def _told(self) -> Path:
        return self.folder.path / COMPANION_FOLDER

    def _tell(self, notes: tuple[str, ...]) -> None:
        for note in notes:
            self.notes.append(note)
            self.stage.console.note(note)

    def _environment(self) -> SubjectEnvironment:
        companion = None
        if self.stage.companion:
            self._told.mkdir()
            companion = (self.stage.companion, self._told)
        if self.rules.suppressions:
            self._write(SUPPRESSIONS_FILE, merged_text(self.rules.suppressions).encode())
        return environment_for(
            self.stage.prepared,
            caller=self.stage.env,
            toolchain=self.stage.toolchain,
            suppressions=self.folder.path / SUPPRESSIONS_FILE if self.rules.suppressions else None,
            companion=companion,
        )

    def _replay(self, environment: SubjectEnvironment) -> Replay:
        changed, removed = difference(self.stage.env, environment.variables)
        seed = environment.variables.get(SEED_VARIABLE, "")
        return Replay(
            request=self.request,
            ran=self.stage.prepared.command,
            given=telling(self.stage.env),
            changed=changed,
            removed=removed,
            seeds={SEED_VARIABLE: int(seed)} if seed.isdecimal() else {},
            facts=self.request.facts | machine_facts(self.stage.prepared, self.stage.toolchain),
        )

    def _run_attempts(self, environment: SubjectEnvironment) -> None:
        for number in self.request.numbers:
            attempt = self._attempt(number, environment.variables)
            if self.request.repeat > 1:
                self.stage.console.note(
                    f"run {number} of {self.request.repeat}: {len(attempt.seen)} findings, exit {attempt.exit_code}"
                )
            if self.request.until_found and is_found(self.runs[-1][1], self.rules):
                self._tell((f"found in run {number}, so it was the last",))
                break

    def _attempt(self, number: int, variables: Mapping[str, str]) -> Attempt:
        toolchain = self.stage.toolchain
        with MappedObjects() as mapped:
            execution = execute(
                self.stage.prepared.command,
                folder=self.folder.path / str(number),
                env=variables,
                deadline=self.request.timeout,
                launcher=toolchain.launcher if toolchain else (),
                cwd=Path(self.request.cwd),
                on_start=mapped.start,
            )
        self.mapped.update(dict.fromkeys(mapped.paths))
        digest = read_logs(str(path) for path in execution.logs).digest
        completed = execution.completed
        attempt = Attempt(
            number=number,
            exit_code=completed.exit_code,
            timed_out=completed.timed_out,
            seconds=completed.seconds,
            max_rss_bytes=completed.max_rss_bytes,
            seen=frozenset(digest.groups),
            stacks=tuple(path.name for path in execution.stacks),
            problem=execution.problem or self._gil_problem(execution),
            fatal=tuple(each.message for each in digest.fatal if each.kind is not FatalKind.SIGNAL),
            crashes=tuple(each.message for each in digest.fatal if each.kind is FatalKind.SIGNAL),
            unknown=tuple(digest.samples),
            deadline=self.request.timeout,
        )
        self.runs.append((attempt, execution))
        return attempt

    def _gil_problem(self, execution: Execution) -> str:
        interpreter = self.stage.prepared.interpreter
        if interpreter is None or not interpreter.free_threaded:
            return ""
        module = gil_enabled_by((execution.folder / STDERR_FILE).read_text(encoding="utf-8", errors="replace"))
        return f"the module {module} switched the GIL on, so this run says nothing of free threading" if module else ""

    def _save(self, assembled: Assembled, replay: Replay) -> None:
        report = assembled.report
        # The program's own folder is where its user works, whatever folder the report is made in.
        context = Context(source_lines=source_reader((self.request.cwd, *self.request.own)))
        with storage_errors(self.folder.path):
            found = replace(replay, findings=tuple(each.fingerprint for each in report.findings))
            self._write(REPLAY_FILE, encode_replay(found))
            self._write(EVIDENCE_FILE, encode_account(self._account(assembled, replay)))
            for name in dict.fromkeys((JSON, *self.request.formats)):
                if name != TERMINAL:
                    self._write(RENDERINGS[name].file_name, RENDERINGS[name].render(report, context))
            point_latest(self.folder.path)

    def _account(self, assembled: Assembled, replay: Replay) -> Account:
        return Account(
            run=self.folder.id,
            subject=subject_of(self.request, self.rules, replay),
            repeat=self.request.repeat,
            planned=len(self.request.numbers),
            shard=self.request.shard,
            until_found=self.request.until_found,
            evidence=assembled.evidence,
            today=self.rules.today,
            baseline=self.rules.baseline,
            given=self.rules.given,
        )

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self.folder.path / name, data)
