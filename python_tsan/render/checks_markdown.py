"""Render the checks of a run as Markdown, for a job summary on GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.render.escape import markdown
from python_tsan.render.summary import conclusion, detection_line, lane_line, replaced_line, seen, tally, wants_reading
from python_tsan.render.table import markdown_table
from python_tsan.result.model import Status, Verdict

if TYPE_CHECKING:
    from python_tsan.result.model import LaneRecord, Result


def render_markdown(run: Result) -> str:
    """Return a run as Markdown: the conclusion, each lane with its table, then the reasons that need reading."""
    lines = [f"### ThreadSanitizer: {markdown(conclusion(run))}", ""]
    replaced = replaced_line(run)
    if replaced:
        lines += [f"> {markdown(replaced)}", ""]
    for record in run.lanes:
        lines += [*_lane(record, run.of(record.lane)), ""]
    machine = run.provenance.machine if run.provenance else None
    lines.append(f"Run `{run.id}`, kernel {markdown(machine.kernel if machine else 'unknown')}, {run.seconds:.0f} s.")
    return "\n".join(lines) + "\n"


def _lane(record: LaneRecord, verdicts: tuple[Verdict, ...]) -> list[str]:
    lines = [f"**{markdown(lane_line(record))}**", ""]
    if record.blind_spot:
        lines += [f"Cannot see: {markdown(record.blind_spot)}.", ""]
    if not verdicts:
        return lines
    columns = ("check", "expected", "matched", "s", "verdict")
    lines += markdown_table(columns, map(_row, verdicts), right={2, 3})
    lines += ["", ". ".join(filter(None, (tally(verdicts), markdown(detection_line(verdicts))))) + "."]
    reasons = [f"- **{markdown(one.check)}**: {markdown(one.reason)}" for one in verdicts if wants_reading(one)]
    return [*lines, *(["", *reasons] if reasons else [])]


def _row(verdict: Verdict) -> tuple[str, ...]:
    return (
        markdown(verdict.check),
        verdict.expectation.outcome.value,
        seen(verdict),
        f"{verdict.seconds:.1f}",
        f"**{verdict.status.value}**" if verdict.status is not Status.PASSED else verdict.status.value,
    )
