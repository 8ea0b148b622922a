"""Put JSON that is written over several lines together, document by document, in bounded memory.

``journalctl -o json-pretty``, the answers of log servers and indented arrays of records hold a line of output in a
field of an object. Only the whole object says of which source it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct, field

from python_tsan.tsan.lexer import names_sanitizer
from python_tsan.tsan.prefix import MAX_PREFIX, TIME

if TYPE_CHECKING:
    from python_tsan.tsan.prefix import Form

# Letters of a document that are kept. Of a longer one, what is complete is handed on at the next element of its list.
MAX_DOCUMENT = 1 << 20
# In so many letters of a long document shows which of its lists is that of the records.
SAMPLE = 1 << 16
# The last letters of lines that may begin a document, or an entry of ``journalctl -o verbose``, and their line ends
ENDS = frozenset("{[]\r\n")
# "hits": [{  # noqa: ERA001 -- as printed
_NAME = re.compile(r'"[^"\\]{0,200}"\s*:\s*$')
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
# What a line of JSON has besides its texts
_STRUCTURE = re.compile(r"(?:[\s{}\[\],:]|-?\d[\d.eE+-]*|true|false|null)*")
_BRACKET = re.compile(r"[{}\[\]]")
_CLOSERS = {"{": "}", "[": "]"}


def opener(line: str) -> tuple[str, str] | None:
    """Return the prefix of a line that begins a document, and the text behind it; None for any other line."""
    body = line.rstrip()
    before = body.rstrip("{[ \t")
    if body[-1:] not in {"{", "["} or len(before) > MAX_PREFIX:
        return None
    if before[-1:] == ":" and (name := _NAME.search(before)):
        before = before[: name.start()].rstrip()
    if not before.strip("}], \t"):
        return "", body.lstrip("}], \t")
    prefix = line[: len(before) + 1] if line[len(before)] in " \t" else before
    is_prefix = before[-1] in "|>]:" or re.search(TIME, before)
    return (prefix, body[len(prefix) :].lstrip()) if is_prefix else None


class Document(Struct):
    """A document of which the end has not come yet. Each line has a prefix of this ``form``, with these numbers.

    ``raws`` are its lines as in the log, ``strays`` the other lines since the last one. ``speaks`` says that one of its
    texts names the sanitizer.
    """

    prefix: str = ""
    form: Form | None = None
    numbers: tuple[int, ...] = ()
    raws: list[str] = field(default_factory=list)
    speaks: bool = False
    strays: int = 0
    _lines: list[str] = field(default_factory=list)
    _places: list[int] = field(default_factory=list)
    _closers: list[str] = field(default_factory=list)
    _seen: int = 0
    _room: int = 0
    _depth: int | None = None  # at which the records of a long document seem to be

    @property
    def is_whole(self) -> bool:
        """Whether its end is here."""
        return not self._closers

    def text(self, line: str) -> str | None:
        """Return a line without the prefix; None for one with another prefix."""
        self._seen += 1
        if self.form is None:
            return line
        found = self.form.numbers(line)
        return line[found[0] :] if found and found[1] == self.numbers else None

    def take(self, text: str, raw: str, *, speaks: bool) -> bool:
        """Take a line; return False for one that is not JSON."""
        structure = _STRING.sub("", text)
        if not _STRUCTURE.fullmatch(structure):
            return False
        closers = self._closers.copy()
        for mark in _BRACKET.findall(structure):
            if mark in _CLOSERS:
                closers.append(_CLOSERS[mark])
            elif not closers or closers.pop() != mark:
                return False
        self._closers = closers
        self._add(text, raw)
        self.speaks, self.strays = self.speaks or speaks, 0
        if self._room < 0 and closers and closers[-1] == "]" and structure.rstrip().endswith(("},", "],")):
            self._depth = min(self._depth or len(closers), len(closers))
        return True

    def begin(self, text: str, raw: str) -> None:
        """Take the first line, of which the text begins with a bracket, or with a name before one."""
        self._room = MAX_DOCUMENT
        if text[0] == '"':
            text = "{" + text
        self._closers = [_CLOSERS[mark] for mark in _BRACKET.findall(_STRING.sub("", text))]
        self._add(text, raw)

    def _add(self, text: str, raw: str) -> None:
        self._lines.append(text)
        self.raws.append(raw)
        self._places.append(self._seen)
        self._room -= len(raw) + 1

    @property
    def is_long(self) -> bool:
        """Whether it has become so long that what is complete is to be taken out of it now."""
        return self._room < -SAMPLE and len(self._closers) == self._depth

    @property
    def is_too_long(self) -> bool:
        """Whether it is too long, and no list of records has been found in it."""
        return self._room < -MAX_DOCUMENT

    def value(self) -> object:
        """Return what it holds so far; None if that is not JSON."""
        import json  # noqa: PLC0415 -- few logs are JSON

        text = "\n".join(self._lines).rstrip().removesuffix(",")
        try:
            return json.loads(text + "".join(reversed(self._closers)), strict=False)
        except (ValueError, RecursionError):
            return None

    def places(self, texts: list[str]) -> list[int]:
        """Return how many lines ago each of these texts began; for a text that is not found, the one before it."""
        import json  # noqa: PLC0415 -- as above

        index, found = 0, []
        for text in texts:
            start = json.dumps(text, ensure_ascii=False)[1:40].removesuffix('"').partition("\\")[0]
            after = (n for n in range(index, len(self._lines)) if start in self._lines[n])
            here = next(after, None) if start else None
            index = index if here is None else here + 1
            found.append(self._seen - self._places[max(0, index - 1)])
        return found

    def shorten(self, value: object) -> None:
        """Forget what is complete in ``value``, but for the names around the list that goes on."""
        import json  # noqa: PLC0415 -- as above

        rest = json.dumps(_around(value, len(self._closers)))
        self._lines, self.raws = [rest[: -len(self._closers)]], []
        self._places, self.speaks = [self._seen], False
        self._room, self._depth = MAX_DOCUMENT - len(rest), None


def _around(value: object, depth: int) -> object:
    """Return what is around the innermost list that is open; each one is the last in the list or object around it."""
    if isinstance(value, list):
        return [_around(value[-1], depth - 1)] if depth > 1 else []
    if not isinstance(value, dict):
        return value
    *items, (name, last) = value.items()
    names = {key: each for key, each in items if not (isinstance(each, list) or names_sanitizer(str(each)))}
    return {**names, name: _around(last, depth - 1)}
