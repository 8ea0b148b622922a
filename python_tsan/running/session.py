"""Run a user's program from request to saved result."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.execution import STDERR_FILE, execute
from python_tsan.checking.stacks import PYTHON_STACKS_VARIABLE
from python_tsan.detect import locks
from python_tsan.errors import Interrupted
from python_tsan.expectation import Outcome
from python_tsan.plain_text import counted
from python_tsan.process import keeping
from python_tsan.render.registry import JSON, RENDERINGS, TERMINAL, Context
from python_tsan.render.source import source_reader
from python_tsan.result.deaths import explain_death
from python_tsan.result.hang import Hang
from python_tsan.result.judge.logs import doubts_about_logs
from python_tsan.result.judge.process import gil_returned
from python_tsan.result.model import Observation, Unparsed
from python_tsan.result.store import open_run, point_latest
from python_tsan.running import directing
from python_tsan.running.assembly import SessionRecord, assemble, is_found, read_runs
from python_tsan.running.elf import read_elf
from python_tsan.running.environment import environment_for
from python_tsan.running.leftovers import NOT_ADOPTED, Leftover, Orphans
from python_tsan.running.preflight import gil_enabled_by
from python_tsan.running.record import (
    REPLAY_FILE,
    SEED_VARIABLE,
    Replay,
    difference,
    encode_replay,
    machine_facts,
    relevant_variables,
)
from python_tsan.running.stall import Stall
from python_tsan.running.suppressing import merged_text
from python_tsan.running.watch import GroupWatch
from python_tsan.storage import storage_errors, write_whole
from python_tsan.tsan.finding import FatalKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.checking.execution import Execution
    from python_tsan.console import Console
    from python_tsan.result.finding import DirectedRuns
    from python_tsan.result.model import Result
    from python_tsan.running.preflight import Prepared
    from python_tsan.running.request import Request
    from python_tsan.running.rules import Rules
    from python_tsan.toolchain.model import Toolchain

COMPANION_FOLDER = "companion"
SUPPRESSIONS_FILE = "suppressions.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a session runs on: the prepared command, its tools, the place of its results, the caller's environment.

    ``companion`` and ``recorder`` are None where they could not be built, or are not needed.
    """

    prepared: Prepared
    toolchain: Toolchain | None
    companion: Path | None
    output: Path
    env: Mapping[str, str]
    console: Console
    recorder: Path | None = None


@dataclass(kw_only=True)
class Session:
    """One run under way. What has ended is saved even when it is interrupted."""

    request: Request
    rules: Rules
    setup: Setup
    runs: list[tuple[Observation, Execution]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mapped: dict[str, None] = field(default_factory=dict)
    left: dict[str, None] = field(default_factory=dict)
    directed: dict[str, DirectedRuns] = field(default_factory=dict)

    def run(self, *, cut: Callable[[Result, Path], None] = lambda _result, _folder: None) -> tuple[Result, Path]:
        """Run the command as often as asked; return the result and the folder that holds it.

        Raises :class:`python_tsan.errors.SubjectError` when the folder cannot be written, and
        :class:`python_tsan.errors.Interrupted` once the runs that had ended are saved and ``cut`` was called with them.
        """
        self.folder = open_run(self.setup.output)
        with storage_errors(self.folder.path):
            environment = self._environment()
            replay = self._replay(environment)
            self._write(REPLAY_FILE, encode_replay(replay))
        self._note((*self.setup.prepared.notes, *environment.notes))

        def interrupted() -> Interrupted:
            made, left = len(self.runs), len(self.request.numbers) - len(self.runs)
            result = self._conclude(environment, replay, cut=f"interrupted after {made} of {made + left} runs")
            cut(result, self.folder.path)
            return Interrupted(
                f"{made} of {made + left} runs had ended",
                evidence=self.folder.path,
                advice=f"python-tsan replay {self.folder.path} --repeat {left}",
            )

        with keeping(interrupted):
            self._run_all(environment)
            if self.request.confirm:
                self._confirm(environment.variables)
        return self._conclude(environment, replay), self.folder.path

    def _conclude(self, environment: SubjectEnvironment, replay: Replay, *, cut: str = "") -> Result:
        """Judge and save the runs that were made; ``cut`` says why they are not all, and leaves a doubt."""
        record = SessionRecord(
            folder=self.folder,
            runs=tuple(self.runs),
            replay=replay,
            tsan_options=environment.tsan_options,
            hook_folder=self._hook_folder if self.setup.companion else None,
            mapped=tuple(self.mapped),
            left=tuple(self.left),
            notes=tuple(self.notes),
            cut=cut,
            detect=self.setup.prepared.detect,
            unjudged=self.setup.prepared.unjudged,
            has_recorder=self.setup.recorder is not None,
            directed=self.directed,
        )
        result = assemble(self.request, self.rules, record)
        self._save(result, replay)
        return result

    @property
    def _hook_folder(self) -> Path:
        return self.folder.path / COMPANION_FOLDER

    def _note(self, notes: tuple[str, ...]) -> None:
        for note in notes:
            self.notes.append(note)
            self.setup.console.note(note)

    def _environment(self) -> SubjectEnvironment:
        companion = None
        if self.setup.companion:
            self._hook_folder.mkdir()
            companion = (self.setup.companion, self._hook_folder)
        if self.rules.suppressions:
            self._write(SUPPRESSIONS_FILE, merged_text(self.rules.suppressions).encode())
        return environment_for(
            self.setup.prepared,
            caller=self.setup.env,
            toolchain=self.setup.toolchain,
            suppressions=self.folder.path / SUPPRESSIONS_FILE if self.rules.suppressions else None,
            companion=companion,
            recorder=self.setup.recorder,
        )

    def _replay(self, environment: SubjectEnvironment) -> Replay:
        changed, removed = difference(self.setup.env, environment.variables)
        seed = environment.variables.get(SEED_VARIABLE, "")
        return Replay(
            request=self.request,
            ran=self.setup.prepared.command,
            given=relevant_variables(self.setup.env),
            changed=changed,
            removed=removed,
            seeds={SEED_VARIABLE: int(seed)} if seed.isdecimal() else {},
            facts=self.request.facts | machine_facts(self.setup.prepared, self.setup.toolchain),
        )

    def _run_all(self, environment: SubjectEnvironment) -> None:
        for number in self.request.numbers:
            observation = self._run_once(number, environment.variables)
            if self.request.repeat > 1:
                found = counted(len(observation.seen), "finding")
                self.setup.console.note(f"run {number} of {self.request.repeat}: {found}, exit {observation.exit_code}")
            if self.request.until_found and is_found(
                self.runs[-1][1],
                self.rules,
                self._hook_folder if self.setup.companion else None,
                tuple(self.mapped),
                self.setup.prepared.detect,
            ):
                self._note((f"found in run {number}, so it was the last",))
                break

    def _run_once(self, number: int, variables: Mapping[str, str]) -> Observation:
        folder, limit = self.folder.path / str(number), time.monotonic() + self.request.timeout
        left: list[Leftover] = []
        recent: list[tuple[float, float]] = []
        stall = Stall(folder=folder, seconds=self.request.stall)
        hang = Hang()

        def at_deadline(pid: int) -> None:
            nonlocal hang
            recent.append(watch.recent_cpu(pid))
            # Now: a signal that ends the program ends its waits, too.
            hang = locks.hang(folder)

        with Orphans() as orphans, GroupWatch(f"{PYTHON_STACKS_VARIABLE}={folder.absolute()}/") as watch:

            def started(pid: int) -> None:
                orphans.child = stall.pid = pid
                watch.start(pid)

            execution = execute(
                self.setup.prepared.command,
                folder=folder,
                env=variables,
                deadline=self.request.timeout,
                launcher=self._launcher(variables),
                cwd=Path(self.request.cwd),
                on_start=started,
                until=lambda: orphans.collect() or stall.ended(),
                on_deadline=at_deadline,
                describe_hang=True,
                # A hang that is expected ends there: what the program does after an interrupt is not its hang.
                interrupt=self.rules.expectation.outcome is not Outcome.HANG,
                on_end=lambda: left.extend(orphans.wait(limit=limit)),
            )
        self.mapped.update(dict.fromkeys(watch.paths))
        if not orphans.adopts:
            self.left[NOT_ADOPTED] = None
        self.left.update(dict.fromkeys(f"{each} outlived the program and was ended." for each in _plain(left)))
        digest = read_runs([execution], self.setup.prepared.detect).digest
        completed = execution.completed
        observation = Observation(
            number=number,
            exit_code=completed.exit_code,
            timed_out=completed.timed_out,
            seconds=completed.seconds,
            max_rss_bytes=completed.max_rss_bytes,
            seen=frozenset(digest.groups),
            folder=execution.folder,
            logs=execution.logs,
            stacks=execution.stacks,
            problem=execution.problem
            or self._gil_problem(execution)
            or _unjudged(left, self.request.timeout)
            or _unwatched(watch.unmarked)
            or "".join(doubts_about_logs(digest)[:1]),
            fatal=tuple(each.message for each in digest.fatal if each.kind is not FatalKind.SIGNAL),
            crashes=tuple(each.message for each in digest.fatal if each.kind is FatalKind.SIGNAL),
            unparsed=Unparsed(count=digest.unparsed, samples=tuple(digest.samples)),
            deadline=self.request.timeout,
            stalled=self.request.stall if stall.stalled else 0.0,
            hang=(hang if hang.lines else execution.hang).lines,
            wait_graph=(hang if hang.lines else execution.hang).graph,
            gil_waits=locks.waits(execution.folder),
            recent_cpu=recent[0] if recent else None,
            explained=""
            if completed.timed_out
            else explain_death(
                completed.exit_code,
                digest.fatal,
                silent=not any(path.stat().st_size for path in execution.logs),
                mapped=watch.paths,
            ),
        )
        self.runs.append((observation, execution))
        return observation

    def _confirm(self, variables: Mapping[str, str]) -> None:
        groups = read_runs([execution for _, execution in self.runs], ["locks"]).digest.groups
        program = directing.Program(
            command=self.setup.prepared.command,
            cwd=Path(self.request.cwd),
            variables=variables,
            launcher=self._launcher(variables),
            folder=self.folder.path,
            seconds=max(observation.seconds for observation, _ in self.runs),
            limit=self.request.timeout,
        )
        findings = {key: group.finding for key, group in groups.items()}
        self.directed |= directing.confirm(findings, program, note=self.setup.console.note)

    def _launcher(self, variables: Mapping[str, str]) -> tuple[str, ...]:
        toolchain = self.setup.toolchain
        return (*(toolchain.launcher if toolchain else ()), *locks.launcher_of(variables))

    def _gil_problem(self, execution: Execution) -> str:
        interpreter = self.setup.prepared.interpreter
        if interpreter is None or not interpreter.free_threaded:
            return ""
        module = gil_enabled_by((execution.folder / STDERR_FILE).read_text(encoding="utf-8", errors="replace"))
        return gil_returned(module) if module else ""

    def _save(self, result: Result, replay: Replay) -> None:
        with storage_errors(self.folder.path):
            found = replace(replay, findings=tuple(each.fingerprint for each in result.findings))
            self._write(REPLAY_FILE, encode_replay(found))
            # The program's own folder is where its user works, not the folder of the result.
            context = Context(source_lines=source_reader((self.request.cwd, *self.request.own)))
            for name in dict.fromkeys((JSON, *self.request.formats)):
                if name != TERMINAL:
                    self._write(RENDERINGS[name].file_name, RENDERINGS[name].render(result, context))
            point_latest(self.folder.path)

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self.folder.path / name, data)


def _plain(left: Sequence[Leftover]) -> list[Leftover]:
    return [each for each in left if not each.instrumented]


def _unwatched(processes: Iterable[tuple[int, Path]]) -> str:
    names = ", ".join(f"process {pid} ({program.name})" for pid, program in processes if read_elf(program).instrumented)
    return f"{names} ran without the environment of this run, so what it found was not collected" if names else ""


def _unjudged(left: Sequence[Leftover], timeout: float) -> str:
    names = ", ".join(str(each) for each in left if each.instrumented)
    return f"{names} outlived the program, was ended at the deadline of {timeout:g} s and not judged" if names else ""
