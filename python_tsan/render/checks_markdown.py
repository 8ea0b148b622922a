"""Own the job summary of a run in GitHub's Markdown; leave writing the file to its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.checking.model import Status, Verdict
from python_tsan.render.markdown import escape
from python_tsan.render.summary import conclusion, detection_line, lane_line, replaced_line, seen, tally, wants_reading

if TYPE_CHECKING:
    from python_tsan.render.run import LaneRecord, Run


def render_markdown(run: Run) -> str:
    """Return a run as Markdown: the conclusion, each lane with its table, then the reasons that need reading."""
    lines = [f"### ThreadSanitizer: {escape(conclusion(run))}", ""]
    replaced = replaced_line(run)
    if replaced:
        lines += [f"> {escape(replaced)}", ""]
    for record in run.lanes:
        lines += [*_lane(record, run.of(record.lane)), ""]
    lines.append(f"Run `{run.id}`, kernel {escape(run.provenance.machine.kernel)}, {run.seconds:.0f} s.")
    return "\n".join(lines) + "\n"


def _lane(record: LaneRecord, verdicts: tuple[Verdict, ...]) -> list[str]:
    lines = [f"**{escape(lane_line(record))}**", ""]
    if record.blind_spot:
        lines += [f"Cannot see: {escape(record.blind_spot)}.", ""]
    if not verdicts:
        return lines
    lines += ["| check | expected | as told | s | verdict |", "| --- | --- | ---: | ---: | --- |"]
    lines += [_row(verdict) for verdict in verdicts]
    lines += ["", ". ".join(filter(None, (tally(verdicts), escape(detection_line(verdicts))))) + "."]
    reasons = [f"- **{escape(one.check)}**: {escape(one.reason)}" for one in verdicts if wants_reading(one)]
    return [*lines, *(["", *reasons] if reasons else [])]


def _row(verdict: Verdict) -> str:
    cells = (
        escape(verdict.check),
        verdict.expectation.outcome.value,
        seen(verdict),
        f"{verdict.seconds:.1f}",
        f"**{verdict.status.value}**" if verdict.status is not Status.PASSED else verdict.status.value,
    )
    return f"| {' | '.join(cells)} |"
