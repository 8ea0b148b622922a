"""Run a user's program from request to saved result."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from python_tsan.checking.execution import STDERR_FILE, execute
from python_tsan.checking.stacks import PYTHON_STACKS_VARIABLE
from python_tsan.detect import capi, locks
from python_tsan.errors import Interrupted
from python_tsan.expectation import Outcome
from python_tsan.plain_text import counted
from python_tsan.process import DeathGuard, keeping
from python_tsan.render.registry import Context, write_renderings
from python_tsan.render.source import source_reader
from python_tsan.result.deaths import explain_death
from python_tsan.result.hang import Hang
from python_tsan.result.judge.logs import doubts_about_logs
from python_tsan.result.judge.process import gil_returned
from python_tsan.result.model import Observation, Unparsed
from python_tsan.result.store import open_run, point_latest
from python_tsan.running import directing
from python_tsan.running.assembly import Gathered, assemble, is_found, read_runs
from python_tsan.running.elf import read_elf
from python_tsan.running.environment import environment_for
from python_tsan.running.leftovers import NOT_ADOPTED, Leftover, Orphans
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
from python_tsan.running.suppressing import for_runtime
from python_tsan.running.watch import GroupWatch
from python_tsan.storage import storage_errors, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from python_tsan.checking.environment import SubjectEnvironment
    from python_tsan.checking.execution import Execution
    from python_tsan.console import Console
    from python_tsan.result.model import Result
    from python_tsan.running.preflight import Prepared
    from python_tsan.running.request import Request
    from python_tsan.running.rules import Rules
    from python_tsan.toolchain.model import Toolchain

COMPANION_FOLDER = "companion"
SUPPRESSIONS_FILE = "suppressions.txt"
# What CPython says when a module that is not marked as safe without the GIL switches it on (import.c, 3.13).
_GIL_ENABLED = re.compile(r"The global interpreter lock \(GIL\) has been enabled to load module '(?P<module>[^']+)'")


@dataclass(kw_only=True)
class Session:
    """One run under way: what is asked for, what it runs on, and what it has gathered.

    ``output`` is the folder for its own folder, ``env`` the caller's environment. ``companion`` and ``recorder`` are
    None where they could not be built, or are not needed. What has ended is saved even when it is interrupted.
    """

    request: Request
    rules: Rules
    prepared: Prepared
    toolchain: Toolchain | None
    companion: Path | None
    recorder: Path | None = None
    output: Path
    env: Mapping[str, str]
    console: Console

    def run(self, *, cut: Callable[[Result, Path], None] = lambda _result, _folder: None) -> tuple[Result, Path]:
        """Run the command as often as asked; return the result and the folder that holds it.

        Raises :class:`python_tsan.errors.SubjectError` when the folder cannot be written, and
        :class:`python_tsan.errors.Interrupted` once the runs that had ended are saved and ``cut`` was called with them.
        """
        folder = open_run(self.output)
        with storage_errors(folder.path):
            environment = self._environment(folder.path)
            self._gathered = Gathered(
                folder=folder,
                replay=self._replay(environment.variables),
                tsan_options=environment.tsan_options,
                hook_folder=folder.path / COMPANION_FOLDER if self.companion else None,
                detect=self.prepared.detect,
                unjudged=self.prepared.unjudged,
                has_recorder=self.recorder is not None,
            )
            write_whole(folder.path / REPLAY_FILE, encode_replay(self._gathered.replay))
        for note in (*self.prepared.notes, *environment.notes):
            self._note(note)

        def interrupted() -> Interrupted:
            made, planned = len(self._gathered.runs), len(self.request.numbers)
            result = self._conclude(cut=f"interrupted after {made} of {planned} runs")
            cut(result, folder.path)
            return Interrupted(
                f"{made} of {planned} runs had ended",
                evidence=folder.path,
                advice=f"python-tsan replay {folder.path} --repeat {planned - made}",
            )

        with keeping(interrupted):
            for number in self.request.numbers:
                observation = self._run_once(number, environment.variables)
                if self.request.repeat > 1:
                    found = counted(len(observation.seen), "finding")
                    self.console.note(f"run {number} of {self.request.repeat}: {found}, exit {observation.exit_code}")
                if self.request.until_found and is_found(self.rules, self._gathered):
                    self._note(f"found in run {number}, so it was the last")
                    break
            if self.request.confirm:
                self._confirm(environment.variables)
        return self._conclude(), folder.path

    def _conclude(self, *, cut: str = "") -> Result:
        """Judge and save the runs that were made; ``cut`` says why they are not all, and leaves a doubt."""
        gathered, folder = self._gathered, self._gathered.folder.path
        result = assemble(self.request, self.rules, gathered, cut=cut)
        with storage_errors(folder):
            found = replace(gathered.replay, findings=tuple(each.fingerprint for each in result.findings))
            write_whole(folder / REPLAY_FILE, encode_replay(found))
            # The program's own folder is where its user works, not the folder of the result.
            context = Context(source_lines=source_reader((self.request.cwd, *self.request.own)))
            write_renderings(result, folder, self.request.formats, context)
            point_latest(folder)
        return result

    def _note(self, note: str) -> None:
        self._gathered.notes.append(note)
        self.console.note(note)

    def _environment(self, folder: Path) -> SubjectEnvironment:
        companion = suppressions = None
        if self.companion:
            companion = (self.companion, folder / COMPANION_FOLDER)
            companion[1].mkdir()
        if text := for_runtime(self.rules.suppressions):
            suppressions = folder / SUPPRESSIONS_FILE
            write_whole(suppressions, text.encode())
        return environment_for(
            self.prepared,
            caller=self.env,
            toolchain=self.toolchain,
            suppressions=suppressions,
            companion=companion,
            recorder=self.recorder,
        )

    def _replay(self, variables: Mapping[str, str]) -> Replay:
        changed, removed = difference(self.env, variables)
        seed = variables.get(SEED_VARIABLE, "")
        return Replay(
            request=self.request,
            ran=self.prepared.command,
            given=relevant_variables(self.env),
            changed=changed,
            removed=removed,
            seeds={SEED_VARIABLE: int(seed)} if seed.isdecimal() else {},
            facts=self.request.facts | machine_facts(self.prepared, self.toolchain),
        )

    def _run_once(self, number: int, variables: Mapping[str, str]) -> Observation:
        folder, limit = self._gathered.folder.path / str(number), time.monotonic() + self.request.timeout
        left: list[Leftover] = []
        recent: list[tuple[float, float]] = []
        stall = Stall(folder=folder, seconds=self.request.stall)
        hang = Hang()

        def at_deadline(pid: int) -> None:
            nonlocal hang
            recent.append(watch.recent_cpu(pid))
            # Now: a signal that ends the program ends its waits, too.
            hang = locks.hang(folder)

        watched = GroupWatch(f"{PYTHON_STACKS_VARIABLE}={folder.absolute()}/")
        with DeathGuard() as guard, Orphans() as orphans, watched as watch:

            def started(pid: int) -> None:
                guard.watch(pid, group=True)
                orphans.child = stall.pid = pid
                watch.start(pid)

            execution = execute(
                self.prepared.command,
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
        self._gathered.mapped.update(dict.fromkeys(watch.paths))
        outlived = [f"{each} outlived the program and was ended." for each in left if not each.instrumented]
        self._gathered.left.update(dict.fromkeys([*([] if orphans.adopts else [NOT_ADOPTED]), *outlived]))
        digest = read_runs([execution], self.prepared.detect, self.rules.ignored).digest
        completed, shown = execution.completed, hang if hang.lines else execution.hang
        observation = execution.observed(
            digest.fatal,
            number=number,
            seen=frozenset(digest.groups),
            problem=execution.problem
            or self._gil_problem(execution)
            or _unjudged(left, self.request.timeout)
            or _unwatched(watch.unmarked)
            or "".join(doubts_about_logs(digest)[:1]),
            unparsed=Unparsed(count=digest.unparsed, samples=tuple(digest.samples)),
            deadline=self.request.timeout,
            stalled=self.request.stall if stall.stalled else 0.0,
            hang=shown.lines,
            wait_graph=shown.graph,
            gil_waits=locks.waits(execution.folder),
            kept_references=capi.kept_references(execution.folder) if "capi" in self.prepared.detect else (),
            recent_cpu=recent[0] if recent else None,
            explained=""
            if completed.timed_out
            else explain_death(
                completed.exit_code,
                digest.fatal,
                silent="races" in self.prepared.detect and not any(path.stat().st_size for path in execution.logs),
                mapped=watch.paths,
            ),
        )
        self._gathered.runs.append((observation, execution))
        return observation

    def _confirm(self, variables: Mapping[str, str]) -> None:
        groups = read_runs(
            [execution for _, execution in self._gathered.runs], ["locks"], self.rules.ignored
        ).digest.groups
        program = directing.Program(
            command=self.prepared.command,
            cwd=Path(self.request.cwd),
            variables=variables,
            launcher=self._launcher(variables),
            folder=self._gathered.folder.path,
            seconds=max(observation.seconds for observation, _ in self._gathered.runs),
            limit=self.request.timeout,
        )
        findings = {key: group.finding for key, group in groups.items()}
        self._gathered.directed |= directing.confirm(findings, program, note=self.console.note)

    def _launcher(self, variables: Mapping[str, str]) -> tuple[str, ...]:
        toolchain = self.toolchain
        return (*(toolchain.launcher if toolchain else ()), *locks.launcher_of(variables))

    def _gil_problem(self, execution: Execution) -> str:
        interpreter = self.prepared.interpreter
        if interpreter is None or not interpreter.free_threaded:
            return ""
        found = _GIL_ENABLED.search((execution.folder / STDERR_FILE).read_text(encoding="utf-8", errors="replace"))
        return gil_returned(found["module"]) if found else ""


def _unwatched(processes: Iterable[tuple[int, Path]]) -> str:
    names = ", ".join(f"process {pid} ({program.name})" for pid, program in processes if read_elf(program).instrumented)
    return f"{names} ran without the environment of this run, so what it found was not collected" if names else ""


def _unjudged(left: Sequence[Leftover], timeout: float) -> str:
    names = ", ".join(str(each) for each in left if each.instrumented)
    return f"{names} outlived the program, was ended at the deadline of {timeout:g} s and not judged" if names else ""
