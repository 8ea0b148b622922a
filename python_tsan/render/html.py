"""Own the page of a report: one file that needs no network; leave its looks to the template, its words to wording."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from python_tsan.plain_text import counted
from python_tsan.render import wording
from python_tsan.render.circumstances import circumstances
from python_tsan.render.explain import KindText, kind_text
from python_tsan.render.page import page_template
from python_tsan.render.svg import picture
from python_tsan.report.model import VerdictStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from python_tsan.report.model import Report, ReportFinding
    from python_tsan.tsan.finding import Frame, Kind

    # (file, line) -> numbered lines around it, none when the file is not at hand
    SourceLines = Callable[[str, int], tuple[tuple[int, str], ...]]

MAX_PLACES = 20
# Around a page of this size a browser begins to be slow; raw blocks beyond it are in the JSON.
MAX_RAW = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameView:
    """A frame, or a run of frames that a reader may unfold, ready to be shown. ``source`` are numbered lines."""

    name: str = ""
    place: str = ""
    line: int = 0
    source: tuple[tuple[int, str], ...] = ()
    folded: tuple[FrameView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """A stack with its caption, ready to be shown."""

    caption: str
    frames: tuple[FrameView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingView:
    """A finding ready to be shown."""

    finding: ReportFinding
    headline: str
    picture: Markup
    telling: tuple[PanelView, ...]
    others: tuple[PanelView, ...]
    text: KindText
    places: tuple[str, ...]
    more_places: int
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One group of switches: the attribute it looks at, and each value with its number of findings."""

    name: str
    values: tuple[tuple[str, int], ...]


def render_html(report: Report, *, source_lines: SourceLines) -> str:
    """Return the page. ``source_lines`` gives the lines around a frame where its file is at hand."""
    return page_template("python_tsan.render", "report.html.j2").render(
        report=report,
        conclusion=wording.conclusion(report),
        tally=wording.tally(report),
        tone=_tone(report),
        filters=tuple(_filters(report.findings)),
        findings=[_view(finding, source_lines) for finding in report.findings],
        kinds=_kinds(report),
        circumstances=tuple(circumstances(report)),
        counted=counted,
    )


def _tone(report: Report) -> str:
    match report.verdict.status:
        case VerdictStatus.CLEAN:
            return "good"
        case VerdictStatus.FINDINGS:
            return "bad"
        case _:
            return "doubt"


def _filters(findings: tuple[ReportFinding, ...]) -> Iterator[Filter]:
    for name, values in (
        ("kind", [finding.kind.value for finding in findings]),
        ("whose", [finding.attribution.value for finding in findings]),
        ("status", [finding.status.value for finding in findings]),
    ):
        yield Filter(name=name, values=tuple(Counter(values).most_common()))


def _kinds(report: Report) -> list[KindText]:
    kinds: dict[Kind, None] = dict.fromkeys(finding.kind for finding in report.findings)
    return [kind_text(kind) for kind in kinds]


def _view(finding: ReportFinding, source_lines: SourceLines) -> FindingView:
    views = [
        (panel.telling, PanelView(caption=panel.caption, frames=tuple(_frames(panel, source_lines))))
        for panel in wording.panels(finding)
    ]
    telling = tuple(view for tells, view in views if tells)
    others = tuple(view for tells, view in views if not tells)
    return FindingView(
        finding=finding,
        headline=wording.headline(finding),
        picture=Markup(picture(finding)),  # noqa: S704 -- svg escapes every text that it puts in
        telling=telling or others,
        others=others if telling else (),
        text=kind_text(finding.kind),
        places=tuple(f"{place.file}:{place.line}" for place in finding.sources[:MAX_PLACES]),
        more_places=max(0, len(finding.sources) - MAX_PLACES),
        raw=finding.raw[:MAX_RAW],
    )


def _frames(panel: wording.Panel, source_lines: SourceLines) -> Iterator[FrameView]:
    if panel.stack is None:
        return
    frames = list(panel.stack.frames)
    for kept in wording.trim(panel.stack):
        if isinstance(kept, wording.Gap):
            yield FrameView(folded=tuple(_frame(frame) for frame in frames[: kept.count]))
            del frames[: kept.count]
        else:
            yield _frame(frames.pop(0), source_lines)


def _frame(frame: Frame, source_lines: SourceLines | None = None) -> FrameView:
    return FrameView(
        name=wording.frame_name(frame),
        place=wording.frame_place(frame),
        line=frame.line,
        source=source_lines(frame.file, frame.line) if source_lines else (),
    )
