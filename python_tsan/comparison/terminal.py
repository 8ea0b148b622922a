"""Render a comparison for a terminal: styled lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from python_tsan.comparison import wording
from python_tsan.comparison.model import Axis, Cell, Comparison, RowKind, Seen
from python_tsan.plain_text import WIDTH, text_table
from python_tsan.render.lines import Line, Style, as_text, styled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.comparison.model import Row
    from python_tsan.render.registry import Context

# With this many runs or fewer, a word for each fits next to a check's name.
WORDY_COLUMNS = 7
_NAME = 34
_WORDS = {
    Seen.DOUBT: "doubt",
    Seen.CRASH: "crash",
    Seen.HANG: "hang",
    Seen.RACE: "race",
    Seen.LOCK_ORDER: "locks",
    Seen.FINDING: "found",
    Seen.ERROR: "error",
    Seen.OTHER: "wrong",
    Seen.CLEAN: "clean",
    Seen.SKIPPED: "-",
}
# Of many runs, a letter for each.
_LETTERS = {
    Seen.DOUBT: "?",
    Seen.CRASH: "x",
    Seen.HANG: "h",
    Seen.RACE: "r",
    Seen.LOCK_ORDER: "l",
    Seen.FINDING: "f",
    Seen.ERROR: "e",
    Seen.OTHER: "w",
    Seen.CLEAN: ".",
    Seen.SKIPPED: "-",
}
KEY = ". clean, r race, l lock order, f other finding, e error, h hang, x crash, w wrong result, ? doubt, - not run"


def render(comparison: Comparison, context: Context) -> str:
    """Return the comparison as text without colour."""
    return as_text(render_lines(comparison, whole=context.verbose))


def render_lines(comparison: Comparison, *, whole: bool = False) -> Iterator[Line]:
    """Yield the comparison: the runs, the rows that differ (``whole``: all rows), and what that means."""
    yield from styled(f"{wording.headline(comparison)} ({wording.verdicts(comparison)})", Style.TITLE)
    if alike := wording.shared(comparison):
        yield from styled(alike, Style.FAINT)
    yield Line("")
    yield from _runs(comparison)
    rows = [row for row in comparison.rows if whole or row.id in set(comparison.differing)]
    if rows:
        yield Line("")
        yield from _table(comparison, rows)
    yield from _meanings(comparison)
    for heading, sentences in wording.sections(comparison):
        yield Line("")
        yield from styled(heading, Style.TITLE)
        for sentence in sentences:
            yield from styled(sentence, indent="  ")


def _runs(comparison: Comparison) -> Iterator[Line]:
    """Yield each run with what sets it apart; the JSON and the page have more."""
    axes = [axis for axis in wording.varying(comparison) if axis is not Axis.NUMPY] or [Axis.PYTHON]
    columns, rows = wording.run_table(comparison, axes)
    for lines in text_table(columns, rows, width=WIDTH):
        yield from map(Line, lines)


def _table(comparison: Comparison, rows: Sequence[Row]) -> Iterator[Line]:
    count = len(comparison.columns)
    wordy = count <= WORDY_COLUMNS
    if wordy:
        yield Line(f"{'':{_NAME}}" + "".join(f"{number:>6}" for number in range(1, count + 1)), Style.TITLE)
    else:
        yield from styled(KEY, Style.FAINT)
        yield from _numbers(count)
    for row in rows:
        cells = [column.cells.get(row.id) for column in comparison.columns]
        yield from _row(row, cells, wordy=wordy)
    yield Line(wording.CAPITALS, Style.FAINT)


def _numbers(count: int) -> Iterator[Line]:
    """Yield the columns' numbers, tens above units, cut where the letters are."""
    units = "".join(str(number % 10) for number in range(1, count + 1))
    tens = "".join(str(number // 10) if number % 10 == 0 else " " for number in range(1, count + 1))
    for text in (tens, units):
        yield Line(f"{'':{_NAME}}{text[: WIDTH - _NAME]}".rstrip(), Style.TITLE)


def _row(row: Row, cells: Sequence[Cell | None], *, wordy: bool) -> Iterator[Line]:
    title = row.title if row.kind is not RowKind.FINDING else f"{row.title} [{row.id[:6]}]"
    style = Style.BAD if any(cell and not cell.as_expected and cell.seen.compares for cell in cells) else Style.PLAIN
    fits = len(title) < _NAME
    if not fits:
        yield from styled(title)
    name = title if fits else ""
    if wordy:
        words = (cell.marked(_WORDS[cell.seen]) if cell else "-" for cell in cells)
        yield Line(f"{name:{_NAME}}{''.join(f'{word:>6}' for word in words)}".rstrip(), style)
        return
    letters = "".join(_letter(cell) if cell else "-" for cell in cells)
    for chunk in textwrap.wrap(letters, WIDTH - _NAME):
        yield Line(f"{name:{_NAME}}{chunk}".rstrip(), style)
        name = ""


def _letter(cell: Cell) -> str:
    letter = cell.marked(_LETTERS[cell.seen])
    # A full stop has no capital: clean where something was expected is a missing finding.
    return letter if cell.as_expected else letter.replace(".", "C")


def _meanings(comparison: Comparison) -> Iterator[Line]:
    yield Line("")
    if not comparison.meanings:
        yield from styled(wording.NOTHING_CHANGES)
        return
    yield Line("What that means", Style.TITLE)
    for number, (heading, meanings) in enumerate(wording.meanings_by_step(comparison)):
        if number:
            yield Line("")
        yield Line(heading, Style.TITLE)
        for meaning in meanings:
            yield from styled(wording.meaning_words(meaning, comparison), indent="  ")
            yield from styled(meaning.says, indent="    ")
            yield from styled(f"Do: {meaning.do}", indent="    ")
            if meaning.link:
                yield Line(f"    {meaning.link}", Style.FAINT)
