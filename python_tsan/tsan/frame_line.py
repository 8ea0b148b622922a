"""Own the line of one stack frame: symbol, place, module, build id; leave which frames matter to ``frames``."""

from __future__ import annotations

import re
from functools import lru_cache

from python_tsan.tsan.finding import Frame

# The same few frames come again and again in a log, and no part of their line differs between blocks.
MAX_FRAMES = 16_384

#     #0 worker(int) /src/race.cpp:12:5 (race+0xe4590) (BuildId: 1e4fc2e1030b)
#     #1 main /src/race.cpp:4 (race+0x1241)
#   * #0 <null> <null> (libstdc++.so.6+0x0000000b8c7f)
_FRAME = re.compile(
    r"(?P<star>\*\s*)?#(?P<index>\d+)(?P<late_star>\*)? (?P<what>.*?)"
    r"(?: \((?P<module>[^()]*(?:\([^()]*\)[^()]*)*)\+(?P<offset>0x[0-9a-f]+)\)"
    r"| \((?:0x[0-9a-f]+|<unknown module>)\))?"
    r"(?: \(BuildId: (?P<build_id>[0-9a-f]*)\))?\s*$"
)
# /src/race.cpp:12:5
_PLACE = re.compile(r"(?P<file>.+?)(?::(?P<line>\d+))?(?::(?P<column>\d+))?$")
# C:\src\race.cpp(12,5)
_VS_PLACE = re.compile(r"(?P<file>.+?)\((?P<line>\d+)(?:,(?P<column>\d+))?\)$")
# worker(int) /src/race.cpp, worker(int) ../src/race.cpp, worker(int) C:\src\race.cpp: where the path may start
_PATH_START = re.compile(r" (?=/|\.{1,2}/|[A-Za-z]:[\\/])")


@lru_cache(maxsize=MAX_FRAMES)
def read_frame(text: str) -> Frame | None:
    """Read a line such as ``#0 worker(int) /src/race.cpp:12:5 (race+0xe4590)``; None if it is no frame."""
    found = _FRAME.match(text)
    if not found:
        return None
    symbol, place = split_place(found["what"])
    file, line, column = _place(place)
    return Frame(
        index=int(found["index"]),
        symbol=symbol,
        file=file,
        line=line,
        column=column,
        module=found["module"] or "",
        offset=int(found["offset"], 16) if found["offset"] else None,
        build_id=found["build_id"] or "",
        marked=bool(found["star"] or found["late_star"]),
    )


def split_place(what: str) -> tuple[str, str]:
    """Split ``symbol place`` where both may hold spaces; ``<null>`` becomes an empty string.

    A path starts at the first slash after a space that no parenthesis encloses; a relative one is the last word.
    """
    if what.endswith(" <null>"):
        return _known(what[: -len(" <null>")]), ""
    for start in _PATH_START.finditer(what):
        symbol = what[: start.start()]
        if symbol.count("(") == symbol.count(")"):
            return _known(symbol), what[start.end() :]
    symbol, _, place = what.rpartition(" ")
    return (_known(symbol), _known(place)) if symbol else (_known(place), "")


def _place(place: str) -> tuple[str, int, int]:
    found = _VS_PLACE.match(place) or _PLACE.match(place)
    return (found["file"], int(found["line"] or 0), int(found["column"] or 0)) if found else ("", 0, 0)


def _known(text: str) -> str:
    return "" if text == "<null>" else text
