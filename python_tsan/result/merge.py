"""Merge results of one subject from many machines, counted and judged as if one machine had made all runs. Pure.

A merge is a set of parts, and two merges are merged as sets: in any order, in any grouping, and a part that is given
twice counts once. The outcome is a function of the set alone.
"""

from __future__ import annotations

import re
from collections import Counter
from math import fsum
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from python_tsan import __version__
from python_tsan.errors import UsageError
from python_tsan.expectation import Lane, Outcome
from python_tsan.rate import describe_rate
from python_tsan.result import baseline
from python_tsan.result.build import merge_findings, subject_of
from python_tsan.result.judge.program import Evidence, judge_program, rate
from python_tsan.result.known import set_aside
from python_tsan.result.matching import covered, missing
from python_tsan.result.model import (
    Provenance,
    Result,
    ResultKind,
    ShardRecord,
    SharedObject,
    Status,
    SuppressionUse,
    Unparsed,
    Verdict,
)
from python_tsan.tsan.outside import MAX_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")
_SHOWN = 60
# 20261123T030645Z-dee43b; of a merge of checks, several of them.
_NAME = re.compile(r"[\w-][\w.+-]*")
# A doubt outweighs a failure, as within one run; a check that one machine could run was run.
_WEIGHT = (Status.COULD_NOT_JUDGE, Status.FAILED, Status.PASSED, Status.SKIPPED)


def identity(part: Result) -> Mapping[str, str]:
    """Return, by name, what must be the same for two parts to be merged."""
    if part.shard_record:
        return part.shard_record.subject
    lanes = {}
    for record in part.lanes:
        built = record.interpreter
        words = f"CPython {built.version}, key {built.key}, {record.toolchain}" if built else record.skipped
        bindings = "".join(f", {name} {version}" for name, version in sorted(record.bindings.items()))
        lanes[f"{record.lane.value} lane"] = words + bindings + (f", numpy {record.numpy}" if record.numpy else "")
    return lanes


def unite(parts: Iterable[tuple[str, Result]]) -> tuple[Result, ...]:
    """Return each part once, in an order that does not depend on the order given. ``parts`` come with their folders.

    Raises :class:`UsageError` when they are not all of one subject, or when two that differ have one name.
    """
    named: dict[str, tuple[str, Result]] = {}
    for folder, part in parts:
        _refuse_unusable(folder, part)
        first_folder, first = named.setdefault(part.id, (folder, part))
        if first != part:
            raise UsageError(
                f"{first_folder} and {folder} differ, and both are named {part.id}",
                advice="name the runs as they were left, or folders made by `merge`",
                page="merge",
            )
    united = sorted(named.values(), key=lambda each: _order(each[1]))
    _refuse_mixed(united)
    return tuple(part for _, part in united)


def merge(parts: Sequence[Result]) -> Result:
    """Return what the parts come to together; they are as :func:`unite` returns them.

    Raises :class:`UsageError` when they expect different things of one check.
    """
    return _merge_checks(parts) if parts[0].kind is ResultKind.CHECKS else _merge_programs(parts)


def _refuse_unusable(folder: str, part: Result) -> None:
    # The name becomes a folder's, and comes from a file of unknown origin.
    if not _NAME.fullmatch(part.id):
        raise UsageError(
            f"{folder}: {part.id!r} is not the name of a run", advice="name runs as they were left", page="merge"
        )
    if part.kind is not ResultKind.CHECKS and part.shard_record is None:
        raise UsageError(
            f"{folder} is not the result of a run: it does not say what was run",
            advice="merge runs of `run`, or runs of `verify`",
            page="merge",
        )


def _order(part: Result) -> tuple[int, str]:
    shard = part.shard_record.shard if part.shard_record else None
    return (shard.index if shard else 0, part.id)


def _refuse_mixed(parts: Sequence[tuple[str, Result]]) -> None:
    if not parts:
        raise UsageError("no runs to merge", advice="name the folders of runs", page="merge")
    first_folder, first = parts[0]
    for folder, part in parts[1:]:
        if part.kind is not first.kind:
            raise UsageError(
                f"{first_folder} and {folder} are of different kinds: one is a run of checks, the other of a program",
                advice="merge runs of `run`, or runs of `verify`",
                page="merge",
            )
        one, other = identity(first), identity(part)
        differences = [
            f"{name}: {_shown(one.get(name))} and {_shown(other.get(name))}"
            for name in sorted({*one, *other})
            if one.get(name) != other.get(name)
        ]
        if differences:
            raise UsageError(
                f"{first_folder} and {folder} are of different subjects: {'; '.join(differences)}",
                advice="k of n means something for one program on one interpreter only; `compare` shows others side "
                "by side",
                page="merge",
            )


def _shown(value: str | None) -> str:
    text = value or "none"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


# Runs of a program.


def _merge_programs(parts: Sequence[Result]) -> Result:
    evidence = _evidence(parts)
    record = _record(parts[0])
    states = None
    if record.baseline:
        seen = {finding.fingerprint: finding for part in parts for finding in part.findings}
        known = baseline.with_current_fingerprints(record.baseline, seen)
        today = max(_record(part).today for part in parts)
        states = baseline.compare_baseline(known, seen.keys(), runs=len(evidence.observations), today=today)
        evidence = replace(evidence, complaints=tuple(baseline.complaints(states)))
    uses = _uses(parts)
    return Result(
        package=__version__,
        id="+".join(part.id for part in parts),
        kind=ResultKind.PROGRAM,
        subjects=(
            subject_of(
                next((subject.command for part in parts for subject in part.subjects), ()),
                evidence.observations,
                rate(evidence.observations, frozenset().union(*evidence.expected), evidence.aside),
            ),
        ),
        verdicts=(judge_program(replace(evidence, suppressions=uses or ())),),
        findings=merge_findings(finding for part in parts for finding in part.findings),
        fatal=tuple(each for part in parts for each in part.fatal),
        unparsed=_unparsed(parts),
        blocks=sum(part.blocks for part in parts),
        outside=sum(part.outside for part in parts),
        inputs=tuple(each for part in parts for each in part.inputs),
        audit=_audit(parts),
        suppressions=uses,
        baseline=states,
        provenance=_provenance_of_programs(parts),
        seconds=fsum(part.seconds for part in parts),
    )


def _record(part: Result) -> ShardRecord:
    if part.shard_record is None:
        raise ValueError(f"{part.id} has no record of what was run")
    return part.shard_record


def _evidence(parts: Sequence[Result]) -> Evidence:
    expectation = parts[0].verdicts[0].expectation
    # Part by part: of one fingerprint, a read may be expected, and a write be what another part shows first.
    of_parts = [covered(expectation, {finding.fingerprint: finding for finding in part.findings}) for part in parts]
    absent = [tuple(missing(expectation, part.findings)) for part in parts]
    failing = frozenset(finding.fingerprint for part in parts for finding in part.failing)
    aside = {each.fingerprint: each.blind_spot for part in parts for each in part.findings if each.blind_spot}
    return Evidence(
        observations=tuple(observation for part in parts for observation in part.observations),
        expectation=expectation,
        failing=failing,
        aside={key: name for key, name in aside.items() if key not in failing},
        expected=tuple(frozenset().union(*same) for same in zip(*of_parts, strict=True)),
        once=_record(parts[0]).until_found,
        # What no part saw is missing.
        missing=tuple(words for words in absent[0] if all(words in other for other in absent)),
        doubts=(*_once(doubt for part in parts for doubt in _record(part).doubts), *gaps(parts)),
        downgrades=_once(words for part in parts for words in _record(part).downgrades),
    )


def gaps(parts: Sequence[Result]) -> Iterator[str]:
    """Name the runs that were planned and are absent: a green result must not come from a machine that failed."""
    records = [_record(part) for part in parts]
    for part, record in zip(parts, records, strict=True):
        made = len(part.observations)
        if made < record.planned and not record.until_found:
            yield f"{part.id} made {made} of {record.planned} runs"
    if (shard := records[0].shard) is not None:
        there = {record.shard.index for record in records if record.shard}
        absent = [str(index) for index in range(1, shard.count + 1) if index not in there]
        if absent:
            yield f"of {shard.count} shards, these are missing: {', '.join(absent)}"


def _uses(parts: Sequence[Result]) -> tuple[SuppressionUse, ...] | None:
    if all(part.suppressions is None for part in parts):
        return None
    first: dict[tuple[str, int], SuppressionUse] = {}
    matched: Counter[tuple[str, int]] = Counter()
    for part in parts:
        for use in part.suppressions or ():
            key = (use.entry, use.line)
            first.setdefault(key, use)
            matched[key] += use.matched
    return tuple(replace(use, matched=matched[key]) for key, use in first.items())


def _audit(parts: Sequence[Result]) -> tuple[SharedObject, ...] | None:
    if all(part.audit is None for part in parts):
        return None
    return _once(each for part in parts for each in part.audit or ())


def _unparsed(parts: Sequence[Result]) -> Unparsed:
    return Unparsed(
        count=sum(part.unparsed.count for part in parts),
        samples=tuple(line for part in parts for line in part.unparsed.samples)[:MAX_SAMPLES],
    )


def _provenance_of_programs(parts: Sequence[Result]) -> Provenance:
    each = [part.provenance or Provenance() for part in parts]
    names = _once(name for one in each for name in one.facts)
    first = each[0].environment
    return Provenance(
        command=each[0].command,
        started_at=min(one.started_at for one in each),
        tsan_options=each[0].tsan_options if len({one.tsan_options for one in each}) == 1 else "",
        facts={name: "; ".join(_once(one.facts[name] for one in each if name in one.facts)) for name in names},
        environment={
            name: value for name, value in first.items() if all(one.environment.get(name) == value for one in each)
        },
        removed=_once(name for one in each for name in one.removed),
        shims=_once(name for one in each for name in one.shims),
        notes=(*_made(parts), *_once(note for one in each for note in one.notes)),
    )


def _made(parts: Sequence[Result]) -> Iterator[str]:
    runs = [len(part.observations) for part in parts]
    shards = [_record(part).shard for part in parts]
    yield f"{sum(runs)} runs merged from {len(parts)}: " + ", ".join(
        f"{part.id}{f' (shard {shard})' if shard else ''}, {made}"
        for part, shard, made in zip(parts, shards, runs, strict=True)
    )
    for shard, times in Counter(str(shard) for shard in shards if shard).items():
        if times > 1:
            yield f"shard {shard} was run {times} times; all of its runs count"


def _once(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


# Runs of checks.


def _merge_checks(parts: Sequence[Result]) -> Result:
    together: dict[tuple[Lane | None, str], list[Verdict]] = {}
    for part in parts:
        for verdict in part.verdicts:
            together.setdefault((verdict.lane, verdict.check), []).append(verdict)
    first = parts[0]
    each = [part.provenance or Provenance() for part in parts]
    names = ", ".join(part.id for part in parts)
    return Result(
        package=__version__,
        id="+".join(part.id for part in parts),
        kind=ResultKind.CHECKS,
        subjects=tuple(subject for part in parts for subject in part.subjects),
        verdicts=tuple(_merged(same) for same in together.values()),
        findings=merge_findings(finding for part in parts for finding in part.findings),
        unparsed=_unparsed(parts),
        blocks=sum(part.blocks for part in parts),
        lanes=tuple(
            replace(lane, seconds=fsum(each.seconds for part in parts for each in part.lanes if each.lane is lane.lane))
            for lane in first.lanes
        ),
        provenance=replace(
            each[0],
            started_at=min(one.started_at for one in each),
            seeds={},
            notes=(f"{len(parts)} runs merged: {names}", *_once(note for one in each for note in one.notes)),
        ),
        seconds=fsum(part.seconds for part in parts),
        unfinished="; ".join(f"{part.id} is unfinished: {part.unfinished}" for part in parts if part.unfinished),
    )


def _merged(same: Sequence[Verdict]) -> Verdict:
    first = same[0]
    other = next((each for each in same if each.expectation != first.expectation), None)
    if other is not None:
        raise UsageError(
            f"the runs expect different things of {first.check}: {first.expectation.outcome.value} and "
            f"{other.expectation.outcome.value}, or other details of it",
            advice="merge runs of one version of python-tsan",
            page="merge",
        )
    status = min((each.status for each in same), key=_WEIGHT.index)
    met, runs = sum(each.met for each in same), sum(each.runs for each in same)
    observations = tuple(observation for each in same for observation in each.observations)
    if status is Status.PASSED:
        found = [f"found in {describe_rate(met, runs)}"] if first.expectation.outcome is Outcome.RACE else []
        reason = "; ".join((*found, *set_aside(observations)))
    else:
        reason = _reason(same, status)
    return replace(
        first,
        status=status,
        met=met,
        runs=runs,
        reason=reason,
        seconds=fsum(each.seconds for each in same),
        observations=observations,
    )


def _reason(same: Sequence[Verdict], status: Status) -> str:
    if len(same) == 1:
        return same[0].reason
    reasons = Counter(each.reason for each in same if each.status is status)
    return "; ".join(f"{reason} (in {times} of {len(same)} runs)" for reason, times in reasons.items())
