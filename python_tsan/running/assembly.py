"""Own how what the runs left becomes one report; leave each judgement to its own module."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from python_tsan.expectation import Outcome
from python_tsan.report.build import Facts, Standing, build_report
from python_tsan.report.model import FindingStatus, Provenance, Report, Subject
from python_tsan.report.reading import Reading, read_logs
from python_tsan.running import audit, baseline, expected, judging, oracle, suppressing
from python_tsan.running.companion import LIBRARY, Told, read_told

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from python_tsan.checking.execution import Execution
    from python_tsan.render.store import RunFolder
    from python_tsan.report.model import SharedObject
    from python_tsan.running.companion import HookReport
    from python_tsan.running.judging import Attempt
    from python_tsan.running.record import Replay
    from python_tsan.running.request import Request
    from python_tsan.running.rules import Rules

_NEW = Standing(status=FindingStatus.NEW)
_NOTHING = Told(reports={}, processes=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Everything that a session has gathered; ``runs`` pairs each attempt with its files.

    ``told`` is the companions' folder, ``mapped`` are files that processes were seen to have mapped as code, ``cut``
    says why there are not as many runs as were wanted.
    """

    folder: RunFolder
    runs: tuple[tuple[Attempt, Execution], ...]
    replay: Replay
    tsan_options: str
    told: Path | None
    mapped: tuple[str, ...]
    notes: tuple[str, ...]
    cut: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """What a session comes to, and what its verdict rests on."""

    report: Report
    evidence: judging.Evidence


def assemble(request: Request, rules: Rules, done: Done) -> Assembled:
    """Return the report of a session with its evidence."""
    executions = [execution for _, execution in done.runs]
    attempts = tuple(attempt for attempt, _ in done.runs)
    reading = _read(executions)
    groups = tuple(reading.digest.groups.values())
    told = read_told(done.told) if done.told else _NOTHING
    python_stacks, mismatches = oracle.match_reports(reading.digest, _hook_reports(executions, told))
    loaded = [path for process in told.processes for path in process.objects] or audit.watched_objects(done.mapped)
    objects = audit.inspect_objects(path for path in loaded if not path.endswith(LIBRARY))
    seen = frozenset(reading.digest.groups)
    standings = rules.standings(groups)
    fared = baseline.fare(rules.baseline, seen, runs=len(attempts), today=rules.today) if rules.baseline else None
    uses = suppressing.count_uses(rules.suppressions, _logs(executions))
    wanted = expected.covered(rules.expectation, groups)
    evidence = judging.Evidence(
        attempts=attempts,
        expectation=rules.expectation,
        failing=frozenset(each for each in seen if standings.get(each, _NEW).status.fails),
        expected=wanted,
        missing=tuple(expected.missing(rules.expectation, groups)),
        complaints=tuple(baseline.complaints(fared)) if fared else (),
        once=request.until_found,
        doubts=(*filter(None, [done.cut]), *_doubts(request, told, objects, attempts)),
        downgrades=(*audit.downgrades(objects), *_unaudited(told, objects)),
    )
    facts = Facts(
        own=request.own,
        standings=standings,
        python_stacks=python_stacks,
        inputs=tuple(reading.inputs),
        verdict=judging.judge(judging.with_unused(evidence, uses[: rules.given])),
        subject=_subject(request, attempts, executions, frozenset().union(*wanted)),
        audit=objects or None,
        suppressions=uses,
        baseline=fared,
    )
    notes = (*done.notes, *mismatches, *_hook_notes(told))
    report = build_report(reading.digest, replace(facts, provenance=_provenance(done, notes)))
    return Assembled(report=report, evidence=evidence)


def is_found(execution: Execution, rules: Rules) -> bool:
    """Tell whether a run showed what ``--until-found`` waits for: the expected findings, or any that fails."""
    groups = tuple(_read([execution]).digest.groups.values())
    if rules.expectation.outcome is Outcome.RACE:
        return not list(expected.missing(rules.expectation, groups))
    standings = rules.standings(groups)
    return any(standings.get(each.fingerprint, _NEW).status.fails for each in groups)


def _logs(executions: Sequence[Execution]) -> list[Path]:
    return [path for execution in executions for path in execution.logs]


def _read(executions: Sequence[Execution]) -> Reading:
    return read_logs(str(path) for path in _logs(executions))


def _hook_reports(executions: Sequence[Execution], told: Told) -> Iterator[tuple[str, tuple[HookReport, ...]]]:
    hooked = {process.pid for process in told.processes if process.hook != "none"}
    for log in _logs(executions):
        pid = log.name.rpartition(".")[2]
        if pid.isdecimal() and (int(pid) in told.reports or int(pid) in hooked):
            yield str(log), told.reports.get(int(pid), ())


def _doubts(
    request: Request, told: Told, objects: tuple[SharedObject, ...], attempts: Sequence[judging.Attempt]
) -> Iterator[str]:
    mixed = next((words for process in told.processes if (words := audit.two_runtimes(process.objects))), "")
    if mixed:
        yield f"two sanitizer runtimes in one process: {mixed}"
    watched = any(attempt.seen for attempt in attempts) or any(
        not audit.is_system(each.path) and each.instrumented for each in objects
    )
    if request.children and not watched:
        yield "no instrumented process was seen, so nothing shows that anything ran under ThreadSanitizer"


def _unaudited(told: Told, objects: tuple[SharedObject, ...]) -> Iterator[str]:
    if not objects:
        yield "The objects that the program loaded are not known, so neither is whether all of them are instrumented."
    elif not told.processes:
        yield "No process came to its end, so the list of loaded objects is what was seen of it now and then."


def _hook_notes(told: Told) -> Iterator[str]:
    if any(process.hook == "none" for process in told.processes):
        yield "the report hook could not be reached (mostly: a stripped program), so Python frames are missing"


def _subject(
    request: Request, attempts: Sequence[judging.Attempt], executions: Sequence[Execution], wanted: frozenset[str]
) -> Subject:
    return Subject(
        command=request.command,
        exit_codes=tuple(attempt.exit_code for attempt in attempts),
        timed_out=any(attempt.timed_out for attempt in attempts),
        seconds=sum(attempt.seconds for attempt in attempts),
        max_rss_bytes=max((attempt.max_rss_bytes for attempt in attempts), default=0),
        rate=judging.rate(attempts, wanted),
        stacks=tuple(str(path) for execution in executions for path in execution.stacks),
    )


def _provenance(done: Done, notes: tuple[str, ...]) -> Provenance:
    replay = done.replay
    return Provenance(
        command=replay.ran,
        folder=str(done.folder.path),
        started_at=done.folder.started_at.isoformat(timespec="seconds"),
        tsan_options=done.tsan_options,
        facts=replay.facts,
        environment=replay.changed,
        seeds=replay.seeds,
        notes=notes,
    )
