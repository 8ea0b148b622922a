"""Read the line of one stack frame: symbol, place, module, build id. ``frames`` decides which frames matter."""

from __future__ import annotations

import re
from functools import lru_cache

from python_tsan.tsan.fields import ADDRESS, hexadecimal, number
from python_tsan.tsan.finding import Frame

# The same few frames come again and again in a log, and no part of their line differs between blocks.
MAX_FRAMES = 16_384
# The index of a frame that was printed without one.
UNNUMBERED = -1

_MODULE = (
    rf"(?: \((?P<module>[^()]*(?:\([^()]*\)[^()]*)*)\+(?P<offset>{ADDRESS})\)"
    rf"| \((?:{ADDRESS}|<unknown module>)\))"
)
_BUILD_ID = r"(?: \(BuildId: (?P<build_id>[0-9a-f]*)\))?"
#     #0 worker(int) /src/race.cpp:12:5 (race+0xe4590) (BuildId: 1e4fc2e1030b)
#     #1 main /src/race.cpp:4 (race+0x1241)
#   * #0 <null> <null> (libstdc++.so.6+0x0000000b8c7f)
#     # 0 worker(int) /src/race.cpp:12:5 (race+0xe4590)
#     #0: 0x55d0e0a0 in worker(int) /src/race.cpp:12:5
# but not #8 0.245 of a build's output
_FRAME = re.compile(
    rf"(?P<star>\*\s*)?(?:frame )?#\s*(?P<index>\d+)(?P<late_star>\*)?:?\s+(?:{ADDRESS} in )?(?P<what>(?!\d+\.\d).*?)"
    rf"{_MODULE}?{_BUILD_ID}$"
)
# Most frames: an absolute path that no other words can be part of. One expression reads them, for speed.
_PLAIN_FRAME = re.compile(
    r"#(?P<index>\d{1,4}) (?P<symbol>[A-Za-z_~](?:[\w:~<>,*&=!\[\]() -]*[\w>)\]])?)"
    r" (?P<file>/(?:[\w.+-]+/)*[\w+-]+\.[A-Za-z]\w{0,4}):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?"
    rf" \((?P<module>[\w./+-]+)\+(?P<offset>0x[0-9a-f]{{1,16}})\){_BUILD_ID}$"
)
# 0 worker(int) /src/race.cpp:12:5 (race+0xe4590)
# [0] worker(int) /src/race.cpp:12:5 (race+0xe4590)
# worker(int) /src/race.cpp:12:5 (race+0xe4590)
_BARE_FRAME = (
    rf"(?P<star>\*\s*)?(?:[\[(]?(?P<index>\d+)[\]).:]*(?P<late_star>\*)?\s+)?(?:{ADDRESS} in )?(?P<what>\S.*?)"
    rf"{_MODULE}{_BUILD_ID}$"
)
# 0 worker(int) /src/race.cpp:12:5
_BARE_PLACED = (
    r"(?P<star>\*\s*)?[\[(]?(?P<index>\d{1,3})[\]).:]*(?P<late_star>\*)?\s+"
    r"(?P<what>\S.*?[ /][^\s:/][^:/]{0,300}:\d+(?::\d+)?)(?P<module>)(?P<offset>)(?P<build_id>)$"
)
# done 10%    #0 f, web-1 | f, 12: 0 f: output without a line end, or another source's prefix, comes before the frame
_NOT_BARE = re.compile(r"#\d|\s{2}|[|:\]] |^\d+ ")
# worker(int) at /src/race.cpp:12:5 of addr2line and llvm-symbolizer, worker (x=1) at race.cpp:12 of a debugger
_AT = " at "
_ENDS_IN_LINE = re.compile(r":\d{1,9}$")
_ARGUMENTS = re.compile(r" \((?:\w+=[^()]*)?\)$")
# worker(int) (race.cpp:12), worker(int) (in App) (race.cpp:12) of atos
_ATOS = r"(?P<symbol>.+?)(?: \(in [^()]+\))? \((?P<place>[^()\s][^()]*:\d+(?::\d+)?)\)$"
# worker+0x12 and worker + 18, as far from the function's start
_DISTANCE = re.compile(r"(?<=[\w)>\]])(?: \+ \d{1,9}(?=$| )|\+0x[0-9a-f]{1,16}$)")
#  (discriminator 3), [inlined], (inlined by)
_REMARK = re.compile(r"\s*(?:\(discriminator \d+\)|[(\[]inlined(?: by)?[)\]])$")
# /src/race.cpp:12:5, /src/race.cpp:?, <null>:0, :?
_PLACE = re.compile(r"(?P<file>.*?)(?::(?P<line>-?\d+|\?))?(?::(?P<column>-?\d+|\?))?$")
# C:\src\race.cpp(12,5)
_VS_PLACE = r"(?P<file>.+?)\((?P<line>\d+)(?:,(?P<column>\d+))?\)$"
# worker(int) /src/race.cpp, worker(int) ../src/race.cpp, worker(int) C:\src\race.cpp: where the path may start
_PATH_START = r" (?=/|\.{1,2}/|[A-Za-z]:[\\/])"
# What symbolizers print where no file is known; a codegen unit is what rustc calls an object file:
# main.rs/@/4kfsjo5dl3d0bk8j, 4kfsjo5dl3d0bk8j, app.7rcbfp3g-cgu.0.
_NOTHING = (
    r"(?:<(?:null|none|invalid|unknown[^<>]*|no (?:source|file)|stripped|generated|optimized out|inlined|built-?in"
    r"|(?:compiler-|auto)?generated|artificial|command[ -]line|scratch space|0)>|\((?:null|nil|unknown[^()]*|no file"
    r"|inlined)\)|\[unknown\]|[Uu]nknown [Ss]ource|[Uu]nknown|__NO_SOURCE__|null|nil|None|n/a|-|0|\?+|\S*[-.]cgu\.\d+"
    r"|\S+/@/\S+?|(?=[a-z]*\d)[0-9a-z]{15,16}(?=:[?0]))"
)
_NO_FILE = re.compile(rf"(?:{_NOTHING}|)$")
_NO_SYMBOL = frozenset({"<null>", "<unknown>", "(null)", "??", "???", "<unknown symbol>", "<stripped>", "<invalid>"})
#  <null>, ??:?, <null>:95860036, :?: the last word of a frame that has no place
_NO_PLACE = re.compile(rf"(?:^| )(?:{_NOTHING}(?::(?:-?\d+|\?))*|(?::(?:-?\d+|\?)){{1,2}})$")
# App:x86_64, libpython3.14.dylib:arm64: macOS names the half of a fat image
_ARCHITECTURE = re.compile(r":(?:x86_64h?|arm64e?|arm64_32|armv7\w*|i386)$")
# render const, f(int) noexcept, operator new[]: a name goes on after its first blank
_OPEN = "([<{"


@lru_cache(maxsize=MAX_FRAMES)
def read_frame(text: str) -> Frame | None:
    """Read a line such as ``#0 worker(int) /src/race.cpp:12:5 (race+0xe4590)``; None if it is not a frame.

    A frame without ``#`` must have a module, or a number and a place: anything else is program output.
    """
    if "\t" in text or "  " in text:
        text = " ".join(text.split())
    return _plain_frame(text) or _any_frame(text)


def _plain_frame(text: str) -> Frame | None:
    found = _PLAIN_FRAME.match(text)
    if not found:
        return None
    symbol = found["symbol"]
    if _AT in f"{symbol} " or symbol.count("(") != symbol.count(")"):
        return None
    return Frame(
        index=int(found["index"]),
        symbol=symbol,
        file=found["file"],
        line=int(found["line"]),
        column=int(found["column"] or 0),
        module=found["module"],
        offset=int(found["offset"], 16),
        build_id=found["build_id"] or "",
    )


def _any_frame(text: str) -> Frame | None:
    found = _FRAME.match(text)
    bare = found is None
    if bare and (text.endswith(")") or text[-1:].isdecimal()):
        found = re.match(_BARE_FRAME, text) or re.match(_BARE_PLACED, text)
        if found and _NOT_BARE.search(found["what"]):
            return None
    if not found:
        return None
    symbol, place = split_place(_DISTANCE.sub("", _REMARK.sub("", found["what"])))
    file, line, column = _place(place)
    index = number(found["index"])
    if bare and not line and not _NO_PLACE.search(found["what"]):
        return None
    return Frame(
        index=UNNUMBERED if index is None else index,
        symbol=symbol,
        file=file,
        line=line,
        column=column,
        module=_ARCHITECTURE.sub("", found["module"] or ""),
        offset=hexadecimal(found["offset"]),
        build_id=found["build_id"] or "",
        marked=bool(found["star"] or found["late_star"]),
    )


def split_place(what: str) -> tuple[str, str]:
    """Split ``symbol place`` where both may hold spaces; a place that says nothing becomes an empty string.

    A path starts at the first slash after a space that no parenthesis encloses. A relative one starts at the last
    space, or further ahead if the symbol would end in the middle of a name otherwise.
    """
    if found := _NO_PLACE.search(what):
        return _known(what[: found.start()]), ""
    if _AT in what and _ENDS_IN_LINE.search(what):
        symbol, _, place = what.rpartition(_AT)
        if symbol.count("(") == symbol.count(")"):
            return _known(_ARGUMENTS.sub("", symbol)), place
    if what.endswith(")") and (found := re.match(_ATOS, what)):
        return _known(found["symbol"]), found["place"]
    if found := path_start(what):
        return _known(what[: found.start()]), what[found.end() :]
    symbol, _, place = what.rpartition(" ")
    if not symbol:
        return _known(place), ""
    start_of_name = _name_end(symbol)
    return _known(symbol[:start_of_name]), f"{symbol[start_of_name:]} {place}".lstrip()


def path_start(what: str) -> re.Match[str] | None:
    """Return the blank before the path in ``symbol path``: the first before a slash that no parenthesis encloses."""
    starts = re.finditer(_PATH_START, what)
    return next(
        (found for found in starts if what.count("(", 0, found.start()) == what.count(")", 0, found.start())), None
    )


def _name_end(words: str) -> int:
    """Return where the symbol ends in ``bump my``, the words before the last space of a relative path.

    A plain C name and a name with arguments end at a space outside of brackets. What follows is part of the path
    unless it is a qualifier or the return type of a template comes first, which only a later bracket can show.
    """
    if "(" in words:
        end = words.rfind(")") + 1
        rest = words[end:]
        found = re.match(r"(?:::[^\s()]+|\s*\[[^\]]*\]|\s+(?:const|volatile|noexcept|&{1,2}))*", rest)
        return end + (found.end() if found else 0) if end else len(words)
    first = words.find(" ")
    if first < 0 or any(letter in words for letter in _OPEN) or words.startswith("operator "):
        return len(words)
    return first


def _place(place: str) -> tuple[str, int, int]:
    found = re.match(_VS_PLACE, place) or _PLACE.match(place)
    if not found or _NO_FILE.match(found["file"]):
        return "", 0, 0
    return found["file"], _count(found["line"]), _count(found["column"])


def _count(text: str | None) -> int:
    return (number(text) or 0) if text != "?" else 0


def _known(text: str) -> str:
    if "`" in text:  # app`worker(int) of a debugger, or `worker(int)` of Markdown
        text = text.strip("`").rpartition("`")[2]
    text = _DISTANCE.sub("", text)
    return "" if text in _NO_SYMBOL else text
