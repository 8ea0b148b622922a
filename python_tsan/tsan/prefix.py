"""Separate the sources of a log by what a collector puts before each line.

``3: `` of ctest, ``web-1  | `` of compose, ``[rank 1] `` of MPI, a pod's name, a program and its pid: two lines are of
one source if the text before them is the same. Only a time may vary, and a number that counts lines. Whether a number
counts or names its source shows in its values: a line's number never comes twice.
"""

from __future__ import annotations

import re

from msgspec import Struct, field

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_CLOCK = r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?"
# 2026-11-23T01:02:03.1234567Z, 2026-11-23 01:02:03,123 +0100, 2026/11/23 01:02:03
# Nov 23 01:02:03, Mon Nov 23 01:02:03 2026
# 23/Nov/2026:01:02:03 +0000
# 01:02:03.456, [00:12], [12.34], +13ms, 12.5s, 1764550800, 1764550800.123456, [   12.345678], #12 3.456
TIME = (
    rf"\d{{4}}[-/.]\d\d[-/.]\d\d[T ]+\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?"
    rf"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?{_MONTH} +\d{{1,2}} {_CLOCK}(?: \d{{4}}\b)?"
    rf"|\d{{1,2}}/(?:{_MONTH}|\d\d)/\d{{2,4}}[: ]{_CLOCK}(?: [+-]\d{{4}})?"
    rf"|(?<![\d:.]){_CLOCK}(?: ?[AP]M)?"
    r"|(?<=\[)\d\d:\d\d(?=\])|(?<=\[)\d+\.\d\d(?=\])|(?<![\w.])\+?\d+(?:\.\d+)?(?:ms|us|ns|s)\b"
    r"|(?<![\w.])1\d{9}(?:\.\d+|\d{3}|\d{6}|\d{9})?(?![\w.])"
    r"|(?<![\w.])\d+\.\d{3,}s?(?![\w.])"
)
# 3: , [rank 1], app[9]: : a number of its own, which may be a line's
NUMBER = re.compile(r"(?<![\w.,-])\d{1,9}(?![\w.,-])")
# How many lines in a row must have a greater number than the line before, until the numbers are taken for lines'.
COUNTING_LINES = 5
# A longer text before a heading is program output, not a collector's prefix.
MAX_PREFIX = 400
MAX_FORMS = 1000
# Where all digits of a prefix are in times and numbers, only their places decide about its form.
DIGITS = str.maketrans("0123456789", "0" * 10)
# So many digits are a time only if the first is a 1.
_LONG_NUMBER = "0" * 10
MAX_CHANGING = 16


class Form(Struct, eq=False):
    """All prefixes that differ in times and numbers alone: ``[rank 1] `` and ``[rank 2] ``.

    ``names`` holds the positions of numbers that name a source, ``run`` counts the last lines whose other numbers
    grew from line to line up to ``last``. ``used`` says that a line other than a heading has shown it.
    """

    pattern: re.Pattern[str]
    names: set[int] = field(default_factory=set)
    used: bool = False
    last: tuple[int, ...] | None = None
    run: int = 0

    @property
    def counts(self) -> bool:
        """Whether the numbers have grown for long enough to be those of lines."""
        return self.run >= COUNTING_LINES

    def numbers(self, line: str) -> tuple[int, tuple[int, ...]] | None:
        """Return where the text of a line starts and the numbers in its prefix; None if its prefix has another form."""
        found = self.pattern.match(line)
        return (found.end(), tuple(map(int, found.groups()))) if found else None

    @property
    def state(self) -> tuple[object, ...]:
        """All that decides how further lines are read."""
        if len(self.names) == self.pattern.groups:  # no number counts lines
            return (self.pattern.pattern, self.used)
        run = min(self.run, COUNTING_LINES)
        return (self.pattern.pattern, self.used, run, self.last, *sorted(self.names))

    def observe(self, numbers: tuple[int, ...], times: int = 1) -> bool:
        """Take note of a line's numbers. Return whether it showed that one of them names the source.

        A line without numbers may be there several ``times``.
        """
        last, self.last = self.last, numbers
        if last is None:
            self.run = times
            return False
        pairs = [(index, old, new) for index, (old, new) in enumerate(zip(last, numbers, strict=True))]
        # Numbers that have counted for long and start again are those of another log behind this one.
        found = {index for index, old, new in pairs if new == old or (new < old and not self.counts)} - self.names
        grew = all(new > old for index, old, new in pairs if index not in self.names and index not in found)
        self.names |= found
        self.run = self.run + times if grew and not found else 1
        return bool(found)

    def name(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """Return the numbers that name a source."""
        return tuple(number for index, number in enumerate(numbers) if index in self.names)


class Forms:
    """The forms that were met in one log, by their pattern."""

    def __init__(self) -> None:
        self._known: dict[str, Form] = {}
        self._alike: dict[str, Form] = {}
        self._changing: dict[str, Form] = {}

    def of(self, prefix: str) -> tuple[Form, tuple[int, ...]] | None:
        """Return the form of the text before a heading, and its numbers; None for no prefix."""
        body = prefix.rstrip()
        if not body or len(body) > MAX_PREFIX:
            return None
        for changing in self._changing.values():
            if changing.used and (whole := changing.pattern.match(prefix)) and whole.end() == len(prefix):
                return changing, ()
        skeleton = prefix.translate(DIGITS)
        form = self._alike.get(skeleton)
        if form is None:
            form = self._find(prefix, body)
            free = not any(map(str.isdecimal, NUMBER.sub("", re.sub(TIME, "|", body))))
            if free and len(self._known) < MAX_FORMS > len(self._alike) and _LONG_NUMBER not in skeleton:
                self._alike[skeleton] = form
        numbers = form.numbers(prefix)
        return (form, numbers[1]) if numbers else None

    @property
    def state(self) -> tuple[object, ...] | None:
        """All that decides which form a further prefix has; None if that is too much."""
        if len(self._known) >= MAX_FORMS or len(self._changing) >= MAX_CHANGING:
            return None
        changing = tuple((text, form.state) for text, form in self._changing.items())
        return (frozenset((text, form.state) for text, form in self._known.items()), changing)

    def skeleton(self, prefix: str, form: Form) -> str:
        """Return the prefix with all digits alike if that alone gives it this form, else an empty text."""
        skeleton = prefix.translate(DIGITS)
        return skeleton if self._alike.get(skeleton) is form else ""

    def _find(self, prefix: str, body: str) -> Form:
        parts: list[str] = []
        done = 0
        for found in re.finditer(TIME, body):
            # A time or number that is aligned to the right has blanks before it, or none.
            parts += [_any_number(body[done : found.start()]).removesuffix(_BLANKS), _BLANKS]
            parts.append(re.sub(_TIME_PART, _any_time, found[0]))
            done = found.end()
        text = "".join([*parts, _any_number(body[done:])])
        form = self._known.get(text)
        if form is None:
            form = Form(re.compile(text + _end(body, len(prefix) - len(body))))
            if len(self._known) < MAX_FORMS:
                self._known[text] = form
        return form

    def changing(self, prefix: str) -> Changing | None:
        """Return what finds out whether words of a prefix change from line to line; None if it has no such word."""
        body = prefix.rstrip()
        if len(body) > MAX_PREFIX or not re.search(_CHANGING, body):
            return None
        text = f"{_changing_words(body)}[ \t]{{0,{len(prefix) - len(body)}}}"
        if text not in self._changing and len(self._changing) < MAX_CHANGING:
            self._changing[text] = Form(re.compile(_GROUP.sub("(?:", text)))
        form, found = self._changing.get(text), re.match(text, prefix)
        return Changing(form, re.compile(text), [found.groups()]) if form and found else None


def _changing_words(body: str) -> str:
    parts, done = [], 0
    for found in re.finditer(_CHANGING, body):
        before = _literal(body[done : found.start()])
        if found["word"]:
            parts += [before, rf"([\w.+@-]{{{_SHORTEST_WORD},80}})"]
        else:
            behind = "[:-]" if found[0][-1] in ":-" else re.escape(found[0][-1])
            parts += [before.removesuffix(":"), "[:-]" if before.endswith(":") else "", r"(\d{1,9})", behind]
        done = found.end()
    return "".join([*parts, _literal(body[done:])])


class Changing(Struct):
    """The words of a heading's prefix and of the lines behind it, which are its own if they change with every line.

    A name of another source comes again; a number that grep puts before a line grows by one.
    """

    form: Form
    pattern: re.Pattern[str]
    words: list[tuple[str, ...]]

    def start(self, line: str) -> int | None:
        """Return where the text of a line behind the prefix starts, if it has one of this form."""
        found = self.pattern.match(line)
        return found.end() if found else None

    def observe(self, line: str) -> bool | None:
        """Take note of a line of this form. Return whether the words change, None as long as that is not known."""
        found = self.pattern.match(line)
        self.words.append(found.groups() if found else ())
        columns = [column for column in zip(*self.words, strict=True) if len(set(column)) > 1]
        if not columns or not all(map(_changes, columns)):
            return False
        return True if len(self.words) > CHANGING_LINES else None


def _changes(words: tuple[str, ...]) -> bool:
    if len(words[0]) >= _SHORTEST_WORD:
        return len(set(words)) == len(words)
    return [int(word) - int(words[0]) for word in words] == list(range(len(words)))


_SHORTEST_WORD = 8
_GROUP = re.compile(r"(?<!\\)\(")
# 1a2b3c4d-0000, @4000000065a1b2, 20261123T010203Z: a word that is too long for a name, with four digits or more
# test.log:12: and test.log-13-, as grep puts them before what it has found and the lines around it; 12," in a table
_CHANGING = (
    rf"(?P<word>(?<![\w.+@-])(?=[\w.+@-]{{{_SHORTEST_WORD}}})(?=(?:[\w.+@-]*?\d){{4}})[\w.+@-]{{1,80}})"
    r"|(?<![\w.+@])(?P<line>\d{1,9})(?:[:-](?=$|\s)|[,;](?=[\"']|$))"
)
CHANGING_LINES = 2
_BLANKS = r"[ \t]*"


def _end(body: str, blanks: int) -> str:
    """Return a pattern for the blanks behind a prefix: ``w6 `` is no prefix of ``w68 ``.

    An empty line may have lost them, and a number that is aligned to the left may have more or fewer.
    """
    if NUMBER.search(body, len(body.rstrip("0123456789"))):
        return rf"[ \t]{{0,{blanks}}}"
    return rf"(?:[ \t]{{{blanks}}}|[ \t]*$)" if blanks else ""


# The parts of a time: a fraction (which may be left out), digits, names of months and zones, blanks, the rest
_TIME_PART = r"(?P<fraction>[.,]\d+)|(?P<digits>\d+)|(?P<letters>[A-Za-z]+)|(?P<blank>\s+)|(?P<other>.)"
_ANY = {"fraction": r"(?:[.,]\d+)?", "digits": r"\d+", "letters": "[A-Za-z]+", "blank": r"[ \t]+"}


def _any_time(part: re.Match[str]) -> str:
    return _ANY.get(part.lastgroup or "") or re.escape(part[0])


def _any_number(text: str) -> str:
    """Return a pattern for a text in which numbers of their own, and the blanks that pad them, may differ."""
    parts = []
    done = 0
    for found in NUMBER.finditer(text):
        parts += [_literal(text[done : found.start()]).removesuffix(_BLANKS), _BLANKS, r"(\d{1,9})(?![\w.,-])"]
        done = found.end()
    return "".join([*parts, _literal(text[done:])])


def _literal(text: str) -> str:
    return _BLANKS.join(map(re.escape, re.split(r"[ \t]+", text)))
