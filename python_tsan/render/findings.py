"""Own how a verified run becomes a report of its findings, so that every rendering of findings can show it."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from python_tsan.checking.model import Status
from python_tsan.errors import ExitCode
from python_tsan.expectation import Outcome
from python_tsan.render.summary import conclusion
from python_tsan.report.build import Facts, Standing, build_report
from python_tsan.report.model import FindingStatus, Provenance, ReportVerdict, VerdictStatus
from python_tsan.tsan.digest import Digest, Group
from python_tsan.tsan.fingerprint import fingerprint

if TYPE_CHECKING:
    from python_tsan.checking.model import Verdict
    from python_tsan.render.run import Run
    from python_tsan.report.model import Report

_VERDICTS = {ExitCode.CLEAN: VerdictStatus.CLEAN, ExitCode.FINDINGS: VerdictStatus.FINDINGS}


def report_of_run(run: Run) -> Report:
    """Return the report of all findings in ``run``. Those that a passed check was there to see are *expected*."""
    digest = Digest()
    standings: dict[str, Standing] = {}
    for verdict in run.verdicts:
        standing = _standing(verdict)
        for key in _collect(verdict, digest):
            # One finding may be expected by one check and a surprise to another: the surprise counts.
            if key not in standings or standing.status.fails:
                standings[key] = standing
    status = _VERDICTS.get(run.exit_code, VerdictStatus.COULD_NOT_JUDGE)
    return build_report(
        digest,
        Facts(
            standings=standings,
            verdict=ReportVerdict(status=status, reason=conclusion(run).partition(": ")[2]),
            provenance=_provenance(run),
        ),
    )


def _collect(verdict: Verdict, digest: Digest) -> list[str]:
    keys = []
    for observation in verdict.observations:
        digest.unparsed += observation.unparsed
        for finding in observation.findings:
            key = fingerprint(finding)
            group = digest.groups.setdefault(key, Group(key, finding))
            group.occurrences += 1
            group.places.setdefault(finding.source.file, array("Q")).append(finding.source.first_line)
            digest.blocks += 1
            keys.append(key)
    return keys


def _standing(verdict: Verdict) -> Standing:
    wanted = verdict.expectation.outcome is Outcome.RACE and verdict.status is Status.PASSED
    if wanted:
        return Standing(status=FindingStatus.EXPECTED, reason=f"{verdict.check} is there to show it")
    return Standing(status=FindingStatus.NEW, reason=f"seen by {verdict.check}")


def _provenance(run: Run) -> Provenance:
    machine = run.provenance.machine
    return Provenance(
        command=run.provenance.command,
        folder=run.id,
        started_at=run.provenance.started_at,
        facts={"kernel": machine.kernel, "libc": machine.libc, "architecture": machine.architecture},
        seeds=run.provenance.seeds,
        notes=run.provenance.notes,
    )
