"""Draw a finding: threads and accesses over time, and locks in a cycle."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.plain_text import counted
from python_tsan.render import wording
from python_tsan.render.drawing import WIDTH, label, svg
from python_tsan.render.names import lock_name, lock_of, thread_words
from python_tsan.render.stack import Gap, short_name, trim

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Waiter
    from python_tsan.tsan.finding import Access, Acquisition

LANE = 74
LEFT, RIGHT = 178, 744
# The earlier access is drawn before the one that completed the finding; threads start left of both.
_STARTS, _EARLIER, _LATER = 214, 368, 612
_HALF = 96
_LABEL = 24
_MARGIN = 52
_MOST_ROWS = 12


class _Lane(Struct, frozen=True, kw_only=True):
    thread: int
    label: str
    y: int
    parent_y: int | None


def picture(finding: DistinctFinding) -> str:
    """Return an SVG element that shows ``finding``, or an empty string where a picture would show nothing."""
    if finding.acquisitions and finding.cycle:
        return _locks(finding)
    if len(finding.accesses) > 1:
        return _race(finding)
    return ""


_ROW, _TOP = 58, 40
_THREADS, _LOCKS, _BOX = 150, 600, 120


def wait_picture(graph: Sequence[Waiter]) -> str:
    """Return an SVG element that shows who holds and who waits for what: threads left, locks right; empty without."""
    waits = [each for each in graph if each.waits_for or each.holds][:_MOST_ROWS]
    locks = list(dict.fromkeys(lock for each in waits for lock in (each.waits_for, *each.holds) if lock))
    if not any(each.waits_for for each in waits):
        return ""
    rows = {lock: _TOP + _ROW * number for number, lock in enumerate(locks)}
    stuck = {each.thread for each in waits if each.stuck}
    parts: list[str] = []
    for number, each in enumerate(waits):
        parts += _draw_waiter(each, _TOP + _ROW * number, rows, stuck)
    for lock, y in rows.items():
        parts += [
            f'<rect class="mutex" x="{_LOCKS - _BOX}" y="{y - 18}" width="{2 * _BOX}" height="36" rx="18"/>',
            label(_LOCKS, y + 5, _short(lock, 30), "letter-dark", anchor="middle"),
        ]
    return svg(_TOP + _ROW * max(len(waits), len(locks)), "Who holds and who waits for what", parts)


def _draw_waiter(waiter: Waiter, y: int, rows: Mapping[str, int], stuck: set[str]) -> Iterator[str]:
    for lock in waiter.holds:
        yield _arrow((_LOCKS - _BOX, rows[lock] + 6), (_THREADS + _BOX, y + 6), "edge holds")
    if waiter.waits_for:
        in_cycle = waiter.stuck and stuck.intersection(waiter.held_by)
        style = "edge" if in_cycle else "edge waits"
        yield _arrow((_THREADS + _BOX, y - 6), (_LOCKS - _BOX, rows[waiter.waits_for] - 6), style)
    yield f'<rect class="who" x="{_THREADS - _BOX}" y="{y - 18}" width="{2 * _BOX}" height="36" rx="6"/>'
    yield label(_THREADS, y + 5, _short(waiter.thread, 30), "thread", anchor="middle")


def _arrow(start: tuple[int, int], end: tuple[int, int], style: str) -> str:
    (x1, y1), (x2, y2), middle = start, end, (start[0] + end[0]) // 2
    return f'<path class="{style}" marker-end="url(#arrow)" d="M{x1} {y1} C{middle} {y1}, {middle} {y2}, {x2} {y2}"/>'


def _race(finding: DistinctFinding) -> str:
    lanes = _lanes(finding)
    height = lanes[-1].y + 52
    earlier, later = sorted(finding.accesses[:2], key=lambda access: not access.previous)
    marks = [(earlier, _EARLIER), (later, _LATER)]
    rows = {lane.thread: lane.y for lane in lanes}
    (x1, y1), (x2, y2) = ((x, rows[_number(access)]) for access, x in marks)
    parts = [
        *(part for lane in lanes for part in _draw_lane(lane)),
        f'<path class="clash" d="M{x1 + 13} {y1} C{(x1 + x2) // 2} {y1}, {(x1 + x2) // 2} {y2}, {x2 - 13} {y2}"/>',
        label((x1 + x2) // 2, (y1 + y2) // 2 - 6, "no order", "clash-text", anchor="middle"),
        *(part for access, x in marks for part in _draw_access(access, x, rows[_number(access)])),
    ]
    return svg(height, f"Threads over time: {wording.headline(finding)}", parts)


def _number(access: Access) -> int:
    return 0 if access.main_thread else access.thread


def _lanes(finding: DistinctFinding) -> list[_Lane]:
    """Return a lane for each thread that made an access, and above them one for a thread that created one of them."""
    numbers = list(dict.fromkeys(_number(access) for access in finding.accesses[:2]))
    parents = {thread.id: 0 if thread.parent_main else thread.parent for thread in finding.threads}
    creators = [parents[number] for number in numbers if parents.get(number) is not None]
    order = sorted(dict.fromkeys(number for number in (*creators, *numbers) if number is not None))
    rows = {number: 36 + LANE * index for index, number in enumerate(order)}
    return [
        _Lane(
            thread=number,
            label=thread_words(number, finding, main=number == 0),
            y=rows[number],
            parent_y=rows.get(parent) if (parent := parents.get(number)) is not None else None,
        )
        for number in order
    ]


def _draw_lane(lane: _Lane) -> Iterator[str]:
    start = _STARTS if lane.parent_y is not None else LEFT
    yield label(8, lane.y + 4, _short(lane.label), "thread")
    yield f'<line class="lane" x1="{start}" y1="{lane.y}" x2="{RIGHT}" y2="{lane.y}"/>'
    if lane.parent_y is not None:
        yield f'<path class="creates" d="M{_STARTS} {lane.parent_y} V{lane.y - 5}"/>'
        yield f'<circle class="creates-dot" cx="{_STARTS}" cy="{lane.y}" r="4"/>'


def _draw_access(access: Access, x: int, y: int) -> Iterator[str]:
    if access.mutexes:
        held = ", ".join(f"M{mutex.id}" for mutex in access.mutexes)
        yield f'<rect class="held" x="{x - _HALF}" y="{y - 15}" width="{2 * _HALF}" height="30" rx="15"/>'
        yield label(x - _HALF + 12, y + 4, _short(held, 10), "held-text")
    kind = "write" if access.operation.value == "write" else "read"
    yield f'<circle class="access {kind}" cx="{x}" cy="{y}" r="13"/>'
    yield label(x, y + 5, kind[0].upper(), "letter", anchor="middle")
    size = f", {counted(access.size, 'byte')}" if access.size is not None else ""
    yield label(x, y - 21, f"{'earlier ' if access.previous else ''}{access.side}{size}", "caption", anchor="middle")
    frames = [frame for frame in trim(access.stack) if not isinstance(frame, Gap)]
    name = short_name(frames[0]) if frames else "stack not restored"
    yield label(x, y + 31, _short(name, 32), "function", anchor="middle")


def _locks(finding: DistinctFinding) -> str:
    """Draw the mutexes of a cycle on a circle, an arrow from the one held to the one taken."""
    count = len(finding.cycle)
    radius = 96 if count < 4 else 120  # noqa: PLR2004 -- more than three labels need more room
    points = [_on_circle(radius, index / count) for index in range(count)]
    top = min(y for _, y in points) - _MARGIN
    height = round(max(y for _, y in points) + _MARGIN - top)
    centre = (WIDTH // 2, round(-top))
    places = {mutex: (centre[0] + x, centre[1] + y) for mutex, (x, y) in zip(finding.cycle, points, strict=True)}
    parts = [part for edge in finding.acquisitions for part in _draw_edge(edge, finding, places, centre)]
    for mutex, (x, y) in places.items():
        parts += _draw_lock(mutex, finding, round(x), round(y))
    return svg(height, f"Locks: {wording.headline(finding)}", parts)


def _draw_lock(mutex: int, finding: DistinctFinding, x: int, y: int) -> Iterator[str]:
    """Draw a lock; one that was recorded has its name in it."""
    if lock_of(mutex, finding) is None:
        yield f'<circle class="mutex" cx="{x}" cy="{y}" r="22"/>'
        yield label(x, y + 5, f"M{mutex}", "letter-dark", anchor="middle")
        return
    name = _short(lock_name(mutex, finding))
    half = max(30, 4 * len(name) + 12)
    yield f'<rect class="mutex" x="{x - half}" y="{y - 22}" width="{2 * half}" height="44" rx="22"/>'
    yield label(x, y + 5, name, "letter-dark", anchor="middle")


def _on_circle(radius: float, turn: float) -> tuple[float, float]:
    """Return a point of a flattened circle around the origin; turn 0 is its top."""
    angle = 2 * math.pi * turn - math.pi / 2
    return 1.6 * radius * math.cos(angle), radius * math.sin(angle)


def _draw_edge(
    edge: Acquisition, finding: DistinctFinding, places: dict[int, tuple[float, float]], centre: tuple[int, int]
) -> Iterator[str]:
    if edge.holding not in places or edge.mutex not in places:
        return
    (x1, y1), (x2, y2) = places[edge.holding], places[edge.mutex]
    length = math.hypot(x2 - x1, y2 - y1) or 1.0
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    # Bend each arrow to its right, so that the two of a pair do not lie on each other.
    bend = 46 if len(places) == 2 else 14  # noqa: PLR2004 -- a pair
    mx, my = (x1 + x2) / 2 + uy * bend, (y1 + y2) / 2 - ux * bend
    yield (
        f'<path class="edge" marker-end="url(#arrow)" d="M{x1 + 24 * ux:.0f} {y1 + 24 * uy:.0f}'
        f' Q{mx:.0f} {my:.0f} {x2 - 28 * ux:.0f} {y2 - 28 * uy:.0f}"/>'
    )
    side = mx - centre[0]
    anchor = "middle" if abs(side) < 30 else "start" if side > 0 else "end"  # noqa: PLR2004 -- nearly in the middle
    words = thread_words(edge.thread, finding, main=edge.main_thread)
    yield label(
        round(mx + math.copysign(10, side)),
        round(my + (16 if my > centre[1] else -8)),
        _short(words),
        "caption",
        anchor=anchor,
    )


def _short(text: str, limit: int = _LABEL) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
