"""Runs of one program on several machines, made in memory."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from msgspec.structs import replace

from python_tsan.result import baseline
from python_tsan.result.build import Facts, Standing, build_result
from python_tsan.result.finding import FindingStatus, Occurrence
from python_tsan.result.judge.program import Evidence, judge_program, rate
from python_tsan.result.matching import covered, missing
from python_tsan.result.model import Observation, Provenance, ShardRecord, Subject, SuppressionUse
from python_tsan.result.shard import Shard
from python_tsan.running import expected
from python_tsan.tsan.digest import Digest

GOLDEN = Path(__file__).parents[1] / "tsan" / "golden" / "clang-19"
TODAY = dt.date(2026, 6, 1)
NAMES = ("race_global", "race_heap", "deadlock")
LOGS = {name: (GOLDEN / f"{name}.log").read_text() for name in NAMES}
SUBJECT = {"command": "./embed", "program": "sha", "shards": "none"}


def prints():
    """Return the fingerprint of each log's one finding, by the log's name."""
    found = {}
    for name, text in LOGS.items():
        digest = Digest()
        digest.add(text.splitlines(), "x")
        (found[name],) = digest.groups
    return found


PRINTS = prints()


def observation(number, *names, seconds=0.1, **parts):
    given = {"exit_code": 66 if names else 0, "timed_out": False} | parts
    return Observation(number=number, seconds=seconds, seen=frozenset(PRINTS[name] for name in names), **given)


def part(name, *shown, shard=None, repeat=None, rules=expected.CLEAN, known=None, today=TODAY, **more):
    """Return the part that runs showing these names of logs (a tuple for each run) leave, as a session makes it.

    ``shown`` may hold observations too. Everything that a session derives from them is derived here in the same way.
    """
    observations = tuple(
        each if isinstance(each, Observation) else observation(number, *each)
        for number, each in enumerate(shown, start=1)
    )
    digest = Digest()
    for one in observations:
        for log, fingerprint in PRINTS.items():
            if fingerprint in one.seen:
                digest.add(LOGS[log].splitlines(), f"/runs/{name}/{one.number}/tsan.{log}")
    findings = {key: group.finding for key, group in digest.groups.items()}
    expected_ones = covered(rules, findings)
    standings = (baseline.standings(known, today=today) if known else {}) | {
        each: Standing(status=FindingStatus.EXPECTED) for each in frozenset().union(*expected_ones)
    }
    new = Standing(status=FindingStatus.NEW)
    fared = baseline.compare_baseline(known, set(digest.groups), runs=len(observations), today=today) if known else None
    evidence = Evidence(
        observations=observations,
        expectation=rules,
        failing=frozenset(each for each in digest.groups if standings.get(each, new).status.fails),
        expected=expected_ones,
        missing=tuple(missing(rules, findings.values())),
        complaints=tuple(baseline.complaints(fared)) if fared else (),
    )
    uses = more.pop("suppressions", None)
    verdict = judge_program(replace(evidence, suppressions=uses or ()))
    return replace(
        build_result(digest, Facts(standings=standings, verdict=verdict)),
        id=name,
        subjects=(
            Subject(
                command=("./embed",),
                exit_codes=tuple(one.exit_code for one in observations),
                timed_out=any(one.timed_out for one in observations),
                seconds=sum(one.seconds for one in observations),
                rate=rate(observations, frozenset().union(*expected_ones)),
            ),
        ),
        baseline=fared,
        suppressions=uses,
        provenance=Provenance(command=("./embed",), started_at="2026-01-02", facts={"cores": "2"}),
        shard_record=ShardRecord(
            subject=SUBJECT | more.pop("subject", {}),
            repeat=repeat or len(observations),
            planned=more.pop("planned", len(observations)),
            shard=Shard(index=shard[0], count=shard[1]) if shard else None,
            today=today,
            baseline=known,
            **more,
        ),
    )


def use(matched, entry="race_top:f"):
    return SuppressionUse(entry=entry, matched=matched, file="s.txt", line=2)


def placed(*parts):
    return [(f"/runs/{each.id}", each) for each in parts]


__all__ = ["GOLDEN", "LOGS", "NAMES", "PRINTS", "Occurrence", "observation", "part", "placed", "use"]
