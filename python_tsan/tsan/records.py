"""Unwrap log lines that a collector has wrapped: records in JSON or logfmt, and whole reports in one line.

Docker's json-file, journald's JSON, GELF, bunyan, ``go test -json`` and the like hold one line of output, or several,
in one of their fields.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where a record holds its text, if no record of the log has shown it yet.
_TEXT_FIELDS = ("log", "MESSAGE", "message", "msg", "full_message", "short_message", "Output", "text", "line", "event")
# Part of the name of a field that names the source of a record, for any value.
_SOURCE_FIELD = re.compile(
    r"container|pod|host|node|pid|process|unit|stream|source|service|app|logger|tag|name|rank|job|task|worker|test"
    r"|package|facility|identifier|instance|comm|exe|cmdline|label|runner|machine|boot|transport|thread",
    re.IGNORECASE,
)
_VARYING_FIELD = re.compile(r"time|date|cursor|seq|offset|nano|@t\b", re.IGNORECASE)
# More digits than this in a text: a time, a hash or a number of its own.
_MAX_SOURCE_DIGITS = 3
_MAX_DEPTH = 4
_MAX_PREFIX = 200
# What stands for a line end where a whole report was put into one line
_BREAK = re.compile(r"\r|(?:\\r)?\\n|&#(?:10|x0?[aA]);|%0A|<br ?/?>", re.IGNORECASE)
_ESCAPE = re.compile(r'\\(["\\/tr])')
_ESCAPED = {"t": "\t", "r": ""}

# time=2026-01-02T03:04:05Z level=error msg="WARNING: ThreadSanitizer: data race (pid=1)"
_LOGFMT = re.compile(r'\b(?:msg|message|log)="(?P<text>(?:[^"\\]|\\.)*)"')
_FIELD = re.compile(r'(?P<name>[\w.]+)=(?P<value>"[^"]*"|\S+)')

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One wrapped line: what identifies its source, and the text in it, which may be several lines."""

    source: str
    text: str


@dataclass(slots=True)
class Unwrapper:
    """Reads wrapped lines. ``paths`` are the fields in which ThreadSanitizer's text was found so far."""

    paths: list[Path] = field(default_factory=list)

    def record(self, line: str) -> Record | None:
        """Read a record in JSON or logfmt, or a JSON string in a line of its own; None for any other line."""
        line = line.rstrip().removesuffix(",")
        start = line.find("{", 0, _MAX_PREFIX)
        if start < 0 or not line.endswith("}"):
            return _string(line) or _logfmt(line)
        value = _decode(line[start:])
        if not isinstance(value, dict):
            return None
        fields = dict(_flat(value))
        path = self._path(fields)
        if path is None:
            return None
        text = fields.pop(path)
        prefix = line[:start].strip()
        return Record("\n".join((_without_digits(prefix), *_sources(fields))), str(text))

    def _path(self, fields: dict[Path, Any]) -> Path | None:
        """Return the field that holds the text: the longest one that speaks, else one that is known to."""
        speaking = [name for name, text in fields.items() if isinstance(text, str) and _speaks(text)]
        if speaking:
            path = max(speaking, key=lambda name: len(fields[name]))
            if path not in self.paths:
                self.paths.insert(0, path)
            return path
        known = (*self.paths, *((name,) for name in _TEXT_FIELDS))
        return next((path for path in known if isinstance(fields.get(path), str)), None)


def pieces(line: str) -> list[str]:
    r"""Cut a line that holds several, with ``\n``, ``&#10;`` or ``%0A`` for their ends."""
    parts = _BREAK.split(line)
    return [_ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), part) for part in parts]


def holds_several(line: str) -> bool:
    """Report whether a line is several, see :func:`pieces`."""
    return bool(_BREAK.search(line))


def _sources(fields: dict[Path, Any]) -> list[str]:
    return sorted(f"{'.'.join(name)}={content}" for name, content in fields.items() if _names(name, content))


def _logfmt(line: str) -> Record | None:
    found = _LOGFMT.search(line)
    if not found:
        return None
    fields: dict[Path, Any] = {
        (field["name"],): field["value"] for field in _FIELD.finditer(line[: found.start()] + line[found.end() :])
    }
    text = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), found["text"].replace("\\n", "\n"))
    return Record("\n".join(_sources(fields)), text)


def _string(line: str) -> Record | None:
    text = line.strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':  # noqa: PLR2004 -- two quotes
        return None
    value = _decode(text)
    return Record("string", value) if isinstance(value, str) else None


def _decode(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _flat(value: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every text and number of a record with its path; journald writes a text as an array of its bytes, too."""
    for name, content in value.items():
        here = (*path, name)
        if isinstance(content, dict) and len(here) < _MAX_DEPTH:
            yield from _flat(content, here)
        elif isinstance(content, list):
            if content and all(isinstance(byte, int) and 0 <= byte < 256 for byte in content):  # noqa: PLR2004 -- a byte
                yield here, bytes(content).decode(errors="backslashreplace")
        elif isinstance(content, str | int):
            yield here, content


def _names(path: Path, content: object) -> bool:
    """Report whether a field names the source of a record, as opposed to its time or its own number."""
    if _SOURCE_FIELD.search(path[-1]):
        return not _VARYING_FIELD.search(path[-1])
    if not isinstance(content, str) or _VARYING_FIELD.search(path[-1]):
        return False
    return sum(letter.isdigit() for letter in content) <= _MAX_SOURCE_DIGITS


def _speaks(text: str) -> bool:
    return "ThreadSanitizer" in text or "WARNING: D" in text


def _without_digits(prefix: str) -> str:
    """Return a prefix in which only words count: numbers may be times."""
    return re.sub(r"(?<![\w-])[\d:.,TZ+-]+(?![\w-])", "", prefix)
