"""Render a result as one offline page: a row for each cause, and a folded card for each finding."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from markupsafe import Markup
from msgspec import Struct

from python_tsan.plain_text import counted
from python_tsan.render import checks, wording
from python_tsan.render.advice import Program, advice, program_of
from python_tsan.render.causes import causes, ordered
from python_tsan.render.circumstances import circumstances
from python_tsan.render.explain import KindText, kind_text
from python_tsan.render.page import page_template
from python_tsan.render.stack import Gap, frame_name, frame_place, trim
from python_tsan.render.svg import picture, wait_picture
from python_tsan.result.model import VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.render.causes import Cause
    from python_tsan.render.registry import Context, SourceLines
    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import LaneRecord, Result, Verdict
    from python_tsan.tsan.finding import Frame, Kind

MAX_PLACES = 20
# Around a page of this size a browser begins to be slow; raw blocks and findings beyond it are in the JSON.
MAX_RAW = 40_000
MAX_CARDS = 500


class FrameView(Struct, frozen=True, kw_only=True):
    """A frame, or a run of frames that a reader may unfold, ready to be shown. ``source`` are numbered lines."""

    name: str = ""
    place: str = ""
    line: int = 0
    source: tuple[tuple[int, str], ...] = ()
    folded: tuple[FrameView, ...] = ()


class PanelView(Struct, frozen=True, kw_only=True):
    """A stack with its caption, ready to be shown."""

    caption: str
    frames: tuple[FrameView, ...]


class FindingView(Struct, frozen=True, kw_only=True):
    """A finding ready to be shown."""

    finding: DistinctFinding
    headline: str
    between: str
    picture: Markup
    primary: tuple[PanelView, ...]
    others: tuple[PanelView, ...]
    evidence: str
    fix: str
    places: tuple[str, ...]
    more_places: int
    raw: str


class CauseView(Struct, frozen=True, kw_only=True):
    """Findings of one cause, ready to be shown. ``title`` is empty for one alone."""

    title: str
    views: tuple[FindingView, ...]
    fails: bool
    occurrences: int


class LaneView(Struct, frozen=True, kw_only=True):
    """The checks of one lane, ready to be shown."""

    title: str
    blind_spot: str
    tally: str
    rows: tuple[tuple[str, ...], ...]
    reasons: tuple[tuple[str, str], ...]


class Filter(Struct, frozen=True, kw_only=True):
    """One group of switches: the attribute it looks at, and each value with its number of findings."""

    name: str
    values: tuple[tuple[str, int], ...]


def render(result: Result, context: Context) -> str:
    """Return the page, with a card for each of the first findings and the names of the others."""
    findings = tuple(ordered(result.findings))
    shown, others = findings[:MAX_CARDS], findings[MAX_CARDS:]
    program = program_of(result)
    return page_template("python_tsan.render", "report.html.j2").render(
        result=result,
        lanes=[_lane(record, result.of(record.lane)) for record in result.lanes],
        conclusion=wording.conclusion(result),
        tally=wording.tally(result),
        unknown_owner=wording.unknown_owner(result),
        tone=_tone(result),
        filters=tuple(_filters(shown)),
        causes=[_cause(cause, context.source_lines, program) for cause in causes(shown)],
        others=[
            (each.fingerprint, f"{each.occurrences:,}", wording.subject_words(each), wording.place_words(each))
            for each in others
        ],
        kinds=_kinds(result),
        circumstances=tuple(circumstances(result)),
        # Of the first run that hung; svg escapes every text that it puts in.
        waits=Markup(wait_picture(next((each.wait_graph for each in result.observations if each.wait_graph), ()))),  # noqa: S704
        counted=counted,
    )


def _lane(record: LaneRecord, verdicts: tuple[Verdict, ...]) -> LaneView:
    return LaneView(
        title=checks.lane_line(record),
        blind_spot=record.blind_spot,
        tally="; ".join(filter(None, (checks.tally(verdicts), checks.detection_line(verdicts)))) if verdicts else "",
        rows=tuple(checks.row(verdict) for verdict in verdicts),
        reasons=tuple((each.check, each.reason) for each in verdicts if checks.needs_reading(each)),
    )


def _tone(result: Result) -> str:
    match result.verdict.status:
        case VerdictStatus.CLEAN:
            return "good"
        case VerdictStatus.FINDINGS:
            return "bad"
        case _:
            return "doubt"


def _filters(findings: tuple[DistinctFinding, ...]) -> Iterator[Filter]:
    for name, values in (
        ("kind", [finding.kind.value for finding in findings]),
        ("whose", [finding.attribution.value for finding in findings]),
        ("status", [finding.status.value for finding in findings]),
    ):
        yield Filter(name=name, values=tuple(Counter(values).most_common()))


def _kinds(result: Result) -> list[KindText]:
    kinds: dict[Kind, None] = dict.fromkeys(finding.kind for finding in result.findings)
    return [kind_text(kind) for kind in kinds]


def _cause(cause: Cause, source_lines: SourceLines, program: frozenset[Program]) -> CauseView:
    return CauseView(
        title=cause.title,
        views=tuple(_view(finding, source_lines, program) for finding in cause.findings),
        fails=any(finding.status.fails for finding in cause.findings),
        occurrences=sum(finding.occurrences for finding in cause.findings),
    )


def _view(finding: DistinctFinding, source_lines: SourceLines, program: frozenset[Program]) -> FindingView:
    views = [
        (panel.primary, PanelView(caption=panel.caption, frames=tuple(_frames(panel, source_lines))))
        for panel in wording.panels(finding)
    ]
    primary = tuple(view for is_primary, view in views if is_primary)
    others = tuple(view for is_primary, view in views if not is_primary)
    return FindingView(
        finding=finding,
        headline=wording.headline(finding),
        between=wording.place_words(finding),
        picture=Markup(picture(finding)),  # noqa: S704 -- svg escapes every text that it puts in
        primary=primary or others,
        others=others if primary else (),
        evidence=wording.evidence(finding),
        fix=advice(finding, program),
        places=tuple(f"{place.file}:{place.line}" for place in finding.sources[:MAX_PLACES]),
        more_places=max(0, len(finding.sources) - MAX_PLACES),
        raw=finding.raw[:MAX_RAW],
    )


def _frames(panel: wording.Panel, source_lines: SourceLines) -> Iterator[FrameView]:
    if panel.stack is None:
        return
    frames = list(panel.stack.frames)
    for kept in trim(panel.stack):
        if isinstance(kept, Gap):
            yield FrameView(folded=tuple(_frame(frame) for frame in frames[: kept.count]))
            del frames[: kept.count]
        else:
            yield _frame(frames.pop(0), source_lines)


def _frame(frame: Frame, source_lines: SourceLines | None = None) -> FrameView:
    return FrameView(
        name=frame_name(frame),
        place=frame_place(frame),
        line=frame.line,
        source=source_lines(frame.file, frame.line) if source_lines else (),
    )
