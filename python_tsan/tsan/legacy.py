"""Compute the fingerprints that older releases gave a finding, so that their baselines stay valid.

Up to 0.1, a place that says nothing (``??:?``, ``<null>:0``) counted as a file, an image of macOS kept the name of its
architecture, a frame without ``#`` was not read, and the place of a summary was left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from python_tsan.tsan.block import Shape
from python_tsan.tsan.fields import hexadecimal, number
from python_tsan.tsan.finding import Frame
from python_tsan.tsan.fingerprint import fingerprint
from python_tsan.tsan.frame_line import path_start
from python_tsan.tsan.parser import parse_block
from python_tsan.tsan.splitter import Splitter

if TYPE_CHECKING:
    from collections.abc import Iterator

_FRAME = re.compile(
    r"(?P<star>\*\s*)?#(?P<index>\d+)(?P<late_star>\*)? (?P<what>.*?)"
    r"(?: \((?P<module>[^()]*(?:\([^()]*\)[^()]*)*)\+(?P<offset>0x[0-9a-f]+)\)"
    r"| \((?:0x[0-9a-f]+|<unknown module>)\))?"
    r"(?: \(BuildId: [0-9a-f]*\))?\s*$"
)
_PLACE = re.compile(r"(?P<file>.+?)(?::\d+)?(?::\d+)?$")
_VS_PLACE = re.compile(r"(?P<file>.+?)\(\d+(?:,\d+)?\)$")


def legacy_fingerprints(raw: str) -> frozenset[str]:
    """Return the fingerprints of older releases for the text of a block, as far as they differ from today's."""
    return frozenset(_fingerprints(raw))


def _fingerprints(raw: str) -> Iterator[str]:
    for block in Splitter().split(raw.split("\n")):
        if block.shape is Shape.FINDING:
            old = fingerprint(parse_block(block, "", frame=_read_frame, summarised=False))
            if old != fingerprint(parse_block(block, "")):
                yield old


def _read_frame(text: str) -> Frame | None:
    found = _FRAME.match(text)
    if not found:
        return None
    symbol, place = _split_place(found["what"])
    file = _VS_PLACE.match(place) or _PLACE.match(place)
    return Frame(
        index=number(found["index"]) or 0,
        symbol=symbol,
        file=file["file"] if file else "",
        module=found["module"] or "",
        offset=hexadecimal(found["offset"]),
    )


def _split_place(what: str) -> tuple[str, str]:
    if what.endswith(" <null>"):
        return _known(what[: -len(" <null>")]), ""
    if found := path_start(what):
        return _known(what[: found.start()]), what[found.end() :]
    symbol, _, place = what.rpartition(" ")
    return (_known(symbol), _known(place)) if symbol else (_known(place), "")


def _known(text: str) -> str:
    return "" if text == "<null>" else text
