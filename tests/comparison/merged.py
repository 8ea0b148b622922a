"""Runs of one program on several machines, made by hand."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from python_tsan.merging.parts import ProgramPart
from python_tsan.report.build import Facts, Standing, build_report
from python_tsan.report.model import FindingStatus, Place, Provenance, Subject, SuppressionUse
from python_tsan.running import baseline, expected, judging
from python_tsan.running.account import Account
from python_tsan.running.judging import Attempt, Evidence
from python_tsan.running.shard import Shard
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


def attempt(number, *names, seconds=0.1, **parts):
    given = {"exit_code": 66 if names else 0, "timed_out": False} | parts
    return Attempt(number=number, seconds=seconds, seen=frozenset(PRINTS[name] for name in names), **given)


def part(name, *shown, shard=None, repeat=None, rules=expected.CLEAN, known=None, today=TODAY, **more):
    """Return the part that runs showing these names of logs (a tuple for each run) leave, as a session makes it.

    ``shown`` may hold attempts too. Everything that a session derives from them is derived here in the same way.
    """
    attempts = tuple(
        each if isinstance(each, Attempt) else attempt(number, *each) for number, each in enumerate(shown, start=1)
    )
    digest = Digest()
    for one in attempts:
        for log, fingerprint in PRINTS.items():
            if fingerprint in one.seen:
                digest.add(LOGS[log].splitlines(), f"/runs/{name}/{one.number}/tsan.{log}")
    groups = tuple(digest.groups.values())
    wanted = expected.covered(rules, groups)
    standings = (baseline.standings(known, today=today) if known else {}) | {
        each: Standing(status=FindingStatus.EXPECTED) for each in frozenset().union(*wanted)
    }
    new = Standing(status=FindingStatus.NEW)
    fared = baseline.fare(known, set(digest.groups), runs=len(attempts), today=today) if known else None
    evidence = Evidence(
        attempts=attempts,
        expectation=rules,
        failing=frozenset(each for each in digest.groups if standings.get(each, new).status.fails),
        expected=wanted,
        missing=tuple(expected.missing(rules, groups)),
        complaints=tuple(baseline.complaints(fared)) if fared else (),
    )
    uses = more.pop("suppressions", None)
    report = build_report(
        digest,
        Facts(
            standings=standings,
            verdict=judging.judge(judging.with_unused(evidence, uses or ())),
            subject=Subject(
                command=("./embed",),
                exit_codes=tuple(one.exit_code for one in attempts),
                timed_out=any(one.timed_out for one in attempts),
                seconds=sum(one.seconds for one in attempts),
                rate=judging.rate(attempts, frozenset().union(*wanted)),
            ),
            baseline=fared,
            suppressions=uses,
            provenance=Provenance(command=("./embed",), started_at="2026-01-02", facts={"cores": "2"}),
        ),
    )
    account = Account(
        run=name,
        subject=SUBJECT | more.pop("subject", {}),
        repeat=repeat or len(attempts),
        planned=more.pop("planned", len(attempts)),
        shard=Shard(index=shard[0], count=shard[1]) if shard else None,
        evidence=evidence,
        today=today,
        baseline=known,
        given=len(uses or ()),
        **more,
    )
    return ProgramPart(report=report, account=account)


def use(matched, entry="race_top:f"):
    return SuppressionUse(entry=entry, matched=matched, file="s.txt", line=2)


def placed(*parts):
    return [(f"/runs/{each.name}", each) for each in parts]


__all__ = ["GOLDEN", "LOGS", "NAMES", "PRINTS", "Place", "attempt", "part", "placed", "use"]
