"""Render a scan of imports as Markdown, for job summaries and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.imports import wording
from python_tsan.render.escape import markdown, markdown_code
from python_tsan.render.table import markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.imports.document import Document, HazardRecord, ThreadRecord
    from python_tsan.render.registry import Context

MOST_DETAILS = 10  # a job's summary may hold one megabyte, and nobody reads more


def render(document: Document, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the sentence, what could not be scanned, the table, and the first hazards in full."""
    return "\n".join(_lines(document)).rstrip("\n") + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield f"{markdown(wording.summary(document))}."
    if document.problems or document.doubts:
        texts = [*document.problems.items(), *((each.entry, wording.doubt(each)) for each in document.doubts)]
        rows = ((markdown_code(entry), markdown(text)) for entry, text in texts)
        yield from ("", *markdown_table(("name", "problem"), rows))
    if not document.hazards:
        return
    columns = ("T1 imports", "T2 imports", "outcome", "runs", "what removes it")
    yield from ("", *markdown_table(columns, map(_row, document.hazards)))
    common = wording.common_folder(document)
    yield from ("", f"{markdown(wording.ONCE.capitalize())}.")
    for hazard in document.hazards[:MOST_DETAILS]:
        yield ""
        yield from _details(hazard, common)


def _row(hazard: HazardRecord) -> tuple[str, ...]:
    one, two = hazard.threads
    fix = f"import {', or '.join(map(markdown_code, hazard.removed_by))} first" if hazard.removed_by else ""
    return (markdown_code(one.imports), markdown_code(two.imports), hazard.outcome.value, wording.answer(hazard), fix)


def _details(hazard: HazardRecord, common: str) -> Iterator[str]:
    one, two = hazard.threads
    names = f"{markdown_code(one.imports)} against {markdown_code(two.imports)}: {wording.answer(hazard)}"
    yield from (f"<details><summary>{names}</summary>", "")
    for thread in hazard.threads:
        holds, waits_for = markdown_code(thread.holds), markdown_code(thread.waits_for)
        yield f"- {markdown(thread.thread)} holds {holds} and waits for {waits_for}"
        yield from (f"  - {line}" for line in _chain(thread, common))
    if hazard.proof:
        yield f"- {markdown(wording.verdict(hazard.proof))}"
        if hazard.proof.error:
            yield f"  - {markdown(hazard.proof.error)}"
        yield from (f"  - {markdown(wording.waits(edge))}" for edge in hazard.proof.graph)
    if hazard.window:
        yield f"- {markdown(wording.window(hazard))}"
    yield from ("", "</details>")


def _chain(thread: ThreadRecord, common: str) -> Iterator[str]:
    for link in thread.links:
        where, statement = markdown_code(link.where.removeprefix(common)), markdown_code(link.statement)
        yield f"{markdown_code(link.module)}{f': {where} {statement}' if link.where else ''}"
    yield from (markdown(line.replace(common, "")) for line in wording.bindings(thread))
