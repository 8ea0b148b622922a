"""Own a scan as Markdown, for job summaries and pages; leave writing it to the verb. Pure, no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.imports import wording
from python_tsan.render.markdown import code, escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.imports.document import Document, HazardRecord, ThreadRecord

MOST_DETAILS = 10  # a job's summary may hold one megabyte, and nobody reads more


def render_markdown(document: Document) -> str:
    """Return a scan as Markdown: the sentence, the entries that failed, the table, and the first hazards in full."""
    return "\n".join(_lines(document)).rstrip("\n")


def _lines(document: Document) -> Iterator[str]:
    yield f"{escape(wording.summary(document))}."
    if document.problems:
        yield from ("", "| entry | problem |", "| --- | --- |")
        yield from (f"| {code(entry)} | {escape(text)} |" for entry, text in document.problems.items())
    if not document.hazards:
        return
    yield from ("", "| T1 imports | T2 imports | outcome | runs | what removes it |", f"{'| --- ' * 5}|")
    yield from (_row(hazard) for hazard in document.hazards)
    common = wording.common_folder(document)
    yield from ("", f"{escape(wording.ONCE.capitalize())}.")
    for hazard in document.hazards[:MOST_DETAILS]:
        yield ""
        yield from _details(hazard, common)


def _row(hazard: HazardRecord) -> str:
    one, two = hazard.threads
    cure = f"import {', or '.join(map(code, hazard.removed_by))} first" if hazard.removed_by else ""
    cells = (code(one.imports), code(two.imports), hazard.outcome.value, wording.answer(hazard), cure)
    return f"| {' | '.join(cells)} |"


def _details(hazard: HazardRecord, common: str) -> Iterator[str]:
    yield from (f"<details><summary>{_names(hazard)}</summary>", "")
    for thread in hazard.threads:
        yield f"- {thread.thread} holds {code(thread.holds)} and wants {code(thread.waits_for)}"
        yield from (f"  - {line}" for line in _chain(thread, common))
    if hazard.proof:
        yield f"- {escape(wording.verdict(hazard.proof))}"
        if hazard.proof.error:
            yield f"  - {escape(hazard.proof.error)}"
        yield from (f"  - {escape(wording.waits(edge))}" for edge in hazard.proof.graph)
    if hazard.window:
        yield f"- {escape(wording.window(hazard))}"
    yield from ("", "</details>")


def _names(hazard: HazardRecord) -> str:
    one, two = hazard.threads
    return f"{code(one.imports)} against {code(two.imports)}: {wording.answer(hazard)}"


def _chain(thread: ThreadRecord, common: str) -> Iterator[str]:
    for link in thread.chain:
        asked = f": {code(link.where.removeprefix(common))} {code(link.statement)}" if link.where else ""
        yield f"{code(link.module)}{asked}"
