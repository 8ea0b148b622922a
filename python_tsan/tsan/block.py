"""One block of a log under construction, and how its lines are cleaned of what is not text."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct, field

from python_tsan.tsan.lexer import GO_HEADING, lex, names_sanitizer
from python_tsan.tsan.notices import FATAL_DETAIL
from python_tsan.tsan.tokens import GoFunction, GoPlace, Mark

if TYPE_CHECKING:
    from python_tsan.tsan.prefix import Form

# A lock-order cycle of 20 mutexes prints 40 stacks of up to 256 frames; a block that is longer has lost its end.
MAX_LINES = 20_000
# What a line takes of a block's room in addition to its letters, and that room: enough for MAX_LINES.
LINE_COST = 200
_ROOM = MAX_LINES * LINE_COST
# \x1b[1m\x1b[31mWARNING: ThreadSanitizer: data race (pid=1); also as cat -v and JSON print it, and without
# its first byte
_COLOUR = (
    r"(?i)(?:\x1b|\^\[|\\(?:u001b|x1b|033|e)(?=\[)|[\u241b\u2190](?=\[))"
    r"(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|_[^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-Za-z])"
    r"|\x9b[0-?]*[ -/]*[@-~]|\[(?:\d{1,3}(?:;\d{1,3})*)m"
)
# What takes no room on a screen: blanks of no width, marks of direction, the byte order mark
_INVISIBLE = re.compile(r"[\0\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
MAX_OVERSTRUCK = 8
# X\bW: overstruck text
_OVERSTRUCK = r"[^\b]\x08"
# CSI as a byte, an escape character in four spellings, NUL, backspace: what only few logs have
_RARE = re.compile(r"[\0\x08\x9b\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u241b\u2190]|\\(?:u001b|x1b|033|e)\[")
# put(std::vector&lt;int&gt; const&amp;) &lt;null&gt;
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
# <span style="color:red">WARNING: ThreadSanitizer: data race (pid=1)</span><br>
_TAG = re.compile(
    r"</(?:span|font|div|pre|code|td|tr|li|p|b)>|<(?:span|font|div|td|tr|li|p|a)\s[^<>=]*=[^<>]*>|<br ?/?>|<pre>"
    r"|^\s*(?:<(?:span|div|td|tr|li|p|ol|ul|code|samp|b)>)+"
)
_TAG_OF_LINE = re.compile(_TAG.pattern, _TAG.flags | re.MULTILINE)
# A text without any of these has no tag; C++ has far more brackets than tags.
_TAG_START = re.compile(r"</?(?:span|font|div|pre|code|td|tr|li|p|b|a|br|ol|ul|samp)\b")

# f(\"x\") in a text in quotes
_QUOTED = re.compile(r"\\([\"\\/])")


class Shape(Enum):
    """What a block is: a finding, or the last words of a runtime that gave up."""

    FINDING = "finding"
    FATAL = "fatal"


class Block(Struct):
    """One block under construction. ``lines`` are free of prefix, colours and line ends, ``raw`` as in the log.

    A block with a ``form`` has a prefix, whose ``numbers`` are those of its heading; ``marks`` has number and prefix
    numbers of each line. ``doubted`` is the form of a prefix that no line but the heading has. The lines of a
    ``wrapped`` block come from a collector's records. ``prefix`` and ``suffix`` are the texts before and
    behind the heading, which each line may have. The prefix of a ``quoted`` one ends with a quote; it has ``between``
    its lines, gap by gap, what names a source.
    """

    shape: Shape
    first_line: int
    form: Form | None = None
    numbers: tuple[int, ...] = ()
    raw: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    marks: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    doubted: Form | None = None
    wrapped: bool = False
    prefix: str = ""
    suffix: str = ""
    quoted: bool = False
    between: list[set[str]] = field(default_factory=list)
    fenced: bool = False
    truncated: bool = False
    strays: int = 0
    room: int = _ROOM

    @property
    def last_line(self) -> int:
        """Number of its last line in the log."""
        return self.marks[len(self.lines) - 1][0] if self.marks else self.first_line + len(self.raw) - 1

    def state(self, number: int) -> tuple[object, ...]:
        """All that decides how it goes on and what it is, seen from the line with this number."""
        forms = tuple(form and form.pattern.pattern for form in (self.form, self.doubted))
        marks = tuple((line - number, numbers) for line, numbers in self.marks)
        flags = (self.shape, self.wrapped, self.fenced, self.truncated, self.strays, self.room)
        texts = (self.prefix, self.suffix, tuple(self.raw), tuple(self.lines))
        return (*forms, self.numbers, self.first_line - number, texts, marks, flags)

    def is_usual(self, form: Form) -> bool:
        """Report whether each line with this prefix that does not end it is simply added."""
        return self.form is form and self.shape is Shape.FINDING and not (self.fenced or self.suffix or self.wrapped)

    def append(self, raw: str, text: str, number: int, numbers: tuple[int, ...]) -> None:
        """Add a line, ``text`` being what is left of it without its prefix."""
        self.raw.append(raw)
        self.room -= len(raw) + LINE_COST
        if self.form or self.doubted or self.wrapped or self.suffix:
            self.lines.append(text)
            self.marks.append((number, numbers))

    def pop(self) -> str:
        """Take out the last line, and return it as it is in the log."""
        raw = self.raw.pop().rstrip("\r\n")
        self.room += len(raw) + LINE_COST
        del self.lines[len(self.raw) :], self.marks[len(self.raw) :]
        return raw

    def extend(self, text: str) -> None:
        """Add a text to the last line."""
        self.raw[-1] = self.raw[-1].rstrip("\r\n") + text
        self.room -= len(text)
        if self.lines:
            self.lines[-1] = self.lines[-1].rstrip("\r\n") + text

    def without_suffix(self, text: str) -> str:
        """Return a line without what the heading has behind it, too: a quote, a cell's end, a closing tag."""
        if not self.suffix or not (bare := text.rstrip()).endswith(self.suffix):
            return text
        bare = bare[: -len(self.suffix)].rstrip()
        return _QUOTED.sub(r"\1", bare) if self.suffix[0] == '"' else bare

    def finish(self) -> Block:
        """Read the lines at once where they have no prefix, which is far cheaper than one by one."""
        if self.form or self.doubted or self.wrapped or self.suffix:
            return self
        text = ("" if self.raw[0].endswith("\n") else "\n").join(self.raw)
        lines = text.removesuffix("\n").split("\n")
        # In HTML every line has a tag; the one after the heading never has a bracket of its own.
        tagged = len(self.raw) > 1 and "<" in self.raw[1]
        if tagged or is_dressed(text) or len(lines) != len(self.raw):
            lines = [clean(line) for line in self.raw]
        self.lines = lines
        return self

    def trim(self) -> list[str]:
        """Cut off what follows the last line that belongs to it; return those lines."""
        self.finish()
        keep = len(self.lines)
        while keep > 1 and not self._belongs(self.lines[keep - 1]):
            keep -= 1
        cut = self.lines[keep:]
        del self.lines[keep:], self.raw[keep:], self.marks[keep:]
        return cut

    def _belongs(self, line: str) -> bool:
        if self.shape is Shape.FATAL and FATAL_DETAIL.match(line):
            return True
        token = lex(line)
        if isinstance(token, GoFunction | GoPlace):
            return bool(GO_HEADING.search(self.lines[0]))
        return token not in {Mark.UNKNOWN, Mark.BLANK}


def has_dress(text: str) -> bool:
    """Report whether :func:`clean` may change one of these lines, tags included."""
    return (
        is_dressed(text)
        or ("<" in text and _TAG_START.search(text) is not None and _TAG_OF_LINE.search(text) is not None)
        or ("[" in text and re.search(_COLOUR, text) is not None)
    )


def is_dressed(text: str) -> bool:
    """Report whether :func:`clean` may have something to do besides tags; fast, for every block is asked."""
    return (
        "\x1b" in text
        or "\r" in text
        or "\xa0" in text
        or ("[" in text and ("[0m" in text or "[1m" in text or "^[[" in text))
        or ("&" in text and _ENTITY.search(text) is not None)
        or ((not text.isascii() or "\0" in text or "\b" in text or "\\" in text) and _RARE.search(text) is not None)
    )


def clean(raw: str) -> str:
    """Return a line without its line end, terminal colours, entities and tags of HTML, and what it overwrites."""
    line = raw.rstrip("\r\n\0")
    if "<" not in line and not is_dressed(line):
        return line
    for _ in range(MAX_OVERSTRUCK if "\b" in line else 0):
        line = re.sub(_OVERSTRUCK, "", line)
    line = _INVISIBLE.sub("", line)
    line = _TAG.sub("", re.sub(_COLOUR, "", line))
    if "&" in line:
        import html  # noqa: PLC0415 -- has a large table, which few logs need

        line = _ENTITY.sub(lambda entity: html.unescape(entity[0]), line)
    prints = line.rstrip("\r").split("\r")
    # What was printed last is seen, but a progress bar does not hide what the sanitizer printed.
    return next(filter(names_sanitizer, reversed(prints)), prints[-1]).replace("\xa0", " ")
