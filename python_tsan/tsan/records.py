"""Unwrap log lines that a collector has wrapped: records in JSON or logfmt, and whole reports in one line.

Docker's json-file, journald's JSON, GELF, bunyan, ``go test -json`` and the like hold one line of output, or several,
in one of their fields. The answers of log servers hold many such records in one line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct, field

from python_tsan.tsan.lexer import names_sanitizer
from python_tsan.tsan.partial import is_cut
from python_tsan.tsan.prefix import NUMBER, TIME

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

# Where a record holds its text, if no record of the log has shown it yet.
_TEXT_FIELDS = ("log", "MESSAGE", "message", "msg", "full_message", "short_message", "Output", "text", "line", "event")
# Part of the name of a field that names the source of a record, for any value.
_SOURCE_FIELD = (
    r"(?i)container|pod|host|node|pid|process|unit|stream|source|service|app|logger|tag|name|rank|job|task|worker|test"
    r"|package|facility|identifier|instance|comm|exe|cmdline|label|runner|machine|boot|transport|thread"
)
_VARYING_FIELD = re.compile(
    r"time|date|cursor|token|seq|offset|nano|@t\b|partial|_line_break|logtag|^_p$|^__monotonic", re.IGNORECASE
)
# MESSAGE=hello, and MESSAGE alone if a line with the length and the text follows
_EXPORTED = re.compile(r"(?P<name>[A-Z_][A-Z0-9_]*)(?:=(?P<value>.*))?$", re.DOTALL)
# The length in front of a text: eight bytes, the lowest one first; those that are not text are written in hex
_SIZE = re.compile(r"(\\x[0-9a-f]{2}|.)(\\x[0-9a-f]{2}|.)\0{6}", re.DOTALL)
# What the numbers before a record are called: that of a line grows, any other one names a source.
_IN_PREFIX = "#"
_INDENT = " " * 4
# Mon 2026-11-23 01:02:03.123456 UTC [s=8f3a;i=1c2;b=9d;m=5;t=6;x=7]
VERBOSE = re.compile(r"\w{3} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* \S+ \[s=[0-9a-f]+;i=[0-9a-f]+;[0-9a-f;bmtx=]*\]\s*$")
_MAX_FIELDS = 200
# More digits than this in a text: a time, a hash or a number of its own.
_MAX_SOURCE_DIGITS = 3
_MAX_DEPTH = 4
_MAX_LISTS = 10
_MAX_COLUMNS = 20
# The names in an object that is only a name and a value
_PAIR = re.compile(r"(?P<name>[kK]ey|[nN]ame|field) (?P<value>[vV]alue)")
_MAX_PREFIX = 200
# What stands for a line end where a whole report was put into one line: \n, \\n, #012 of rsyslog, </div>
_BREAK = re.compile(
    r"\r|\\{1,8}(?:r\\{1,8})?n|&#(?:10|x0?a);|%0A|<br ?/?>|</(?:div|p|li|tr)>|\\{1,8}(?:u000a|x0a|012)|#012(?!\d)"
    r"|[\0\x85\u2028\u2029\xb6\u23ce\u21b5\u240a]",
    re.IGNORECASE,
)
# The beginnings of lines, where a whole report was put into one line without line ends
_LINE_START = (
    r"(?i)(?=(?<!\S)(?<!Previous )(?<!atomic )(?:[-|;,'\"]*)(?:#\d+ "
    r"|(?:Previous )?(?:atomic )?(?:read|write) of size |Location is |Mutex M\d"
    r"|Thread T\d+ (?:'|\(|created)|As if synchronized |Cycle in lock |SUMMARY: Thread|WARNING: Thread|={18}))"
)
_SEPARATORS = " \t|;,'\""
_ESCAPE = re.compile(r'\\(["\\/tr])')
_ESCAPED = {"t": "\t", "r": ""}

# time=2026-01-02T03:04:05Z level=error msg="WARNING: ThreadSanitizer: data race (pid=1)"
_FIELD = re.compile(r'(?P<name>[\w.]+)=(?P<value>"(?:[^"\\]|\\.)*"|\S+)')

Path = tuple[str, ...]


class Record(Struct, frozen=True):
    """One wrapped line: what identifies its source, and the text in it, which may be several lines.

    ``fields`` are those that may name the source. A text that is ``cut`` goes on in the next record, unless it may be
    the last one and that is not ``certain``. So does one of Docker without a line feed, which is ``fed``, if others
    have one.
    """

    prefix: str
    fields: Mapping[Path, Any]
    text: str
    cut: bool = False
    certain: bool = True
    fed: bool = False

    def source(self, varying: Collection[Path] = ()) -> str:
        """Return the name of the source: all fields that name it, but for those that vary from record to record."""
        named = sorted(f"{'.'.join(name)}={value}" for name, value in self.fields.items() if name not in varying)
        return "\n".join((self.prefix, *named))


class Unwrapper(Struct):
    """Reads wrapped lines. ``paths`` are the fields in which ThreadSanitizer's text was found so far."""

    paths: list[Path] = field(default_factory=list)
    varying: set[Path] = field(default_factory=set)

    def records(self, line: str) -> list[Record]:
        """Read the records of a line, which are in JSON or logfmt, or a JSON string; none for any other line."""
        line = line.rstrip().removesuffix(",")
        if line.lstrip()[:1] == "[" and line.endswith("]") and isinstance(value := _decode(line), list):
            return self.found("", value)
        start = line.find("{", 0, _MAX_PREFIX)
        if start < 0 or not line.endswith("}"):
            return _string(line) or self._logfmt(line)
        value = _decode(line[start:])
        return self.found(line[:start], value) if isinstance(value, dict) else []

    def found(self, prefix: str, value: object) -> list[Record]:
        """Return the records that are in a document behind this text."""
        numbers = enumerate(re.findall(NUMBER, re.sub(TIME, "|", prefix)))
        named: dict[Path, str] = {(f"{_IN_PREFIX}{place}",): number for place, number in numbers}
        # Only words count: numbers may be times.
        prefix = re.sub(r"(?<![\w-])[\d:.,TZ+-]+(?![\w-])", "", prefix.strip())
        return [record for fields in _objects(value) if (record := self._record(prefix, *fields, named))]

    def _record(
        self, prefix: str, own: dict[Path, Any], outer: Mapping[Path, Any] = {}, numbers: Mapping[Path, str] = {}
    ) -> Record | None:
        path = self._path(own)
        if path is None:
            return None
        fields = {**outer, **own}
        text = _whole(str(fields.pop(path)))
        marks = {name[-1].lower(): str(content).lower() for name, content in fields.items()}
        fed = path == ("log",) and "stream" in marks and not {"logtag", "_p"} & marks.keys()
        naming = {name: content for name, content in fields.items() if is_source(name, content)}
        of_go = path == ("Output",) and "action" in marks and text[-1:] != "\n"
        return Record(prefix, {**naming, **numbers}, text, cut=of_go or is_cut(marks), certain=not of_go, fed=fed)

    def entry(self, entry: Entry) -> Record | None:
        """Return the record that an entry of the journal is."""
        return self._record("export", {name: "\n".join(lines) for name, lines in entry.fields.items()})

    def _path(self, fields: Mapping[Path, Any]) -> Path | None:
        """Return the field that holds the text: the longest one that speaks, else one that is known to."""
        speaking = [name for name, text in fields.items() if isinstance(text, str) and names_sanitizer(text)]
        if speaking:
            path = max(speaking, key=lambda name: len(fields[name]))
            if path not in self.paths:
                self.paths.insert(0, path)
            return path
        known = (*self.paths, *((name,) for name in _TEXT_FIELDS))
        return next((path for path in known if isinstance(fields.get(path), str)), None)

    def learn(self, heading: Record, following: Record) -> bool:
        """Learn which fields of two records, of which the second goes on with the first, vary from record to record."""
        if heading.prefix != following.prefix or heading.fields.keys() != following.fields.keys():
            return False
        pairs = {name: (old, following.fields[name]) for name, old in heading.fields.items()}
        differing = {name for name, (old, new) in pairs.items() if old != new} - self.varying
        weak = not any(
            name[-1].isdecimal()
            or re.search(_SOURCE_FIELD, name[-1])
            or not all(map(_has_digit, pairs[name]))
            or (name[-1].startswith(_IN_PREFIX) and int(pairs[name][0]) > int(pairs[name][1]))
            for name in differing
        )
        if weak:
            self.varying |= differing
        return weak and bool(differing)

    def _logfmt(self, line: str) -> list[Record]:
        fields: dict[Path, Any] = {
            (found["name"],): _unescaped(found["value"]) if found["value"][0] == '"' else found["value"]
            for found in _FIELD.finditer(line)
        }
        record = self._record("", fields) if '="' in line else None
        return [record] if record else []


class Entry(Struct):
    """An entry of ``journalctl -o export``: a line for each field, and an empty line behind the last one.

    One of ``-o verbose`` is ``indented`` behind a line with its time.
    """

    indented: bool = False
    fields: dict[Path, list[str]] = field(default_factory=dict)
    _name: str = ""
    _left: int = 0  # bytes of the text of this field that are still to come
    _room: int = 1 << 20

    def take(self, raw: str) -> bool:
        """Take a line; return False for one that is not of this entry."""
        line = raw.rstrip("\r\n")
        if self.indented and not line.startswith(_INDENT):
            return False
        line = line.removeprefix(_INDENT) if self.indented else line
        if self._left > 0:
            self._left -= len(line.encode(errors="replace")) + 1
            self._add(line)
        elif found := _EXPORTED.match(line):
            self._name = found["name"]
            self.fields.pop((self._name,), None)
            if found["value"] is not None:
                self._add(found["value"])
        elif self._name and self.indented:
            self._add(line)
        elif self._name and (size := _SIZE.match(line)):
            self._left = _byte(size[1]) + 256 * _byte(size[2]) - len(line[size.end() :].encode(errors="replace"))
            self._add(line[size.end() :])
        else:
            return False
        return True

    def _add(self, text: str) -> None:
        """Keep a line of a field: the first million letters of an entry, and all of a message."""
        self._room -= len(text)
        if self._name == "MESSAGE" or (self._room > 0 and len(self.fields) < _MAX_FIELDS):
            self.fields.setdefault((self._name,), []).append(text)


def _byte(text: str) -> int:
    return int(text.removeprefix("\\x"), 16) if len(text) > 1 else ord(text) % 256


def pieces(line: str) -> list[str]:
    r"""Cut a line that holds several, with ``\n``, ``&#10;``, ``%0A`` or nothing but blanks for their ends."""
    if not _BREAK.search(line):
        return [part.strip(_SEPARATORS) for part in re.split(_LINE_START, line)]
    parts = _BREAK.split(line)
    return [_ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), part) for part in parts]


def holds_several(line: str) -> bool:
    """Report whether a line is several, see :func:`pieces`."""
    return "#0 " in line or bool(_BREAK.search(line))


def may_be_wrapped(raw: str) -> bool:
    """Report whether a line may be one that a collector has wrapped, or several in one; fast."""
    return "{" in raw or '"' in raw or "\\" in raw or "&#" in raw or "%0A" in raw or "</" in raw or holds_several(raw)


def _unescaped(quoted: str) -> str:
    return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), quoted[1:-1].replace("\\n", "\n"))


def _string(line: str) -> list[Record]:
    text = line.strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':  # noqa: PLR2004 -- two quotes
        return []
    value = _decode(text)
    return [Record("string", {}, _whole(value))] if isinstance(value, str) else []


def _whole(text: str) -> str:
    """Return a text of JSON in which half a surrogate pair is a code: it is no letter, and cannot be written."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _decode(text: str) -> object:
    import json  # noqa: PLC0415 -- few logs are JSON

    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _objects(value: object, outer: Mapping[Path, Any] = {}, depth: int = 0) -> Iterator[_Fields]:
    """Yield the texts and numbers of each object with their paths, and with those of the objects around it.

    A list of texts is one text, its lines. The values of any other list are objects, as in ``["time", "line"]``.
    """
    if depth > _MAX_LISTS or not isinstance(value, dict | list):
        return
    if isinstance(value, list):
        if named := _pairs(value):
            value = named
        elif _is_text(value):
            value = {"": value}
        elif any(isinstance(each, dict | list) for each in value):
            rows = _are_rows(value)
            for each in value:
                row = {str(number): content for number, content in enumerate(each)} if rows else each
                yield from _objects(row, outer, depth + 1)
            return
        else:
            value = {str(number): each for number, each in enumerate(value)}
    nested: list[Any] = []
    own = dict(_flat(_with_rows(value), nested))
    yield _Fields(own, outer)
    for each in nested:
        yield from _objects(each, {**outer, **own}, depth + 1)


class _Fields(NamedTuple):
    """The fields of an object, and those of the objects around it."""

    own: dict[Path, Any]
    outer: Mapping[Path, Any]


def _is_text(value: list[Any]) -> bool:
    if len(value) <= 1 or not all(isinstance(each, str) for each in value):
        return False
    return not (value[0].isdecimal() or re.fullmatch(TIME, value[0]))


def _are_rows(value: list[Any]) -> bool:
    """Report whether a list holds the rows of a table: a text of output and equally many others in each."""
    if not all(isinstance(row, list) and 1 < len(row) == len(value[0]) <= _MAX_COLUMNS for row in value):
        return False
    if any(isinstance(each, dict | list) for row in value for each in row):
        return False
    return all(sum(isinstance(each, str) and names_sanitizer(each) for each in row) <= 1 for row in value)


def _pairs(value: list[Any]) -> dict[str, Any]:
    """Return the fields that are written as ``[{"key": "pod", "value": {"stringValue": "web"}}]``; else nothing."""
    named = {}
    for each in value:
        found = _PAIR.fullmatch(" ".join(each)) if isinstance(each, dict) else None
        if not found or not isinstance(each[found["name"]], str):
            return {}
        content = each[found["value"]]
        named[each[found["name"]]] = next(iter(content.values())) if _is_typed(content) else content
    return named


def _is_typed(content: object) -> bool:
    """Report whether a value has its type for its name, as those of OpenTelemetry: ``{"stringValue": "web"}``."""
    return isinstance(content, dict) and len(content) == 1 and next(iter(content)).endswith("Value")


def _with_rows(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object with the rows of a table as objects, if its columns have names."""
    columns = value.get("columns")
    rows = next((name for name in ("rows", "values") if isinstance(value.get(name), list)), "")
    if not rows or not isinstance(columns, list):
        return value
    names = [str(each.get("name")) if isinstance(each, dict) else str(each) for each in columns]
    named = [dict(zip(names, row, strict=False)) if isinstance(row, list) else row for row in value[rows]]
    return {name: content for name, content in value.items() if name != "columns"} | {rows: named}


def _flat(value: dict[str, Any], nested: list[Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every text and number of an object with its path; journald writes a text as an array of its bytes, too.

    Lists that are no text are put into ``nested``.
    """
    for name, content in value.items():
        here = (*path, name)
        if isinstance(content, list) and (named := _pairs(content)):
            content = named  # noqa: PLW2901 -- the same in another spelling
        if isinstance(content, dict) and len(here) < _MAX_DEPTH:
            yield from _flat(content, nested, here)
        elif isinstance(content, list):
            if content and all(isinstance(byte, int) and 0 <= byte < 256 for byte in content):  # noqa: PLR2004 -- a byte
                yield here, bytes(content).decode(errors="backslashreplace")
            elif _is_text(content) or (len(content) == 1 and isinstance(content[0], str)):
                yield here, "\n".join(content)
            else:
                nested.append(content)
        elif isinstance(content, str | int):
            yield here, content


def is_source(path: Path, content: object) -> bool:
    """Report whether a field names the source of a record, as opposed to its time or its own number."""
    name = ".".join(path[-2:]) if path[-1].lower() in {"id", "name", "uid"} else path[-1]
    if re.search(_SOURCE_FIELD, name):
        return not _VARYING_FIELD.search(path[-1])
    if not isinstance(content, str) or _VARYING_FIELD.search(path[-1]):
        return False
    if path[-1].isdecimal():  # a column without a name
        return not (content.isdecimal() or re.fullmatch(TIME, content))
    return sum(letter.isdigit() for letter in content) <= _MAX_SOURCE_DIGITS


def _has_digit(content: object) -> bool:
    return any(letter.isdecimal() for letter in str(content))
