"""Render a scan of imports as one offline page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from python_tsan.imports import wording
from python_tsan.imports.confirm import Answer
from python_tsan.imports.lock_graph import lock_graph
from python_tsan.render.page import page_template

if TYPE_CHECKING:
    from python_tsan.imports.document import Document
    from python_tsan.render.registry import Context

MOST_CARDS = 200  # a browser begins to be slow beyond it; all are in the JSON


def render(document: Document, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the page."""
    return page_template("python_tsan.imports", "imports.html.j2").render(
        document=document,
        summary=wording.summary(document),
        tone=_tone(document),
        # lock_graph escapes every text that it puts in.
        hazards=[(hazard, Markup(lock_graph(hazard))) for hazard in document.hazards[:MOST_CARDS]],  # noqa: S704
        more=max(0, len(document.hazards) - MOST_CARDS),
        common=wording.common_folder(document),
        words=wording,
        confirmed=Answer.CONFIRMED,
    )


def _tone(document: Document) -> str:
    if any(hazard.answer is Answer.CONFIRMED for hazard in document.hazards):
        return "bad"
    return "doubt" if document.standing or document.problems or document.unfinished or document.doubts else "good"
