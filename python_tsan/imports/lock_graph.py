"""Draw a hazard: the locks that each thread takes in order, and the two arrows that close the cycle. Pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from python_tsan.imports.wording import short
from python_tsan.render.drawing import ARROW, WIDTH, label, svg
from python_tsan.render.escape import html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.imports.document import HazardRecord, ThreadRecord

_THEN = ("then", "creates-dot", 7)
BOX, HEIGHT, STEP = 292, 28, 48
COLUMNS = (16, WIDTH - 16 - BOX)
TOP = 52
MOST_BOXES = 9
LABEL = 38  # characters of 12 pixels that fit into a box
FOLD = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """The boxes of one thread, from the lock that it takes first to the last; ``ys`` are their middles."""

    thread: ThreadRecord
    x: int
    modules: tuple[str, ...]

    @property
    def ys(self) -> dict[str, int]:
        return {module: TOP + HEIGHT // 2 + STEP * index for index, module in enumerate(self.modules)}


def lock_graph(hazard: HazardRecord) -> str:
    """Return an SVG element: a column of locks for each thread, and who waits for which lock of the other."""
    one, two = (
        _Column(thread=thread, x=x, modules=_boxes(thread)) for thread, x in zip(hazard.threads, COLUMNS, strict=True)
    )
    rows = max(len(one.modules), len(two.modules))
    height = TOP + STEP * rows + 8
    parts = [
        *_waiting(one, two, leftwards=False),
        *_waiting(two, one, leftwards=True),
        *(part for column in (one, two) for part in _draw(column)),
    ]
    title = f"Locks that {one.thread.imports} and {two.thread.imports} take, and the cycle that they close"
    return svg(height, title, parts, style="picture locks", heads=(ARROW, _THEN))


def _boxes(thread: ThreadRecord) -> tuple[str, ...]:
    """Return the modules whose locks a thread takes; the middle of a long chain gives way, the held one never does."""
    modules = list(dict.fromkeys(link.module for link in thread.chain))
    if thread.holds not in modules:
        modules.append(thread.holds)
    if len(modules) <= MOST_BOXES:
        return tuple(modules)
    last = len(modules) - 1
    near = modules.index(thread.holds)
    kept = {0, 1, near, last, last - 1, last - 2, min(near + 1, last)}
    folded: list[str] = []
    for index, module in enumerate(modules):
        if index in kept:
            folded.append(module)
        elif not folded[-1].startswith(FOLD):
            skipped = next(each for each in range(index, last + 1) if each in kept) - index
            folded.append(f"{FOLD} {skipped} more")
    return tuple(folded)


def _draw(column: _Column) -> Iterator[str]:
    thread, middle = column.thread, column.x + BOX // 2
    yield label(middle, 20, f"{thread.thread} imports {short(thread.imports, 30)}", "thread", anchor="middle")
    yield label(middle, 38, "and takes these locks, from the top", "caption", anchor="middle")
    for above, below in pairwise(column.ys.values()):
        yield (
            f'<path class="then" marker-end="url(#then)" '
            f'd="M{middle} {above + HEIGHT // 2} V{below - HEIGHT // 2 - 2}"/>'
        )
    for module, y in column.ys.items():
        if module.startswith(FOLD):
            yield label(middle, y + 4, module, "caption", anchor="middle")
            continue
        kind = "held" if module == thread.holds else "lock"
        yield (
            f'<rect class="{kind}" x="{column.x}" y="{y - HEIGHT // 2}" width="{BOX}" height="{HEIGHT}" rx="6">'
            f"<title>{html(module)}</title></rect>"
        )
        yield label(middle, y + 4, short(module, LABEL), "function", anchor="middle")


def _waiting(asker: _Column, owner: _Column, *, leftwards: bool) -> Iterator[str]:
    """Draw the arrow from the last lock that ``asker`` took to the one of ``owner`` that it waits for."""
    start = list(asker.ys.values())[-1]
    end = owner.ys.get(asker.thread.waits_for)
    if end is None:
        return
    from_x, to_x = (asker.x, owner.x + BOX + 4) if leftwards else (asker.x + BOX, owner.x - 4)
    # The two arrows of two short chains would lie on each other.
    shift = 7 if leftwards else -7
    bend = (to_x - from_x) // 2
    yield (
        f'<path class="edge" marker-end="url(#arrow)" d="M{from_x} {start + shift}'
        f' C{from_x + bend} {start + shift}, {to_x - bend} {end + shift}, {to_x} {end + shift}"/>'
    )
    height = (start + end) // 2 + shift + (18 if leftwards else -8)
    yield label((from_x + to_x) // 2, height, f"{asker.thread.thread} waits for", "clash-text", anchor="middle")
