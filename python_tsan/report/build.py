"""Own how a digest of logs and what else is known become a report; leave reading logs to :mod:`.reading`. Pure."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 -- a dataclass's annotations stay readable at run time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from python_tsan import __version__
from python_tsan.report.attribution import attribute
from python_tsan.report.model import (
    BaselineResult,
    FindingStatus,
    Input,
    Place,
    Provenance,
    PythonStack,
    Report,
    ReportFinding,
    ReportVerdict,
    SharedObject,
    Subject,
    SuppressionUse,
    Unparsed,
    VerdictStatus,
)

if TYPE_CHECKING:
    from python_tsan.tsan.digest import Digest, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one finding stands against a baseline, an expectation or a suppression, and why."""

    status: FindingStatus
    reason: str = ""
    link: str = ""
    expires: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known beyond the logs. ``standings`` and ``python_stacks`` are by fingerprint.

    ``verdict`` is that of whoever ran the program; without one the logs decide, ``silent_is_clean`` if the program is
    known to have run under the sanitizer.
    """

    own: tuple[str, ...] = ()
    silent_is_clean: bool = False
    standings: Mapping[str, Standing] = field(default_factory=dict)
    python_stacks: Mapping[str, PythonStack] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    verdict: ReportVerdict | None = None
    subject: Subject | None = None
    audit: tuple[SharedObject, ...] | None = None
    suppressions: tuple[SuppressionUse, ...] | None = None
    baseline: BaselineResult | None = None
    provenance: Provenance | None = None


NOTHING_KNOWN = Facts()
_SILENT = "no line is ThreadSanitizer's, so nothing shows that the program ran under it (explain could-not-judge)"
_NEW = Standing(status=FindingStatus.NEW)


def build_report(digest: Digest, facts: Facts = NOTHING_KNOWN) -> Report:
    """Return the report of all that ``digest`` has read: findings in order of first appearance."""
    findings = tuple(_finding(group, facts) for group in digest.groups.values())
    return Report(
        package=__version__,
        verdict=facts.verdict or judge(findings, digest, facts),
        findings=findings,
        fatal=tuple(digest.fatal),
        unparsed=Unparsed(count=digest.unparsed, samples=tuple(digest.samples)),
        blocks=digest.blocks,
        outside=digest.outside,
        inputs=facts.inputs,
        subject=facts.subject,
        audit=facts.audit,
        suppressions=facts.suppressions,
        baseline=facts.baseline,
        provenance=facts.provenance,
    )


def attributed(report: Report, own: tuple[str, ...]) -> Report:
    """Return ``report`` with every finding attributed anew; nothing else of it changes."""
    findings = []
    for finding in report.findings:
        whose, origins = attribute(finding, own)
        findings.append(replace(finding, attribution=whose, origins=origins))
    return replace(report, findings=tuple(findings))


def judge(findings: tuple[ReportFinding, ...], digest: Digest, facts: Facts) -> ReportVerdict:
    """Judge logs by themselves. Logs in which the sanitizer says nothing, or only that it gave up, prove nothing."""
    failing = sum(finding.status.fails for finding in findings)
    spoke = bool(findings) or any(each.spoke for each in facts.inputs)
    if failing:
        status, reason = VerdictStatus.FINDINGS, "1 finding" if failing == 1 else f"{failing:,} findings"
    elif digest.fatal:
        status, reason = VerdictStatus.COULD_NOT_JUDGE, f"the runtime gave up: {digest.fatal[0].message}"
    elif spoke or (facts.silent_is_clean and facts.inputs):
        status, reason = VerdictStatus.CLEAN, "no finding that fails" if findings else "no finding"
    else:
        status, reason = VerdictStatus.COULD_NOT_JUDGE, _SILENT if facts.inputs else "there was no log to read"
    troubles = tuple(f"{each.file}: {each.problem}" for each in facts.inputs if each.problem)
    return ReportVerdict(status=status, reason=reason, downgrades=troubles)


def _finding(group: Group, facts: Facts) -> ReportFinding:
    first = group.finding
    attribution, origins = attribute(first, facts.own)
    standing = facts.standings.get(group.fingerprint, _NEW)
    return ReportFinding(
        kind=first.kind,
        title=first.title,
        fingerprint=group.fingerprint,
        occurrences=group.occurrences,
        attribution=attribution,
        status=standing.status,
        origins=origins,
        reason=standing.reason,
        link=standing.link,
        expires=standing.expires,
        summary=first.summary,
        dialect=first.dialect,
        pid=first.pid,
        accesses=first.accesses,
        location=first.location,
        more_locations=first.locations[1:],
        stacks=first.stacks,
        threads=first.threads,
        mutexes=first.mutexes,
        cycle=first.cycle,
        acquisitions=first.acquisitions,
        sleep=first.sleep,
        signal=first.signal,
        leaked_threads=first.leaked_threads,
        python_stack=facts.python_stacks.get(group.fingerprint),
        notes=first.notes,
        unparsed=first.unparsed,
        truncated=first.truncated,
        sources=tuple(Place(file=name, line=line) for name, line in group.sources()),
        raw=first.raw,
    )
