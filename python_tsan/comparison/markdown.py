"""Render a comparison as Markdown, for job summaries on GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_tsan.comparison import wording
from python_tsan.render.escape import markdown
from python_tsan.render.table import markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.comparison.model import Comparison
    from python_tsan.render.registry import Context


def render(comparison: Comparison, context: Context) -> str:
    """Return the comparison: the runs, what differs (verbose: every row) and what that means."""
    lines = [f"### python-tsan, compared: {markdown(wording.headline(comparison))}", ""]
    alike = wording.shared(comparison)
    lines += [f"{markdown(wording.verdicts(comparison))}{f'; {markdown(alike)}' if alike else ''}.", ""]
    axes = wording.varying(comparison)
    headings, runs = wording.run_table(comparison, axes)
    lines += _table(
        (*headings[:-1], "checks", headings[-1]),
        (
            (*run[:-1], wording.checks_met(comparison, column), run[-1])
            for run, column in zip(runs, comparison.columns, strict=True)
        ),
    )
    rows = [row for row in comparison.rows if context.verbose or row.id in set(comparison.differing)]
    if rows:
        numbers = tuple(str(number) for number in range(1, len(comparison.columns) + 1))
        seen = ((row.title, [column.cells.get(row.id) for column in comparison.columns]) for row in rows)
        words = ((title, *(cell.marked(cell.seen.value) if cell else "-" for cell in cells)) for title, cells in seen)
        lines += ["", *_table(("", *numbers), words), "", markdown(wording.CAPITALS)]
    lines += ["", *_meanings(comparison)]
    for heading, sentences in wording.sections(comparison):
        lines += ["", f"**{markdown(heading)}**", "", *(f"- {markdown(sentence)}" for sentence in sentences)]
    return "\n".join(lines) + "\n"


def _meanings(comparison: Comparison) -> Iterator[str]:
    if not comparison.meanings:
        yield markdown(wording.NOTHING_CHANGES)
    for number, (heading, meanings) in enumerate(wording.meanings_by_step(comparison)):
        # Without an empty line before it, it would be a part of the list above.
        yield from (*([""] if number else []), f"**{markdown(heading)}**", "")
        for meaning in meanings:
            link = f" [More]({meaning.link})." if meaning.link else ""
            yield (
                f"- {markdown(wording.meaning_words(meaning, comparison))}. {markdown(meaning.says)} "
                f"**Do:** {markdown(meaning.do)}{link}"
            )


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    return markdown_table(map(markdown, headings), (map(markdown, row) for row in rows))
