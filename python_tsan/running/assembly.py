"""Turn what the runs of a program left into one result."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from msgspec.structs import replace

from python_tsan.detect import locks
from python_tsan.detect.races import LOG_FOLDER, LOG_STEM
from python_tsan.detect.reading import Reading
from python_tsan.detect.registry import RECORDED, detectors
from python_tsan.expectation import Outcome
from python_tsan.plain_text import counted, some_of
from python_tsan.preload_library import LOCK_RECORDER
from python_tsan.result import baseline
from python_tsan.result.attribution import extension_objects
from python_tsan.result.build import NEW, Facts, build_result, subject_of
from python_tsan.result.finding import FindingStatus
from python_tsan.result.judge.program import Evidence, judge_program, rate
from python_tsan.result.matching import covered, missing
from python_tsan.result.model import Observation, Provenance, Result, ShardRecord
from python_tsan.running import audit, hook_crosscheck, processes, suppressing
from python_tsan.running.companion import LIBRARY, HookOutput, read_hook_output
from python_tsan.running.elf import read_elf
from python_tsan.running.unseen import unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.checking.execution import Execution
    from python_tsan.result.finding import DirectedRuns
    from python_tsan.result.model import SharedObject, SuppressionUse
    from python_tsan.result.store import RunFolder
    from python_tsan.running.companion import HookReport
    from python_tsan.running.record import Replay
    from python_tsan.running.request import Request
    from python_tsan.running.rules import Rules

_NO_OUTPUT = HookOutput(reports={}, processes=())


@dataclass(slots=True, kw_only=True)
class Gathered:
    """Everything that a session gathers; ``runs`` pairs each observation with its files.

    ``hook_folder`` is the companions' folder, ``mapped`` are files that processes were seen to have mapped as code,
    ``left`` describes what outlived the program without the sanitizer. ``detect`` are the detectors of the session,
    ``unjudged`` says in sentences what it does not judge. ``directed`` are the runs of ``--confirm`` by fingerprint.
    """

    folder: RunFolder
    replay: Replay
    tsan_options: str
    hook_folder: Path | None
    detect: tuple[str, ...]
    unjudged: tuple[str, ...]
    has_recorder: bool
    runs: list[tuple[Observation, Execution]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    mapped: dict[str, None] = field(default_factory=dict)
    left: dict[str, None] = field(default_factory=dict)
    directed: dict[str, DirectedRuns] = field(default_factory=dict)

    @property
    def judges_races(self) -> bool:
        """Whether races are among what is judged."""
        return "races" in self.detect


def assemble(request: Request, rules: Rules, gathered: Gathered, *, cut: str = "") -> Result:
    """Return the result of a session; ``cut`` says why there are fewer runs than requested."""
    executions = [execution for _, execution in gathered.runs]
    observations = tuple(observation for observation, _ in gathered.runs)
    reading = read_runs(executions, gathered.detect, rules.ignored)
    groups = reading.digest.groups
    findings = {key: group.finding for key, group in groups.items()}
    hooks = read_hook_output(gathered.hook_folder) if gathered.hook_folder else _NO_OUTPUT
    python_stacks, mismatches = hook_crosscheck.match_reports(reading.digest, _hook_reports(executions, hooks))
    objects = _loaded(hooks, gathered.mapped) if gathered.judges_races else ()
    known = rules.baseline and baseline.with_current_fingerprints(rules.baseline, findings, rules.own)
    recorded = locks.judged_processes(execution.folder for execution in executions)
    standings = rules.standings_in(groups, objects, recorded)
    aside = {key: standing.blind_spot for key, standing in standings.items() if standing.blind_spot}
    states = (
        baseline.compare_baseline(known, findings.keys(), runs=len(observations), today=rules.today) if known else None
    )
    hidden = {key for key, standing in standings.items() if standing.status is FindingStatus.SUPPRESSED}
    uses = suppressing.count_uses(rules.suppressions, _logs(executions), [groups[key] for key in hidden])
    expected = covered(rules.expectation, findings)
    sought = frozenset().union(*expected)
    evidence = Evidence(
        observations=observations,
        expectation=rules.expectation,
        failing=frozenset(each for each in findings if standings.get(each, NEW).status.fails),
        aside=aside,
        expected=expected,
        missing=tuple(missing(rules.expectation, findings.values())),
        complaints=tuple(baseline.complaints(states)) if states else (),
        once=request.until_found,
        doubts=(*filter(None, [cut]), *_doubts(request, gathered, reading, hooks, objects, uses=uses)),
        downgrades=tuple(_downgrades(rules, gathered, hooks, objects, uses)),
        suppressions=uses,
    )
    notes = [*gathered.notes, *mismatches]
    if any(process.hook == "none" for process in hooks.processes):
        notes.append("the report hook could not be reached (mostly: a stripped program), so Python frames are missing")
    result = build_result(
        reading.digest,
        Facts(
            own=request.own,
            extensions=extension_objects(objects),
            standings=standings,
            python_stacks=python_stacks,
            inputs=tuple(reading.inputs),
            verdict=judge_program(evidence),
            directed=gathered.directed,
        ),
    )
    return replace(
        result,
        id=gathered.folder.id,
        subjects=(subject_of(request.command, observations, rate(observations, sought, {*aside, *hidden})),),
        audit=objects or None,
        suppressions=uses,
        baseline=states,
        shard_record=_shard_record(request, rules, gathered.replay, evidence),
        provenance=Provenance(
            command=gathered.replay.ran,
            folder=str(gathered.folder.path),
            started_at=gathered.folder.started_at.isoformat(timespec="seconds"),
            tsan_options=gathered.tsan_options,
            facts=gathered.replay.facts,
            environment=gathered.replay.changed,
            removed=gathered.replay.removed,
            seeds=gathered.replay.seeds,
            shims=hooks.shims,
            notes=tuple(notes),
        ),
        seconds=sum(each.seconds for each in observations),
    )


def _loaded(hooks: HookOutput, mapped: Iterable[str]) -> tuple[SharedObject, ...]:
    loaded = [path for process in hooks.processes for path in process.objects] or audit.watched_objects(mapped)
    return audit.inspect_objects(path for path in loaded if not path.endswith((LIBRARY, LOCK_RECORDER.name)))


def _gaps(gathered: Gathered) -> Iterator[str]:
    """Yield what the recorder did not see, each sentence once."""
    folders = [execution.folder for _, execution in gathered.runs]
    names = [name for name in gathered.detect if name in RECORDED and gathered.has_recorder]
    found = [each.gaps(folders, alone=name == gathered.detect[0]) for name in names for each in detectors([name])]
    yield from dict.fromkeys(words for each in found for words in each)


def is_found(rules: Rules, gathered: Gathered) -> bool:
    """Return whether the last run showed what ``--until-found`` waits for: the expected findings, or any that fails."""
    execution = gathered.runs[-1][1]
    groups = read_runs([execution], gathered.detect, rules.ignored).digest.groups
    if rules.expectation.outcome is Outcome.RACE:
        return not list(missing(rules.expectation, [group.finding for group in groups.values()]))
    hooks = read_hook_output(gathered.hook_folder) if gathered.hook_folder and groups else _NO_OUTPUT
    objects = _loaded(hooks, gathered.mapped) if groups else ()
    standings = rules.standings_in(groups, objects, locks.judged_processes([execution.folder]))
    return any(standings.get(each, NEW).status.fails for each in groups)


def _shard_record(request: Request, rules: Rules, replay: Replay, evidence: Evidence) -> ShardRecord:
    """Return what runs on other machines are merged by.

    Two runs are of one subject if the program is the same, and all that its findings are compared with. Kernel, number
    of cores and the like may differ: to see other interleavings is what many machines are for.
    """
    facts = replay.facts
    subject = {
        "command": shlex.join(request.command),
        "program": facts.get("program code") or facts.get("program", ""),
        "interpreter": facts.get("interpreter", "none"),
        "toolchain": facts.get("toolchain", ""),
        "TSAN_OPTIONS": replay.given.get("TSAN_OPTIONS", ""),
        "expectation": repr(rules.expectation),
        "baseline": _digest(repr(rules.baseline.known)) if rules.baseline else "none",
        "suppressions": _digest(suppressing.merged_text(rules.suppressions)),
        "until found": "yes" if request.until_found else "no",
        "shards": f"{request.repeat} runs in {request.shard.count} shards" if request.shard else "none",
        **({"unlikely findings": "kept"} if request.keep_unlikely else {}),
        **({"ignored rules": ", ".join(rules.ignored)} if rules.ignored else {}),
    }
    return ShardRecord(
        subject=subject,
        repeat=request.repeat,
        planned=len(request.numbers),
        shard=request.shard,
        until_found=request.until_found,
        today=rules.today,
        baseline=rules.baseline,
        doubts=evidence.doubts,
        downgrades=evidence.downgrades,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else "none"


def _logs(executions: Sequence[Execution]) -> list[Path]:
    return [path for execution in executions for path in execution.logs]


def read_runs(executions: Sequence[Execution], detect: Sequence[str], ignored: Sequence[str] = ()) -> Reading:
    """Return what these detectors found in some processes, without the findings of the ``ignored`` rules."""
    reading = Reading()
    for execution in executions:
        for detector in detectors(detect):
            detector.digest(detector.files(execution.folder), reading)
    for key in [key for key, group in reading.digest.groups.items() if group.finding.kind.rule in ignored]:
        reading.digest.drop(key)
    return reading


def unread_logs(reading: Reading) -> Iterator[str]:
    """Yield a sentence for each log, or part of one, that could not be read."""
    yield from reading.digest.unread
    for each in reading.inputs:
        words = f"{each.file}: {each.problem}"
        if each.problem.startswith(("cannot be read", "is not a log")) and words not in reading.digest.unread:
            yield words


def _hook_reports(executions: Sequence[Execution], hooks: HookOutput) -> Iterator[tuple[str, tuple[HookReport, ...]]]:
    hooked = {process.pid for process in hooks.processes if process.hook != "none"}
    for log in _logs(executions):
        pid = log.name.rpartition(".")[2]
        if pid.isdecimal() and (int(pid) in hooks.reports or int(pid) in hooked):
            yield str(log), hooks.reports.get(int(pid), ())


def _doubts(
    request: Request,
    gathered: Gathered,
    reading: Reading,
    hooks: HookOutput,
    objects: Sequence[SharedObject],
    *,
    uses: Iterable[SuppressionUse],
) -> Iterator[str]:
    """Yield why nothing can be concluded from the runs as a whole."""
    yield from unread_logs(reading)
    # One run more: that which was interrupted.
    executions = [execution for _, execution in gathered.runs]
    folders = (*(execution.folder for execution in executions), gathered.folder.subject(str(len(executions) + 1)))
    log_paths = {str(folder / LOG_FOLDER / LOG_STEM) for folder in folders}
    yield from processes.changed_options(hooks, options=gathered.tsan_options, logs=log_paths)
    bare = [f"process {each.pid} ({each.file.name})" for each in hooks.bare if read_elf(each.file).instrumented]
    if bare:
        names = some_of(list(dict.fromkeys(bare)), processes.MAX_NAMED)
        yield f"{names} was started without the environment of this run, so what it found was not collected"
    if hooks.unread:
        names = some_of(list(hooks.unread), processes.MAX_NAMED)
        yield f"what processes recorded about themselves cannot be read: {names}"
    if gathered.judges_races:
        yield from processes.included_options(gathered.tsan_options)
    yield from suppressing.compiled_in(uses)[0]
    if not gathered.judges_races:
        yield from _races_unjudged(request, hooks, _logs(executions))
        yield from _gaps(gathered)
        return
    mixed = next((words for process in hooks.processes if (words := audit.two_runtimes(process.objects))), "")
    if mixed:
        yield f"two sanitizer runtimes in one process: {mixed}"
    for each in objects:
        if silencers := read_elf(Path(each.path)).silencers:
            yield f"{PurePath(each.path).name} can keep reports from the log: it {' and '.join(silencers)}"
    watched = any(observation.seen for observation, _ in gathered.runs) or any(
        not audit.is_system(each.path) and each.instrumented for each in objects
    )
    if request.children and not watched:
        yield "no instrumented process was seen, so nothing shows that anything ran under ThreadSanitizer"


def _races_unjudged(request: Request, hooks: HookOutput, logs: Sequence[Path]) -> Iterator[str]:
    """Yield a sentence if races were requested, or a process had the sanitizer, and the program itself has none."""
    if request.detect and "races" not in request.detect:
        return
    if request.detect:
        yield "races were requested and not judged"
    names = [f"process {start.pid} ({PurePath(start.program).name})" for start in hooks.starts]
    names += [f"process {log.name.rpartition('.')[2]}" for log in logs if not names and log.stat().st_size]
    if names:
        shown = some_of(list(dict.fromkeys(names)), processes.MAX_NAMED)
        yield f"{shown} ran under ThreadSanitizer, and races were not judged; --children does that"


def _downgrades(
    rules: Rules,
    gathered: Gathered,
    hooks: HookOutput,
    objects: tuple[SharedObject, ...],
    uses: Iterable[SuppressionUse],
) -> Iterator[str]:
    """Yield what the verdict does not cover."""
    yield from gathered.unjudged
    if gathered.judges_races:
        yield from processes.weakening_options(gathered.tsan_options)
    yield from suppressing.compiled_in(uses)[1]
    if rules.ignored:
        yield f"As requested, {counted(len(rules.ignored), 'rule')} did not count: {', '.join(rules.ignored)}."
    yield from audit.downgrades(objects)
    if gathered.judges_races and not objects:
        yield "The objects that the program loaded are not known, so neither is whether all of them are instrumented."
    elif gathered.judges_races and not hooks.processes:
        yield "No process came to its end, so the list of loaded objects is what was seen of it now and then."
    if gathered.judges_races:
        yield from _gaps(gathered)
    yield from processes.restored_logs(hooks)
    ended = [execution.completed for _, execution in gathered.runs]
    # At a deadline every process was ended, and the verdict says so.
    if not any(each.timed_out for each in ended):
        yield from processes.without_end(hooks, {each.pid for each in ended})
    yield from unseen(hooks.mappings, objects)
    yield from gathered.left
