"""Own the page of a scan: one file that needs no network; leave its looks to the template, its words to wording."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from python_tsan.imports import wording
from python_tsan.imports.lock_graph import lock_graph
from python_tsan.imports.proof import Answer

if TYPE_CHECKING:
    from python_tsan.imports.document import Document, HazardTold

MOST_CARDS = 200  # a browser begins to be slow beyond it; all are in the JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleView:
    """The hazards that close one cycle, ready to be shown: the first in full, the others by the pair of imports."""

    hazard: HazardTold
    others: tuple[HazardTold, ...]
    picture: Markup


def render_html(document: Document) -> str:
    """Return the page."""
    cycles = wording.cycles(document)
    return _template().render(
        document=document,
        summary=wording.summary(document),
        tone=_tone(document),
        cycles=[_view(group) for group in cycles[:MOST_CARDS]],
        untold=max(0, len(cycles) - MOST_CARDS),
        common=wording.common_folder(document),
        words=wording,
        confirmed=Answer.CONFIRMED,
    )


def _view(group: tuple[HazardTold, ...]) -> CycleView:
    picture = Markup(lock_graph(group[0]))  # noqa: S704 -- lock_graph escapes every text that it puts in
    return CycleView(hazard=group[0], others=group[1:], picture=picture)


def _tone(document: Document) -> str:
    if any(hazard.answer is Answer.CONFIRMED for hazard in document.hazards):
        return "bad"
    return "doubt" if document.standing or document.problems else "good"


@cache
def _template() -> Template:
    environment = Environment(
        # The style sheet is the one of a report of ThreadSanitizer's findings.
        loader=ChoiceLoader([PackageLoader("python_tsan.imports"), PackageLoader("python_tsan.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("imports.html.j2")
