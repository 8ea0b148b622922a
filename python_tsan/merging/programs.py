"""Own how runs of one program become one report: counted exactly, judged anew on all the evidence. Pure, no I/O."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import fsum
from typing import TYPE_CHECKING, TypeVar

from python_tsan import __version__
from python_tsan.merging.findings import merged_findings
from python_tsan.report.model import Provenance, Report, Subject, SuppressionUse, Unparsed
from python_tsan.running import baseline, judging
from python_tsan.tsan.blocks import MAX_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.merging.parts import ProgramPart
    from python_tsan.report.model import BaselineResult, SharedObject
    from python_tsan.running.judging import Evidence


T = TypeVar("T")


def add_up(parts: Sequence[ProgramPart]) -> Report:
    """Return what the parts come to together, as if one machine had made all of their runs."""
    reports = [part.report for part in parts]
    evidence = _evidence(parts)
    uses = _uses(reports)
    fared = _fared(parts, evidence)
    whole = replace(evidence, complaints=tuple(baseline.complaints(fared)) if fared else ())
    given = max(part.account.given for part in parts)
    return Report(
        package=__version__,
        verdict=judging.judge(judging.with_unused(whole, (uses or ())[:given])),
        findings=merged_findings(reports),
        fatal=tuple(each for report in reports for each in report.fatal),
        unparsed=Unparsed(
            count=sum(report.unparsed.count for report in reports),
            samples=tuple(line for report in reports for line in report.unparsed.samples)[:MAX_SAMPLES],
        ),
        blocks=sum(report.blocks for report in reports),
        outside=sum(report.outside for report in reports),
        inputs=tuple(each for report in reports for each in report.inputs),
        subject=_subject(reports, whole),
        audit=_audit(reports),
        suppressions=uses,
        baseline=fared,
        provenance=_provenance(parts),
    )


def _evidence(parts: Sequence[ProgramPart]) -> Evidence:
    each = [part.account.evidence for part in parts]
    # What no part saw is missing; what one saw is not.
    missing = [words for words in each[0].missing if all(words in other.missing for other in each)]
    return judging.Evidence(
        attempts=tuple(attempt for one in each for attempt in one.attempts),
        expectation=each[0].expectation,
        failing=frozenset().union(*(one.failing for one in each)),
        # Position by position: one expectation has as many expected findings in every part.
        expected=tuple(frozenset().union(*same) for same in zip(*(one.expected for one in each), strict=True)),
        once=each[0].once,
        missing=tuple(missing),
        doubts=(*_once(doubt for one in each for doubt in one.doubts), *gaps(parts)),
        downgrades=_once(word for one in each for word in one.downgrades),
    )


def gaps(parts: Sequence[ProgramPart]) -> Iterator[str]:
    """Say which runs were planned and are not there: a green result must not come from a machine that fell out."""
    accounts = [part.account for part in parts]
    for account in accounts:
        made = len(account.evidence.attempts)
        if made < account.planned and not account.until_found:
            yield f"{account.run} made {made} of {account.planned} runs"
    if (shard := accounts[0].shard) is not None:
        there = {account.shard.index for account in accounts if account.shard}
        absent = [str(index) for index in range(1, shard.count + 1) if index not in there]
        if absent:
            yield f"of {shard.count} shards, these are missing: {', '.join(absent)}"


def _fared(parts: Sequence[ProgramPart], evidence: Evidence) -> BaselineResult | None:
    known = parts[0].account.baseline
    if known is None:
        return None
    seen = {finding.fingerprint for part in parts for finding in part.report.findings}
    today = max(part.account.today for part in parts)
    return baseline.fare(known, seen, runs=len(evidence.attempts), today=today)


def _uses(reports: Sequence[Report]) -> tuple[SuppressionUse, ...] | None:
    if all(report.suppressions is None for report in reports):
        return None
    first: dict[tuple[str, int], SuppressionUse] = {}
    matched: Counter[tuple[str, int]] = Counter()
    for report in reports:
        for use in report.suppressions or ():
            key = (use.entry, use.line)
            first.setdefault(key, use)
            matched[key] += use.matched
    return tuple(replace(use, matched=matched[key]) for key, use in first.items())


def _audit(reports: Sequence[Report]) -> tuple[SharedObject, ...] | None:
    if all(report.audit is None for report in reports):
        return None
    return _once(each for report in reports for each in report.audit or ())


def _subject(reports: Sequence[Report], evidence: Evidence) -> Subject:
    subjects = [report.subject for report in reports if report.subject]
    return Subject(
        command=subjects[0].command if subjects else (),
        exit_codes=tuple(code for subject in subjects for code in subject.exit_codes),
        timed_out=any(subject.timed_out for subject in subjects),
        # fsum rounds once, so that no order of adding gives another total.
        seconds=fsum(attempt.seconds for attempt in evidence.attempts),
        max_rss_bytes=max((subject.max_rss_bytes for subject in subjects), default=0),
        rate=judging.rate(evidence.attempts, frozenset().union(*evidence.expected)),
        stacks=tuple(path for subject in subjects for path in subject.stacks),
    )


def _provenance(parts: Sequence[ProgramPart]) -> Provenance:
    each = [part.report.provenance or Provenance() for part in parts]
    names = _once(name for one in each for name in one.facts)
    return Provenance(
        command=each[0].command,
        started_at=min(one.started_at for one in each),
        tsan_options=each[0].tsan_options if len({one.tsan_options for one in each}) == 1 else "",
        facts={name: "; ".join(_once(one.facts[name] for one in each if name in one.facts)) for name in names},
        environment=_common(each),
        notes=(*_made(parts), *_once(note for one in each for note in one.notes)),
    )


def _common(each: Sequence[Provenance]) -> dict[str, str]:
    first = each[0].environment
    return {name: value for name, value in first.items() if all(one.environment.get(name) == value for one in each)}


def _made(parts: Sequence[ProgramPart]) -> Iterator[str]:
    runs = [len(part.account.evidence.attempts) for part in parts]
    yield f"{sum(runs)} runs added up from {len(parts)}: " + ", ".join(
        f"{part.name}{f' (shard {part.account.shard})' if part.account.shard else ''}, {made}"
        for part, made in zip(parts, runs, strict=True)
    )
    twice = Counter(str(part.account.shard) for part in parts if part.account.shard)
    for shard, times in twice.items():
        if times > 1:
            yield f"shard {shard} was run {times} times; all of its runs count"


def _once(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))
