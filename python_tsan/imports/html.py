"""Render a scan of imports as one offline page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from python_tsan.imports import wording
from python_tsan.imports.confirm.proof import Answer
from python_tsan.imports.lock_graph import lock_graph
from python_tsan.render.page import page_template

if TYPE_CHECKING:
    from python_tsan.imports.document import Document, HazardRecord
    from python_tsan.render.registry import Context

MOST_CARDS = 200  # a browser begins to be slow beyond it; all are in the JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardView:
    """A hazard ready to be shown."""

    hazard: HazardRecord
    picture: Markup


def render(document: Document, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the page."""
    return page_template("python_tsan.imports", "imports.html.j2").render(
        document=document,
        summary=wording.summary(document),
        tone=_tone(document),
        hazards=[_view(hazard) for hazard in document.hazards[:MOST_CARDS]],
        more=max(0, len(document.hazards) - MOST_CARDS),
        common=wording.common_folder(document),
        words=wording,
        confirmed=Answer.CONFIRMED,
    )


def _view(hazard: HazardRecord) -> HazardView:
    picture = Markup(lock_graph(hazard))  # noqa: S704 -- lock_graph escapes every text that it puts in
    return HazardView(hazard=hazard, picture=picture)


def _tone(document: Document) -> str:
    if any(hazard.answer is Answer.CONFIRMED for hazard in document.hazards):
        return "bad"
    return "doubt" if document.standing or document.problems or document.unfinished or document.doubts else "good"
