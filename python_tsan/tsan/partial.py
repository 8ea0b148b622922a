"""Join lines that a log driver has cut into several: those of Kubernetes, Docker, Podman, journald and GitLab."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from msgspec import Struct, field

from python_tsan.tsan.lexer import names_sanitizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.tsan.outside import Outside

Head = TypeVar("Head")
# What is kept of one line, and of how many sources at a time.
MAX_JOINED = 1 << 20
MAX_SOURCES = 32
_LONGEST_NAME = 40
# A longer line of GitLab's is not joined: none of the sanitizer's is cut so often.
MAX_APPENDED = 1 << 12
# Docker cuts a line where its buffer is full.
DOCKER_BUFFER: Final = 16384
# 2026-11-23T01:02:03.123456789Z stderr P WARNING: Thread
# 2026-11-23T01:02:03.123456789+01:00 stderr F Sanitizer: data race (pid=1)
_CRI = re.compile(
    r"(?P<source>.{0,200}?)\d{4}-\d\d-\d\dT[\d:.]{8,30}(?:Z|[+-]\d\d:\d\d) (?P<stream>stdout|stderr) "
    r"(?P<tag>[PF])(?::\S*)?(?: |$)"
)
# test.log:12: of grep
_LINE_NUMBER = re.compile(r"[:-]\d+[:-]$")
# 2026-11-23T01:02:03.123456Z 01E+Sanitizer: data race (pid=1)
_STREAM = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]{8,30}Z (?P<stream>[0-9a-f]{2}[EO]))[+ ]")
_APPENDED = re.compile(_STREAM.pattern.replace("[+ ]", r"\+"))
# {"log":"WARNING: Thread","stream":"stderr","time":"2026-11-23T01:02:03.123456789Z"}  # noqa: ERA001 -- as printed
_DOCKER_END = re.compile(r'(?<!\\)(?:\\\\)*\\n", ?"')
# "partial_message":"true" of Docker's other drivers, "logtag":"P" and "_p":"P" of Fluent Bit
_MARKED = re.compile(r'partial_message"|"(?:logtag|_p)": ?"P')


class Partial(Struct, Generic[Head]):
    """The beginning of a line, and what was before it in the log; ``certain``: it is known to go on."""

    head: Head
    certain: bool = False
    _texts: io.StringIO = field(default_factory=io.StringIO)
    _room: int = MAX_JOINED
    _last: str = ""

    @property
    def text(self) -> str:
        """What is kept of the line."""
        return self._texts.getvalue()

    @property
    def state(self) -> tuple[object, ...]:
        """All that decides how it goes on."""
        return (repr(self.head), self.certain, self.text, self._room, self._last)

    def add(self, text: str, *, certain: bool) -> bool:
        """Add a part; return whether what is left out of a line that is too long names the sanitizer."""
        lost = len(text) > self._room and names_sanitizer(self._last + text)
        self._texts.write(text[: max(0, self._room)])
        self._room -= len(text)
        self._last = (self._last + text)[-_LONGEST_NAME:]
        self.certain = certain
        return lost


class Partials(Struct, Generic[Head]):
    """The lines of which the end has not come yet, by source.

    ``ended`` says that Docker's records end with a line feed in this log; ``outside`` counts the lines of which the
    rest is lost, and may matter.
    """

    outside: Outside
    ended: bool = False
    open: dict[str, Partial[Head]] = field(default_factory=dict)

    @property
    def state(self) -> tuple[object, ...]:
        """All that decides how further lines are read."""
        return (self.ended, *((source, *part.state) for source, part in self.open.items()))

    def begin(self, source: str, head: Head, text: str, *, certain: bool) -> Partial[Head] | None:
        """Keep a part of a line; return the beginning of the line that is given up for it."""
        full = source not in self.open and len(self.open) >= MAX_SOURCES
        given_up = self._give_up(next(iter(self.open))) if full else None
        part = self.open.setdefault(source, Partial(head, _room=MAX_JOINED))
        self.outside.unfinished += part.add(text, certain=certain)
        return given_up

    def finish(self, source: str) -> Partial[Head] | None:
        """Return what a line begins with of which the end is here; None for a line that is whole."""
        return self.open.pop(source, None)

    def end(self) -> list[Partial[Head]]:
        """Return the beginnings of lines that have no end."""
        return [self._give_up(source) for source in list(self.open)]

    def _give_up(self, source: str) -> Partial[Head]:
        part = self.open.pop(source)
        self.outside.unfinished += part.certain
        return part


class Piece(Struct, frozen=True):
    """A line of a Kubernetes log: its source, the text before what was printed, and whether it is ``cut``.

    The text before is that of a line which is not cut.
    """

    source: str
    prefix: str
    cut: bool
    text: str


def piece_of(raw: str) -> Piece | None:
    """Return the parts of a line of a Kubernetes log; None for any other line."""
    found = _CRI.match(raw)
    if not found:
        return None
    source = f"{_LINE_NUMBER.sub('', found['source'])} {found['stream']}"
    prefix = f"{found[0][: found.start('tag')]}F{found[0][found.end('tag') :]}"
    return Piece(source, prefix, found["tag"] == "P", raw[found.end() :].rstrip("\r\n"))


class Appended(Struct, frozen=True):
    """What a line of a GitLab log adds to the line before it in its ``stream``, and the prefix of that line."""

    prefix: str
    stream: str
    text: str


def appended(raw: str) -> Appended | None:
    """Return what a line of a GitLab log adds to an earlier one; None for any other line."""
    found = _APPENDED.match(raw)
    return Appended(f"{found[1]} ", found["stream"], raw[found.end() :].rstrip("\r\n")) if found else None


def stream_of(line: str) -> str:
    """Return the stream of a line in a GitLab log, which a later line may go on with; empty for any other line."""
    found = _STREAM.match(line)
    return found["stream"] if found else ""


def may_be_cut(text: str) -> bool:
    """Report whether a line in a text may be a part of one, as a log driver marks it, save for Docker; fast."""
    return "stderr P" in text or "stdout P" in text or "partial_m" in text or '"P' in text


def is_marked(raw: str) -> bool:
    """Report whether a line is a record that is marked as a part of a line."""
    return ("partial_m" in raw or '"P' in raw) and _MARKED.search(raw) is not None


def docker_ends(raw: str) -> bool | None:
    """Report whether a line is a record of Docker whose text ends with a line feed; None for any other line."""
    if not raw.startswith('{"log":'):
        return None
    return ('\\n","' in raw and "\\\\n" not in raw) or bool(_DOCKER_END.search(raw))


def is_full(text: str) -> bool:
    """Report whether a text is so long that Docker cuts it."""
    return len(text) >= DOCKER_BUFFER or len(text.encode(errors="replace")) >= DOCKER_BUFFER


def is_cut(marks: Mapping[str, str]) -> bool:
    """Report whether a record says that its line goes on in the next one; ``marks`` are its fields in small letters."""
    if any(name.endswith("partial_last") and value == "true" for name, value in marks.items()):
        return False
    return (
        any(name.endswith("partial_message") and value == "true" for name, value in marks.items())
        or marks.get("_line_break") == "line-max"
        or marks.get("logtag", marks.get("_p", "")).startswith("p")
    )
