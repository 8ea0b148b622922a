"""Render a scan of imports for a terminal: a table, and what is behind each hazard, at 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.imports import wording
from python_tsan.plain_text import text_table, wrapped
from python_tsan.render.lines import Line, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.imports.confirm import Proof
    from python_tsan.imports.document import Document, HazardRecord, ThreadRecord
    from python_tsan.render.registry import Context

MOST_ROWS, MOST_DETAILS, MOST_LINES = 40, 6, 12
_NAME = 23  # of a module in the table: two of them, the number, outcome and answer fit into the width


def render(document: Document, context: Context) -> str:  # noqa: ARG001 -- the shape of a Renderer
    """Return the table of hazards, the first of them in full, and the sentence that sums it up."""
    return as_text(map(Line, _lines(document)))


def _lines(document: Document) -> list[str]:
    lines: list[str] = []
    if document.hazards:
        lines += [*_table(document), "", *_wrapped(wording.ONCE), ""]
    common = wording.common_folder(document)
    if common:
        lines += [f"places are below {common}", ""]
    for number, hazard in enumerate(document.hazards[:MOST_DETAILS], start=1):
        lines += [*_details(number, hazard, common), ""]
    left = len(document.hazards) - MOST_DETAILS
    if left > 0:
        lines += [f"{left:,} more in full by --format html or json", ""]
    for each in document.doubts:
        lines += [*_wrapped(f"{each.entry}: {wording.doubt(each)}"), ""]
    return lines + _wrapped(wording.summary(document))


def _table(document: Document) -> list[str]:
    rows = [
        (
            f"{number}",
            *(wording.short(thread.imports, _NAME) for thread in hazard.threads),
            hazard.outcome.value,
            wording.answer(hazard),
        )
        for number, hazard in enumerate(document.hazards[:MOST_ROWS], start=1)
    ]
    table = text_table(("", "T1 imports", "T2 imports", "outcome", "runs"), rows, rule=True)
    lines = [line for row in table for line in row]
    left = len(document.hazards) - MOST_ROWS
    return [*lines, f"and {left:,} more"] if left > 0 else lines


def _details(number: int, hazard: HazardRecord, common: str) -> Iterator[str]:
    yield from _wrapped(f"{number}  {wording.pair(hazard)}: {wording.OUTCOMES[hazard.outcome]}")
    stacks = {stack.thread: stack for stack in hazard.proof.stacks} if hazard.proof else {}
    for thread in hazard.threads:
        yield from _wrapped(f"{wording.position(thread)}, by", indent="   ")
        if thread.thread in stacks:
            frames = stacks[thread.thread].frames
            lines = [f"{frame.file}:{frame.line} in {frame.function}: {frame.text}" for frame in frames]
        else:
            lines = list(_chain(thread))
        yield f"     its own {wording.own(thread)}"
        for line in (*_folded(lines), *wording.bindings(thread)):
            yield from _wrapped(line.replace(common, ""), indent="     ")
    if hazard.proof:
        yield from _proof(hazard.proof, common)
    if hazard.window:
        yield from _wrapped(f"what opens it: {wording.window(hazard)}", indent="   ")
    if fix := wording.fix(hazard):
        yield from _wrapped(f"what removes it: {fix}", indent="   ")


def _chain(thread: ThreadRecord) -> Iterator[str]:
    for link in thread.chain:
        if link.where:
            yield f"{link.where}: {link.statement}"
        elif link.module != thread.imports:
            yield f"{link.module}, as the parent of the one before"
    if thread.asks:
        yield f"{thread.asks.where}: {thread.asks.statement}"


def _folded(lines: list[str]) -> list[str]:
    """Leave out the middle of a long chain: its two ends say who closes the cycle."""
    if len(lines) <= MOST_LINES:
        return lines
    half = MOST_LINES // 2
    return [*lines[:half], f"… {len(lines) - 2 * half} more …", *lines[-half:]]


def _proof(proof: Proof, common: str) -> Iterator[str]:
    yield from _wrapped(wording.verdict(proof), indent="   ")
    if proof.error:
        yield from _wrapped(f"{proof.thread or 'the last run'}: {proof.error}", indent="     ")
    if proof.where:
        yield f"     at {proof.where.removeprefix(common)}"
    for edge in proof.graph:
        yield from _wrapped(wording.waits(edge), indent="     ")


def _wrapped(text: str, *, indent: str = "") -> list[str]:
    return wrapped(text, head=indent, indent=indent + "  ")
