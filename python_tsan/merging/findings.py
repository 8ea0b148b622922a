"""Own how the findings of several reports become one list, each with every place where it was seen. Pure, no I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.report.model import FindingStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from python_tsan.report.model import Report, ReportFinding

# Where parts disagree (one was made a day later, and an entry had expired), what weighs most stands.
_WEIGHT = (
    FindingStatus.NEW,
    FindingStatus.EXPIRED,
    FindingStatus.KNOWN,
    FindingStatus.EXPECTED,
    FindingStatus.SUPPRESSED,
)


def merged_findings(reports: Sequence[Report]) -> tuple[ReportFinding, ...]:
    """Return each distinct finding once, in the order of first appearance in ``reports``, its occurrences added up."""
    together: dict[str, list[ReportFinding]] = {}
    for report in reports:
        for finding in report.findings:
            together.setdefault(finding.fingerprint, []).append(finding)
    return tuple(_merged(each) for each in together.values())


def _merged(same: Sequence[ReportFinding]) -> ReportFinding:
    told = min(same, key=lambda finding: _WEIGHT.index(finding.status))
    return replace(
        same[0],
        occurrences=sum(finding.occurrences for finding in same),
        sources=tuple(place for finding in same for place in finding.sources),
        python_stack=next((finding.python_stack for finding in same if finding.python_stack), None),
        truncated=all(finding.truncated for finding in same),
        status=told.status,
        reason=told.reason,
        link=told.link,
        expires=told.expires,
    )
