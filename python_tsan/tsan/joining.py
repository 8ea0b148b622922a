"""Make whole lines of what log drivers have cut in pieces or wrapped in records: the stage before the blocks.

What a line is decides only what came before it in the log, never a block. One kind of line cannot be whole before a
later one is here without holding up the log: GitLab marks the line that goes on with an earlier one, not that earlier
one. Such a line is handed on as :class:`~.partial.Appended`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from python_tsan.tsan.block import clean
from python_tsan.tsan.documents import ENDS, Document, opener
from python_tsan.tsan.lexer import lex, names_sanitizer
from python_tsan.tsan.partial import Appended, Partial, Partials, appended, docker_ends, is_full, is_marked, piece_of
from python_tsan.tsan.prefix import Forms
from python_tsan.tsan.records import VERBOSE, Entry, Record, Unwrapper, holds_several, may_be_wrapped, pieces
from python_tsan.tsan.tokens import Mark

if TYPE_CHECKING:
    from python_tsan.tsan.outside import Outside

# Sources of JSON records; the lines of all further ones are read as one.
MAX_RECORD_SOURCES = 64
# Documents that are open at a time, and lines of others between two lines of one.
MAX_DOCUMENTS = 8
MAX_BETWEEN = 64
# Lines in a document that are not JSON, if it matters.
MAX_STRAYS = 8
# A report in one line has its heading and at least one more line.
_FEWEST_PIECES = 2


class Where(Enum):
    """Where whole lines belong."""

    LOG = "to the log itself"
    SOURCE = "to one source of records"
    NONE = "to no block: the source of this record has printed nothing of the sanitizer's"
    ALONE = "together: they are a whole report that was in one line"
    BROKEN = "each to itself: they are what is left of a document"


class Whole(NamedTuple):
    """Whole lines, which began ``ago`` lines ago; ``source`` is the number of their source if they belong to one."""

    where: Where
    lines: list[str]
    source: int = 0
    ago: int = 0


Joined = Whole | Appended


class Joiner:
    """Joins and unwraps the lines of one log; ``outside`` counts those that lack their end."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self._partials: Partials[str | Record] = Partials(outside)
        self._entry: Entry | None = None  # of the journal, as far as it was read
        self._documents: list[Document] = []  # of several lines, as far as they were read
        self._forms = Forms()  # of what is before their lines
        self._unwrapper = Unwrapper()
        self._sources: dict[str, int] = {}  # of records that speak, by name
        self._count = 0  # of all sources so far
        self._headings: dict[str, Record] = {}  # of sources with no line behind their latest heading

    @property
    def is_open(self) -> bool:
        """Whether any line may be a record, or a part of a line."""
        return bool(self._sources or self._partials.open or self._entry or self._documents)

    @property
    def state(self) -> tuple[object, ...] | None:
        """All that decides how further lines are read; None for what cannot be compared."""
        wrapped = self._sources or self._entry or self._documents or self._unwrapper != Unwrapper()
        return None if wrapped else self._partials.state

    def again(self, outside: Outside) -> Joiner:
        """Return a joiner that knows what this one does of the log, and has no line open."""
        joiner = Joiner(outside)
        joiner._partials.ended = self._partials.ended
        return joiner

    def join(self, raw: str, *, speaks: bool) -> list[Joined] | None:
        """Return what a line of the log completes; None if it is a whole line itself, as nearly all are."""
        # The cheapest test that misses no part of a line or of a document, for every line.
        if (
            "P" in raw
            or "+" in raw
            or raw[-1:] in ENDS
            or raw[:1] in {"{", "_"}
            or "partial_m" in raw
            or self._documents
            or self._partials.open
            or self._entry
        ):
            if self._documents or (raw.rstrip()[-1:] in {"{", "["} and not self._entry):
                return self._join_documents(raw, speaks=speaks)
            return self._join_parts(raw, speaks=speaks)
        return self.unwrap(raw, speaks=speaks)

    def unwrap(self, raw: str, *, speaks: bool) -> list[Joined] | None:
        """Return the lines that a collector has wrapped in a whole one, see :mod:`.records`; None if it has not."""
        if self._sources or '"MESSAGE"' in raw or (speaks and may_be_wrapped(raw)):
            return self._unwrap(raw, speaks=speaks)
        return None

    def _unwrap(self, raw: str, *, speaks: bool) -> list[Joined] | None:
        """Return the lines in one that may be wrapped."""
        if records := self._unwrapper.records(clean(raw)):
            return [whole for record in records for whole in self._record(record)]
        if speaks and holds_several(raw):
            parts = pieces(raw.rstrip("\r\n"))
            if sum(lex(clean(part)) not in {Mark.UNKNOWN, Mark.BLANK} for part in parts) >= _FEWEST_PIECES:
                return [Whole(Where.ALONE, parts)]
        return None

    def end(self) -> list[Joined]:
        """Return the lines that have no end in the log."""
        documents = [whole for document in list(self._documents) for whole in self._end_document(document)]
        return [
            *documents,
            *self._end_entry(),
            *(whole for part in self._partials.end() for whole in self._given_up(part)),
        ]

    def _join_documents(self, raw: str, *, speaks: bool) -> list[Joined] | None:
        """Read a line that may be one of a document of several lines."""
        line = clean(raw)
        done: list[Joined] = []
        for document in list(self._documents):
            text = document.text(line)
            if text is not None and document.take(text, raw, speaks=speaks):
                ends = document.is_whole or document.is_too_long
                return done + (
                    self._end_document(document) if ends else self._taken_out(document) if document.is_long else []
                )
            document.strays += 1
            matters = document.speaks or self._sources
            if document.strays > (MAX_BETWEEN if text is None else MAX_STRAYS if matters else 0):
                done += self._end_document(document)
        if not self._entry and (found := opener(line)):
            prefix, text = found
            known = self._forms.of(prefix)
            if known or not prefix:
                done += self._end_document(self._documents[0]) if len(self._documents) >= MAX_DOCUMENTS else []
                document = Document(prefix, *(known or ()))
                document.begin(text, raw)
                self._documents.append(document)
                return done
        rest = self._join_parts(raw, speaks=speaks)
        if not done:
            return rest
        return done + ([Whole(Where.LOG, [raw])] if rest is None else rest)

    def _end_document(self, document: Document) -> list[Joined]:
        """Return what a document holds, of which the end is here or is lost."""
        self._documents.remove(document)
        if not (document.speaks or self._sources):
            return [Whole(Where.LOG, document.raws)] if document.raws else []
        if not document.is_whole:
            self.outside.unfinished += 1
        taken = self._taken_out(document)
        # No other lines may go on with what is not understood.
        return taken or [Whole(Where.BROKEN if document.speaks else Where.NONE, document.raws)]

    def _taken_out(self, document: Document) -> list[Joined]:
        """Take the lines of output out of a document; they are ordinary lines if there is no output of a source."""
        speaks = document.speaks or bool(self._sources)
        goes_on = not document.is_whole and document.is_long
        value = document.value() if speaks or goes_on else None
        if not speaks:
            done: list[Joined] = [Whole(Where.LOG, document.raws)]
        else:
            records = self._unwrapper.found(document.prefix, value)
            ago = document.places([record.text for record in records])
            done = [
                whole._replace(ago=lines) if isinstance(whole, Whole) else whole
                for record, lines in zip(records, ago, strict=True)
                for whole in self._record(record)
            ]
        if goes_on and value is not None:
            document.shorten(value)
        return done

    def _join_parts(self, raw: str, *, speaks: bool) -> list[Joined] | None:
        if self._entry or raw.startswith("__CURSOR=") or (";i=" in raw and VERBOSE.match(raw)):
            return self._field(raw)
        if raw[:1] != "{":
            if "+" in raw and (more := appended(raw)):
                return [more]
            if (self._partials.open or "P" in raw) and (piece := piece_of(raw)):
                if piece.cut:
                    return self._keep(piece.source, piece.prefix, piece.text)
                before = self._partials.finish(piece.source)
                return self._line(f"{piece.prefix}{before.text}{piece.text}") if before else self._line(raw)
        if self._partials.open or self._is_part(raw):
            return self._unwrap(raw, speaks=speaks)
        return self.unwrap(raw, speaks=speaks)

    def _line(self, raw: str) -> list[Joined]:
        """Return what a line is that was joined."""
        wrapped = self.unwrap(raw, speaks=names_sanitizer(raw))
        return [Whole(Where.LOG, [raw])] if wrapped is None else wrapped

    def _is_part(self, raw: str) -> bool:
        """Report whether a line is a record that is only a part of a line."""
        ends = docker_ends(raw)
        if is_marked(raw) or ends is None:
            return is_marked(raw)
        self._partials.ended = self._partials.ended or ends
        return not ends and (self._partials.ended or is_full(raw))

    def _field(self, raw: str) -> list[Joined]:
        """Read a line of the journal's export format, in which each entry is several lines."""
        if self._entry is None and VERBOSE.match(raw):
            self._entry = Entry(indented=True)
            return []
        self._entry = self._entry or Entry()
        if self._entry.take(raw):
            return []
        done = self._end_entry()
        if raw:
            more = self.join(raw, speaks=names_sanitizer(raw))
            done += [Whole(Where.LOG, [raw])] if more is None else more
        return done

    def _end_entry(self) -> list[Joined]:
        entry, self._entry = self._entry, None
        record = self._unwrapper.entry(entry) if entry else None
        return self._record(record) if record else []

    def _keep(self, source: str, head: str | Record, text: str, *, certain: bool = True) -> list[Joined]:
        """Keep a part of a line until its next one is here; return the line that is given up for it."""
        given_up = self._partials.begin(source, head, text, certain=certain)
        return self._given_up(given_up) if given_up else []

    def _given_up(self, part: Partial[str | Record]) -> list[Joined]:
        """Return a line of which the rest is lost."""
        if isinstance(part.head, Record):
            return [self._whole(replace(part.head, text=part.text))]
        return self._line(f"{part.head}{part.text}")

    def _record(self, record: Record) -> list[Joined]:
        """Read a record, or keep it until the rest of its line is here."""
        source = self._name(record)
        self._partials.ended = self._partials.ended or (record.fed and record.text.endswith("\n"))
        full = is_full(record.text)
        if record.cut or (record.fed and record.text[-1:] != "\n" and (full or self._partials.ended)):
            return self._keep(source, record, record.text, certain=full or (record.cut and record.certain))
        before = self._partials.finish(source)
        return [self._whole(replace(record, text=before.text + record.text) if before else record)]

    def _whole(self, record: Record) -> Whole:
        """Return the lines of a record whose text is whole."""
        lines = record.text.removesuffix("\n").split("\n")
        speaks = names_sanitizer(record.text)
        name = self._name(record)
        if name not in self._sources and not speaks and self._learn(record, lines[0]):
            name = self._name(record)
        if name not in self._sources:
            if not speaks:
                return Whole(Where.NONE, lines)
            name = name if len(self._sources) < MAX_RECORD_SOURCES else ""
            self._count += name not in self._sources
            self._sources.setdefault(name, self._count)
        self._headings.pop(name, None)
        if speaks and len(lines) == 1:
            self._headings[name] = record
        return Whole(Where.SOURCE, lines, self._sources[name])

    def _learn(self, record: Record, line: str) -> bool:
        """Report whether a line goes on with a heading whose record has other values in fields that name no source."""
        if not self._headings or lex(line) in {Mark.UNKNOWN, Mark.BLANK, Mark.FENCE}:
            return False
        if not any(self._unwrapper.learn(heading, record) for heading in reversed(self._headings.values())):
            return False
        for before, heading in list(self._headings.items()):
            name = self._name(heading)
            self._headings[name] = self._headings.pop(before)
            self._sources[name] = self._sources.pop(before)
        return True

    def _name(self, record: Record) -> str:
        return record.source(self._unwrapper.varying)
