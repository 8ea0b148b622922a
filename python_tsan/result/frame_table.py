"""Keep each distinct frame of the findings once, in a table: there, a stack or an origin has its number, from 0.

A finding of 9 kB has 15 frames, most of which others have, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from python_tsan.tsan.finding import Frame

# {"index":0,"symbol":"worker(int)", … ,"python":false}; in a text, each of these quotes has a backslash before it
_START, _NATIVE, _PYTHON = b'{"index":', b',"python":false}', b',"python":true}'
# The parts of a finding below which there are frames
_PARTS = frozenset(
    (
        *("accesses", "location", "more_locations", "stacks", "threads", "mutexes", "acquisitions", "sleep", "origins"),
        *("stack", "holding_stack"),
    )
)
_SINGLE = frozenset(("frame", "yours"))


class FrameTable:
    """The frames of the findings that were written so far, as JSON, by number."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, bytes] = {}

    @property
    def rows(self) -> Iterator[bytes]:
        """The frames in the order of their numbers."""
        return (_START + frame + (b"" if frame.endswith(_PYTHON) else _NATIVE) for frame in self._numbers)

    def take_from(self, finding: bytes) -> bytes:
        """Return the compact JSON of a finding with the numbers of its frames in their places."""
        numbers = self._numbers
        text, *rest = finding.split(_START)
        parts = [text]
        for part in rest:
            frame, end, after = part.partition(_NATIVE)
            if not end:
                frame, end, after = part.partition(_PYTHON)
                frame += end
            number = numbers.get(frame)
            if number is None:
                number = numbers[frame] = b"%d" % len(numbers)
            parts += (number, after)
        return b"".join(parts)


def fill(finding: dict[str, Any], frames: Sequence[Frame]) -> None:
    """Put frames in the places of their numbers in the plain data of a finding.

    Raises :class:`msgspec.ValidationError` for a number that the table does not have.
    """
    for name, value in finding.items():
        if name == "frames" and isinstance(value, list):
            finding[name] = [_frame(each, frames) for each in value]
        elif name in _SINGLE:
            finding[name] = _frame(value, frames)
        elif name in _PARTS and value:
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, dict):
                    fill(each, frames)


def _frame(value: object, frames: Sequence[Frame]) -> object:
    if type(value) is not int:
        return value
    if not 0 <= value < len(frames):
        raise msgspec.ValidationError(f"a frame has the number {value}, and there are {len(frames)} frames")
    return frames[value]
