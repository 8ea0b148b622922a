"""Find where ThreadSanitizer blocks begin and end in a log; the lexer and the parser read what their lines say.

Lines of several sources may be mixed: each has one open block of its own, see :mod:`.prefix` and :mod:`.records`.
Memory is bounded by the open blocks: of the lines outside of them only counts and a few samples are kept.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from python_tsan.tsan.block import LINE_COST, Block, Shape, clean
from python_tsan.tsan.lexer import FENCE, GO_HEADING, HEADING, SUMMARY, lex, names_sanitizer
from python_tsan.tsan.notices import FATAL, FATAL_DETAIL, GO_TEST, Tally, is_notice, may_matter, other_tool
from python_tsan.tsan.partial import (
    MAX_APPENDED,
    Appended,
    Partial,
    Partials,
    appended,
    docker_ends,
    is_full,
    is_marked,
    piece_of,
    stream_of,
)
from python_tsan.tsan.prefix import Changing, Form, Forms
from python_tsan.tsan.records import Entry, Record, Unwrapper, holds_several, pieces
from python_tsan.tsan.tokens import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Blocks of as many sources are open at a time; the oldest is cut then.
MAX_OPEN = 32
# Sources of JSON records; the lines of all further ones are read as one.
MAX_RECORD_SOURCES = 64
# Program output may stand between the lines of a crash's block; after so much of it, the block is over.
MAX_STRAYS = 8
MAX_SUFFIX = 200
MAX_SAMPLES = 20
MAX_SAMPLE_LENGTH = 500
# ==4711==ABORTING
_ABORTING = re.compile(r"==\d+==ABORTING\s*$")
# 12: , web-1  | , [rank 1] , GET> : how a collector's prefix ends, as opposed to output without a line end
_PREFIX_END = re.compile(r"[:|\]>)\s]$")


@dataclass(slots=True)
class Splitter:
    """Cuts a log into blocks. Its counts say what was outside of them.

    ``number`` is that of the latest line. ``outside`` counts lines of no concern (not blank, no fence), ``strange``
    those that name ThreadSanitizer and yet are nothing known, of which ``samples`` keeps the first few. ``notices``
    counts the runtime's remarks outside of blocks: with them and no block, a program ran under it and nothing was
    found, unless ``tally`` misses reports. ``other_tools`` names the checkers of which lines were seen.
    """

    number: int = 0
    outside: int = 0
    strange: int = 0
    notices: int = 0
    samples: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    other_tools: dict[str, None] = field(default_factory=dict)
    _plain: Block | None = None  # without a prefix
    _others: list[Block] = field(default_factory=list)  # with one, the oldest first
    _live: list[Form] = field(default_factory=list)  # of the prefixes of headings, the latest last
    _fresh: Block | None = None  # opened by the line before
    _suspect: tuple[Block | None, Changing | None] = (None, None)  # opened a few lines before, may have another prefix
    _held: list[tuple[str, str, int]] = field(default_factory=list)  # lines that may go on with it
    _patience: int = 0
    forms: Forms = field(default_factory=Forms)
    _records: dict[str, Splitter] = field(default_factory=dict)
    _unwrapper: Unwrapper = field(default_factory=Unwrapper)
    _heading: Record | None = None  # the record before, if its text is one line that speaks
    _partials: Partials[str | Record] = field(default_factory=Partials)
    _entry: Entry | None = None  # of the journal, as far as it was read
    _latest: str = ""  # line outside of blocks, if no block has ended since
    _done: list[Block] = field(default_factory=list)
    _nested: bool = False  # reads what was unwrapped

    def split(self, lines: Iterable[str], *, last: bool = True) -> Iterator[Block]:
        """Yield each block when it has ended; a line may keep its line end. Never raises on any text.

        Unless these lines are the ``last`` of the log, blocks stay open for another call.
        """
        fast = self._fast()
        nowhere = Block(Shape.FINDING, 0)
        append, room = (fast or nowhere).raw.append, (fast or nowhere).room
        for raw in lines:
            self.number += 1
            # Nearly all lines of a block end nothing; _take would find that out too, at three times the cost.
            if fast is not None and (
                raw.startswith("    #") or not ("ThreadSanitizer" in raw or FENCE in raw or "WARNING: D" in raw)
            ):
                append(raw)
                room -= len(raw) + LINE_COST
                if room > 0:
                    continue
                self._cut(fast)
            elif fast is not None and raw.startswith("SUMMARY: ThreadSanitizer: "):
                append(raw)
                self._finish(fast)
            elif raw == FENCE and not (self._plain or self._live or self._is_wrapped()):
                continue
            else:
                if fast is not None:
                    fast.room = room
                self._take(raw, self.number)
            if self._done:
                yield from self._done
                self._done.clear()
            fast = self._fast()
            if fast is not None:
                append, room = fast.raw.append, fast.room
        (fast or nowhere).room = room
        yield from self._ended(last=last)

    @property
    def state(self) -> tuple[object, ...] | None:
        """All that decides how further lines are read; None for what cannot be compared."""
        forms = self.forms.state
        wrapped = self._records or self._entry or self._unwrapper != Unwrapper()
        if forms is None or wrapped or self._fresh or self._is_suspicious():
            return None
        blocks = [each.state(self.number) for each in (self._plain, *self._others) if each]
        live = tuple(form.pattern.pattern for form in self._live)
        return (forms, live, self._partials.state, stream_of(self._latest), self._plain is None, *blocks)

    def _is_suspicious(self) -> bool:
        """Report whether a heading was read behind which the prefix may change."""
        block, changing = self._suspect
        return (
            block is not None
            and changing is not None
            and block in self._others
            and not (block.form and block.form.used)
        )

    def part(self) -> Splitter:
        """Return a splitter that knows the same prefixes, has no open block, and counts from 0."""
        forms = copy.deepcopy((self.forms, self._live))
        partials: Partials[str | Record] = Partials(ended=self._partials.ended)
        return Splitter(number=self.number, forms=forms[0], _live=forms[1], _partials=partials)

    def renumber(self, shift: int) -> None:
        """Let the lines so far have other numbers."""
        self.number += shift
        for block in (self._plain, *self._others):
            if block:
                block.first_line += shift
                block.marks = [(line + shift, numbers) for line, numbers in block.marks]

    def clear_counts(self) -> None:
        """Count from 0 what is outside of blocks."""
        self.outside = self.strange = self.notices = 0
        self.samples, self.tally, self.other_tools = [], Tally(), {}
        self._partials.unfinished = 0

    def extend(self, later: Splitter) -> None:
        """Add the counts of what follows in the log."""
        self.outside += later.outside
        self.strange += later.strange
        self.notices += later.notices
        self.samples = [*self.samples, *later.samples][:MAX_SAMPLES]
        self.tally.extend(later.tally)
        self.other_tools |= later.other_tools
        self._partials.unfinished += later.unfinished

    @property
    def unfinished(self) -> int:
        """How many lines lack their end, which may matter."""
        return self._partials.unfinished

    @property
    def idle(self) -> bool:
        """Whether no block is open, and no line so far has changed how the next ones are read."""
        return not (self._plain or self._live or self._others or self._is_wrapped() or self._fresh)

    def _is_wrapped(self) -> bool:
        """Report whether a line is taken for a record, or a part of one."""
        return bool(self._records or self._partials.open or self._entry)

    def settled_form(self) -> Form | None:
        """Return the form of all prefixes, if lines of it are read alike from here on; None if there is another state.

        It was seen on more than a heading, and its numbers name sources; no block is open but those of its sources.
        """
        if len(self._live) != 1 or self._plain or self._is_wrapped() or self._fresh or self._is_suspicious():
            return None
        form = self._live[0]
        settled = form.used and len(form.names) == form.pattern.groups
        return form if settled and all(block.is_usual(form) for block in self._others) else None

    def is_between_blocks(self) -> bool:
        """Report whether no block is open, and prefixes have no numbers."""
        return not self._others and not self._live[0].pattern.groups

    def open_by_numbers(self) -> dict[tuple[int, ...], Block] | None:
        """Return the open blocks by the numbers of their sources; None if a source has two."""
        blocks = {block.numbers: block for block in self._others}
        return blocks if len(blocks) == len(self._others) else None

    def has_room(self) -> bool:
        """Report whether a further block can be opened without ending another one."""
        return len(self._others) < MAX_OPEN

    def begin(self, form: Form, numbers: tuple[int, ...], raw: str, line: str, prefix: str) -> Block:
        """Open the block of a source that has none open, at a heading behind a prefix that is known."""
        number = self.number + 1
        block = Block(Shape.FINDING, number, form, numbers, wrapped=self._nested, prefix=prefix)
        block.append(raw, line, number, numbers)
        form.observe(numbers)
        self.tally.heading()
        self._others.append(block)
        return block

    def finish(self, block: Block) -> None:
        """End a block at its summary; :meth:`split` does not yield it."""
        self._remove(block)
        block.finish()

    def _fast(self) -> Block | None:
        """Return the open block if every line that does not end it belongs to it."""
        block = self._plain
        if block is None or self._live or self._is_wrapped() or block.fenced or block.suffix:
            return None
        return block if block.shape is Shape.FINDING else None

    def _take(self, raw: str, number: int) -> None:
        # The cheapest test that misses no part of a line, for every line.
        if (
            "P" in raw
            or "+" in raw
            or raw[:1] in {"{", "_"}
            or "partial_m" in raw
            or self._partials.open
            or self._entry
        ):
            self._take_part(raw, number)
        else:
            self._take_line(raw, number)

    def _take_part(self, raw: str, number: int) -> None:
        """Read a line, or keep it until the rest of it is here."""
        if self._entry or raw.startswith("__CURSOR="):
            self._take_field(raw, number)
        elif raw[:1] == "{":
            self._take_line(raw, number, wrapped=bool(self._partials.open) or self._is_part(raw))
        elif "+" in raw and (more := appended(raw)):
            self._take_rest(more, number)
        elif (self._partials.open or "P" in raw) and (piece := piece_of(raw)):
            if piece.cut:
                self._keep(piece.source, piece.prefix, piece.text, number)
            else:
                before = self._partials.finish(piece.source)
                self._take_line(f"{piece.prefix}{before.text}{piece.text}" if before else raw, number)
        else:
            self._take_line(raw, number, wrapped=bool(self._partials.open) or self._is_part(raw))

    def _take_line(self, raw: str, number: int, *, wrapped: bool = False) -> None:
        speaks = names_sanitizer(raw)
        wrapped = wrapped or bool(self._records) or (speaks and may_be_wrapped(raw)) or '"MESSAGE"' in raw
        if wrapped and self._unwrap(raw, number, speaks=speaks):
            return
        fresh, self._fresh = self._fresh, None
        line = clean(raw)
        opened = self._open(line, raw, number) if speaks else None
        if opened is not None:
            self._begin(opened)
            return
        block, text, numbers = self._source(line)
        if block is None and (found := self._follow_changes(line, raw, number)):
            block, text = found
        if block is None and fresh is not None:
            block, text = self._adopt(fresh, line), line
        if block is not None and block.fenced:
            self._finish(block)
            block = None
        if block is None:
            self._outside(raw, speaks=speaks)
        else:
            self._inside(block, raw, text, number, numbers, speaks=speaks)

    def _unwrap(self, raw: str, number: int, *, speaks: bool) -> bool:
        """Read a line that a collector has wrapped by a splitter of its source; return False if it is not one."""
        records = self._unwrapper.records(clean(raw))
        if not records:
            return speaks and holds_several(raw) and self._take_pieces(pieces(raw.rstrip("\r\n")), number)
        for record in records:
            self._take_record(record, number)
        return True

    def _is_part(self, raw: str) -> bool:
        """Report whether a line is a record that is only a part of a line."""
        ends = docker_ends(raw)
        if is_marked(raw) or ends is None:
            return is_marked(raw)
        self._partials.ended = self._partials.ended or ends
        return not ends and (self._partials.ended or is_full(raw))

    def _take_field(self, raw: str, number: int) -> None:
        """Read a line of the journal's export format, in which each entry is several lines."""
        self._entry = self._entry or Entry()
        if not self._entry.take(raw):
            self._end_entry(number)
            if raw:
                self._take(raw, number)

    def _end_entry(self, number: int) -> None:
        entry, self._entry = self._entry, None
        if entry and (record := self._unwrapper.entry(entry)):
            self._take_record(record, number)

    def _keep(self, source: str, head: str | Record, text: str, number: int, *, certain: bool = True) -> None:
        """Keep a part of a line until its next one is here."""
        if given_up := self._partials.begin(source, head, text, certain=certain):
            self._take_partial(given_up, number)

    def _take_partial(self, part: Partial[str | Record], number: int) -> None:
        """Read a line of which the rest is lost."""
        if isinstance(part.head, Record):
            self._take_whole(replace(part.head, text=part.text), number)
        else:
            self._take_line(f"{part.head}{part.text}", number)

    def _take_rest(self, more: Appended, number: int) -> None:
        """Read the line that a line goes on with, and this one behind it."""
        before = more.prefix
        if len(self._latest) > MAX_APPENDED:
            self._latest = ""
        if not HEADING.match(more.text):  # else output without a line end is before it
            block, _, _ = self._source(more.prefix)
            if (
                block is not None
                and block is not self._plain
                and not block.fenced
                and len(block.raw[-1]) < MAX_APPENDED
            ):
                if len(block.raw) == 1:
                    block.extend(more.text)
                    return
                before = block.pop()
            elif stream_of(self._latest) == more.stream:
                before = self._latest.rstrip("\r\n")
        self._take_line(before + more.text, number)

    def _take_record(self, record: Record, number: int) -> None:
        """Read a record, or keep it until the rest of its line is here."""
        source = self._record_source(record)
        self._partials.ended = self._partials.ended or (record.fed and record.text.endswith("\n"))
        full = is_full(record.text)
        if record.cut or (record.fed and record.text[-1:] != "\n" and (full or self._partials.ended)):
            self._keep(source, record, record.text, number, certain=full or (record.cut and record.certain))
        elif before := self._partials.finish(source):
            self._take_whole(replace(record, text=before.text + record.text), number)
        else:
            self._take_whole(record, number)

    def _take_whole(self, record: Record, number: int) -> None:
        heading, self._heading = self._heading, None
        lines = record.text.removesuffix("\n").split("\n")
        speaks = names_sanitizer(record.text)
        source = self._record_source(record)
        if source not in self._records and not speaks and heading and lex(lines[0]) is not Mark.UNKNOWN:
            before = self._record_source(heading)
            if before in self._records and self._unwrapper.learn(heading, record):
                source = self._record_source(record)
                self._records[source] = self._records.pop(before)
        child = self._records.get(source)
        if child is None:
            if not speaks:
                for text in lines:
                    self._outside(text, speaks=False)
                return
            if len(self._records) >= MAX_RECORD_SOURCES:
                source = ""
            child = self._records.setdefault(source, self._child())
        if speaks and len(lines) == 1:
            self._heading = record
        for text in lines:
            child._take(text, number)  # noqa: SLF001 -- of this class
        self._collect(child)

    def _record_source(self, record: Record) -> str:
        return record.source(self._unwrapper.varying)

    def _take_pieces(self, parts: list[str], number: int) -> bool:
        if sum(lex(clean(part)) not in {Mark.UNKNOWN, Mark.BLANK} for part in parts) < 2:  # noqa: PLR2004 -- a heading and more
            return False
        child = self._child()
        for part in parts:
            child._take(part, number)  # noqa: SLF001 -- of this class
        child._end()  # noqa: SLF001
        self._collect(child)
        return True

    def _child(self) -> Splitter:
        return Splitter(tally=self.tally, other_tools=self.other_tools, samples=self.samples, _nested=True)

    def _collect(self, child: Splitter) -> None:
        self._done += child._done
        child._done.clear()
        self.outside += child.outside
        self.strange += child.strange
        self.notices += child.notices
        child.outside = child.strange = child.notices = 0
        self._partials.unfinished += child.unfinished
        child._partials.unfinished = 0

    def _open(self, line: str, raw: str, number: int) -> Block | None:
        """Start a block if this line is a first line."""
        shape = Shape.FINDING
        found = HEADING.search(line) or GO_HEADING.search(line)
        if found is None:
            shape, found = Shape.FATAL, FATAL.search(line)
        if found is None:
            return None
        known = self.forms.of(line[: found.start()])
        form, numbers = known or (None, ())
        block = Block(shape, number, form, numbers, wrapped=self._nested)
        block.prefix, rest = line[: found.start()], line[found.end() :].strip()
        # ", ' | </Data>: what may stand behind every line, as opposed to the end of a sentence
        if shape is Shape.FINDING and len(rest) <= MAX_SUFFIX and rest not in {":", ".", ")", "]"}:
            block.suffix = rest
        block.append(raw, line[found.start() :], number, numbers)
        return block

    def _begin(self, opened: Block) -> None:
        """Make a block the open one of its source, and end the one that was."""
        form = opened.form
        if form:
            self._observe(form, opened.numbers)
        for block in [each for each in (self._plain, *self._others) if each and self._is_replaced(each, opened)]:
            if _continues(block, opened):
                block.append(opened.raw[0], "".join(opened.lines), opened.first_line, opened.numbers)
                return
            if block.fenced:
                block.truncated = True
                self._finish(block)
            else:
                self._cut(block)
        if opened.shape is Shape.FINDING:
            self.tally.heading()
        if form is None:
            self._plain = opened
        else:
            if form not in self._live:
                self._live = [*self._live, form][-MAX_OPEN:]
            if len(self._others) >= MAX_OPEN:
                self._cut(self._others[0])
            self._others.append(opened)
            self._fresh = None if form.used else opened
            if not form.used:
                self._suspect, self._held, self._patience = (
                    (opened, self.forms.changing(opened.prefix)),
                    [],
                    MAX_STRAYS,
                )

    def _is_replaced(self, block: Block, opened: Block) -> bool:
        form = opened.form
        if block.form is not form:
            return False
        if form is None or block.numbers == opened.numbers:
            return True
        return form.name(block.numbers) == form.name(opened.numbers) and (
            form.counts or len(form.names) == len(opened.numbers)
        )

    def _observe(self, form: Form, numbers: tuple[int, ...]) -> None:
        """Take note of a prefix's numbers; give lines back that are now seen to be of another source."""
        news = form.observe(numbers)
        for block in self._others:
            if block.form is form:
                pairs = enumerate(zip(block.numbers, numbers, strict=True))
                same = {index for index, (old, new) in pairs if old == new}
                # A number that counts lines cannot be that of the heading again.
                if not same <= form.names:
                    form.names |= same
                    news = True
        if news:
            self._return_lines([block for block in self._others if block.form is form])

    def _return_lines(self, blocks: list[Block]) -> None:
        """Take out of blocks the lines of other sources, and put them where they belong."""
        returned = []
        for block in blocks:
            form = block.form
            if form is None:
                continue
            name = form.name(block.numbers)
            strangers = [index for index, (_, numbers) in enumerate(block.marks) if form.name(numbers) != name]
            for index in reversed(strangers):
                returned.append((block.marks[index], block.raw[index], block.lines[index], form))
                del block.marks[index], block.raw[index], block.lines[index]
        for (number, numbers), raw, text, form in sorted(returned, key=lambda each: each[0][0]):
            holder = self._holder(form, numbers)
            speaks = "ThreadSanitizer" in raw
            if holder is None or number < holder.first_line:
                self._outside(raw, speaks=speaks)
            else:
                self._inside(holder, raw, text, number, numbers, speaks=speaks)

    def _source(self, line: str) -> tuple[Block | None, str, tuple[int, ...]]:
        """Return the open block that a line belongs to, and its text without the prefix."""
        best: tuple[int, tuple[int, ...], Form] | None = None
        for form in reversed(self._live):
            found = form.numbers(line)
            if found and (best is None or found[0] > best[0]):
                best = (*found, form)
        if best is None:
            return self._plain, line, ()
        start, numbers, form = best
        plain = self._plain
        if plain is not None and plain.doubted is form and lex(line[start:]) is not Mark.UNKNOWN:
            self._restore(plain)
        form.used = True
        if numbers:
            self._observe(form, numbers)
        return self._holder(form, numbers), line[start:], numbers

    def _holder(self, form: Form, numbers: tuple[int, ...]) -> Block | None:
        """Return the latest block of this form whose source has these numbers."""
        name = form.name(numbers)
        return next((b for b in reversed(self._others) if b.form is form and form.name(b.numbers) == name), None)

    def _follow_changes(self, line: str, raw: str, number: int) -> tuple[Block, str] | None:
        """Return the block of a heading if this line goes on with it behind a prefix whose words change."""
        block, changing = self._suspect
        if block is None or changing is None:
            return None
        start = changing.start(line)
        self._patience -= 1
        if self._patience < 0 or block.form is None or block.form.used or block not in self._others:
            self._suspect = None, None
        elif start is not None and lex(text := block.without_suffix(line[start:])) is not Mark.UNKNOWN:
            changes = changing.observe(line)
            if changes is None:
                self._held.append((raw, text, number))
            else:
                self._suspect = None, None
            if changes:
                self._change(block, changing.form)
                return block, text
        return None

    def _change(self, block: Block, form: Form) -> None:
        """Give a block a form in which words change, and the lines that were held back until that was known."""
        self._live = [*(each for each in self._live if each is not block.form), form][-MAX_OPEN:]
        block.form, block.numbers, block.marks = form, (), [(number, ()) for number, _ in block.marks]
        form.used = True
        for raw, text, number in self._held:
            block.append(raw, text, number, ())
        self.outside -= len(self._held)

    def _adopt(self, fresh: Block, line: str) -> Block | None:
        """Make a block a plain one if only its heading has a prefix: output without a line end, or a logger's."""
        if self._plain is not None or fresh not in self._others or lex(line) in {Mark.UNKNOWN, Mark.BLANK}:
            return None
        self._others.remove(fresh)
        fresh.doubted, fresh.form = fresh.form, None
        self._plain = fresh
        return fresh

    def _restore(self, block: Block) -> None:
        """Take back :meth:`_adopt`: the prefix is a real one, so the lines without it are of another source."""
        returned = block.raw[1:]
        del block.raw[1:], block.lines[1:], block.marks[1:]
        block.form, block.doubted = block.doubted, None
        self._plain = None
        self._others.append(block)
        for raw in returned:
            self._outside(raw, speaks="ThreadSanitizer" in raw)

    def _inside(
        self, block: Block, raw: str, text: str, number: int, numbers: tuple[int, ...], *, speaks: bool
    ) -> None:
        text = block.without_suffix(text)
        fence = FENCE in text and text.rstrip().endswith(FENCE)
        summary = SUMMARY.search(text) if speaks else None
        if (fence or summary) and self._is_strange(block, numbers):
            holder = self._holder(block.form, numbers) if block.form else None
            if holder is None:
                self._outside(raw, speaks=speaks)
            else:
                self._inside(holder, raw, text, number, numbers, speaks=speaks)
        elif fence and not self._is_prefix(text.rstrip().removesuffix(FENCE)):
            block.fenced = True
        elif fence:
            self._outside(raw, speaks=False)
        elif summary and summary.start() and self._is_prefix(text[: summary.start()]):
            self._outside(raw, speaks=True)
        elif speaks and not summary and is_notice(text):
            if text.startswith("ThreadSanitizer: reported"):  # the process has ended
                self._cut(block)
            self._outside(raw, speaks=True)
        else:
            block.append(raw, text, number, numbers)
            if summary:
                self._finish(block)
            elif _is_over(block, text):
                self._cut(block)

    def _is_strange(self, block: Block, numbers: tuple[int, ...]) -> bool:
        """Report whether a line that would end a block is of another source, and give back its lines then.

        A number that differs from the heading's counts lines only if enough lines have shown it.
        """
        form = block.form
        if form is None or form.counts or numbers == block.numbers:
            return False
        form.names.update(range(len(numbers)))
        self._return_lines([each for each in self._others if each.form is form])
        return True

    def _is_prefix(self, text: str) -> bool:
        """Report whether the text before a fence or a summary is a collector's, not output without a line end."""
        known = self.forms.of(text)
        return known is not None and (known[0].used or bool(_PREFIX_END.search(text)))

    def _outside(self, raw: str, *, speaks: bool) -> None:
        if FENCE not in raw:
            self._latest = raw
        if speaks:
            line = clean(raw)
            self.tally.line(line)
            if is_notice(line):
                self.notices += 1
            else:
                self.strange += 1
                if len(self.samples) < MAX_SAMPLES:
                    self.samples.append(line[:MAX_SAMPLE_LENGTH])
        elif FENCE in raw:
            self._fence(raw)
        elif raw and not raw.isspace() and not _ABORTING.match(raw):
            self.outside += 1
            if may_matter(raw):
                line = clean(raw)
                self.tally.line(line)
                if tool := other_tool(line):
                    self.other_tools[tool] = None

    def _fence(self, raw: str) -> None:
        """Learn from a fence that its prefix is one, and what its numbers are."""
        if raw.startswith(FENCE):
            return
        line = clean(raw).rstrip()
        known = self.forms.of(line.removesuffix(FENCE)) if line.endswith(FENCE) else None
        if known and known[0] not in self._live:  # else its numbers were observed before
            known[0].used = True
            self._observe(*known)

    def pass_block(self) -> None:
        """Take note of a block between fences that this splitter need not see."""
        self.tally.heading()
        self._latest = ""

    def _remove(self, block: Block) -> None:
        self._latest = ""
        if block is self._plain:
            self._plain = None
        else:
            self._others = [each for each in self._others if each is not block]

    def _finish(self, block: Block) -> None:
        """End a block at its end."""
        self._remove(block)
        block.finish()
        self.tally.truncated += block.truncated
        self._done.append(block)

    def _cut(self, block: Block) -> None:
        """End a block that has no end of its own."""
        if block.marks:
            self._is_strange(block, block.marks[-1][1])
        self._remove(block)
        rest = block.trim()
        self.outside += len(rest)
        # Go's testing package ends a block where there is no fence.
        block.truncated = block.shape is Shape.FINDING and not (rest and GO_TEST in rest[0])
        self.tally.truncated += block.truncated
        self._done.append(block)

    def _ended(self, *, last: bool) -> Iterator[Block]:
        """Yield the blocks that the end of lines leaves; those that are open if it is that of the log."""
        if last:
            self._end()
        yield from self._done
        self._done.clear()

    def _end(self) -> None:
        """End all blocks at the end of the log."""
        self._end_entry(self.number)
        for part in self._partials.end():
            self._take_partial(part, self.number)
        for block in [each for each in (self._plain, *self._others) if each]:
            (self._finish if block.fenced else self._cut)(block)
        for child in self._records.values():
            child._end()  # noqa: SLF001 -- of this class
            self._collect(child)


def _is_over(block: Block, text: str) -> bool:
    """Report whether a block has gone on without an end for too long."""
    if block.shape is Shape.FATAL:
        known = not text.strip() or bool(FATAL_DETAIL.match(text)) or lex(text) is not Mark.UNKNOWN
        block.strays = 0 if known else block.strays + 1
        return block.strays >= MAX_STRAYS
    return block.room <= 0


def _continues(block: Block, opened: Block) -> bool:
    """Report whether a first line only continues: a crash prints DEADLYSIGNAL for each thread, then ERROR."""
    if block.shape is not Shape.FATAL or opened.shape is not Shape.FATAL:
        return False
    return "DEADLYSIGNAL" in block.raw[0] and not any("ERROR: " in raw for raw in block.raw)


def may_be_wrapped(raw: str) -> bool:
    """Report whether a line may be one that a collector has wrapped, see :mod:`.records`; fast."""
    return "{" in raw or '"' in raw or "\\" in raw or "&#" in raw or "%0A" in raw or "</" in raw or holds_several(raw)
