"""Find where ThreadSanitizer blocks begin and end in whole lines; the lexer and the parser read what the lines say.

Lines of several sources may be mixed: each has one open block of its own, see :mod:`.prefix`.
Memory is bounded by the open blocks: of the lines outside of them only counts and a few samples are kept.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

from msgspec import Struct, field

from python_tsan.tsan.block import Block, Shape, clean
from python_tsan.tsan.lexer import FENCE, GO_HEADING, SUMMARY, find_heading, lex
from python_tsan.tsan.notices import FATAL, FATAL_DETAIL, GO_TEST, is_notice
from python_tsan.tsan.partial import MAX_APPENDED, Appended, stream_of
from python_tsan.tsan.prefix import Changing, Form, Forms
from python_tsan.tsan.records import is_source
from python_tsan.tsan.tokens import Mark

if TYPE_CHECKING:
    from python_tsan.tsan.outside import Outside

# Blocks of as many sources are open at a time; the oldest is cut then.
MAX_OPEN = 32
# Program output may stand between the lines of a crash's block; after so much of it, the block is over.
MAX_STRAYS = 8
MAX_SUFFIX = 200
# 12: , web-1  | , [rank 1] , GET> : how a collector's prefix ends, as opposed to output without a line end
_PREFIX_END = re.compile(r"[:|\]>)\s]$")

#   "message": "
_JSON_NAME = re.compile(r'"\s*:\s*"$')
# textPayload: '
_NAME = re.compile(r"""[\w"']\s*(?::|=>?)\s*[A-Za-z]{0,2}["']$""")
# pod_name: web-1  # noqa: ERA001 -- as printed
_NAME_AND_VALUE = re.compile(r"""[\s{,\[(:-]*["']?(?P<name>[\w.@/-]{1,80})["']?\s*(?::|=>?)\s*(?P<value>.*)""")
_ANYTHING = re.compile(r"\s*(?P<value>(?P<name>).*)")
# Lines between two of a block that are kept, to see whether they name the same source as those before
_MAX_BETWEEN = 100
_FEWEST_GAPS = 2


class Blocks(Struct):
    """Cuts whole lines into blocks: :attr:`done` has those that have ended, ``outside`` counts all other lines.

    The lines are ``wrapped`` if they come from a collector's records. ``plain`` is the open block without a prefix,
    ``forms`` are those of the prefixes that were met.
    """

    outside: Outside
    done: list[Block] = field(default_factory=list)
    forms: Forms = field(default_factory=Forms)
    wrapped: bool = False
    plain: Block | None = None
    _others: list[Block] = field(default_factory=list)  # with a prefix, the oldest first
    _live: list[Form] = field(default_factory=list)  # of the prefixes of headings, the latest last
    _fresh: Block | None = None  # opened by the line before
    _suspect: tuple[Block | None, Changing | None] = (None, None)  # opened a few lines before, may have another prefix
    _held: list[tuple[str, str, int]] = field(default_factory=list)  # lines that may go on with it
    _patience: int = 0
    _quoted: Block | None = None  # the latest open one behind the name of a field
    _between: list[str] = field(default_factory=list)  # lines of no block since the latest one of that
    _latest: str = ""  # line outside of blocks, if no block has ended since

    def take(self, raw: str, number: int, *, speaks: bool) -> None:
        """Read the line with this number; ``speaks``: it names the sanitizer. Never raises on any text."""
        fresh, self._fresh = self._fresh, None
        line = clean(raw)
        opened = self._open(line, raw, number) if speaks else None
        if opened is not None:
            self._begin(opened)
            return
        block, text, numbers = self._source(line) if self._live else (self.plain, line, ())
        if block is None and self._suspect[0] and (found := self._follow_changes(line, raw, number)):
            block, text = found
        if block is None and fresh is not None:
            block, text = self._adopt(fresh, line), line
        if block is not None and (block.fenced or (block.quoted and self._is_apart(block, number))):
            (self.finish if block.fenced else self.cut)(block)
            block = None
        if block is None:
            self.leave_out(raw, speaks=speaks)
            if self._quoted and len(self._between) < _MAX_BETWEEN:
                self._between.append(line)
        else:
            self._inside(block, raw, text, number, numbers, speaks=speaks)

    def _is_apart(self, block: Block, number: int) -> bool:
        """Report whether a line may be of another source than the block: lines between them name it."""
        between, self._between = self._between, []
        if number <= block.last_line + 1 or self.wrapped or block.form is None:
            return False
        if _JSON_NAME.search(block.prefix):  # what was no JSON as a whole
            return True
        if _NAME.search(block.prefix):
            found = [_NAME_AND_VALUE.match(line) or _ANYTHING.match(line) for line in between]
            block.between.append({one[0].strip() for one in found if one and is_source((one["name"],), one["value"])})
        return block.between[-1:] != block.between[:1]

    def take_back(self, more: Appended) -> str | None:
        """Take back the line that ``more`` goes on with, and return both as one; None if that was a heading."""
        before = more.prefix
        if len(self._latest) > MAX_APPENDED:
            self._latest = ""
        heading = find_heading(more.text)
        if heading is None or heading.start():  # else output without a line end is before it
            block, _, _ = self._source(more.prefix)
            if block is not None and block is not self.plain and not block.fenced and len(block.raw[-1]) < MAX_APPENDED:
                if len(block.raw) == 1:
                    block.extend(more.text)
                    return None
                before = block.pop()
            elif stream_of(self._latest) == more.stream:
                before = self._latest.rstrip("\r\n")
        return before + more.text

    def leave_out(self, raw: str, *, speaks: bool) -> None:
        """Count a line that is of no block."""
        if FENCE not in raw:
            self._latest = raw
            self.outside.take(raw, speaks=speaks)
        elif speaks:
            self.outside.take(raw, speaks=True)
        else:
            self._fence(raw)

    def end(self) -> None:
        """End all blocks at the end of the log."""
        for block in [each for each in (self.plain, *self._others) if each]:
            (self.finish if block.fenced else self.cut)(block)

    def again(self, outside: Outside) -> Blocks:
        """Return what knows the same prefixes, and has no open block."""
        forms, live = copy.deepcopy((self.forms, self._live))
        return Blocks(outside, forms=forms, _live=live)

    def state(self, number: int) -> tuple[object, ...] | None:
        """All that decides how lines behind this number are read; None for what cannot be compared."""
        forms = self.forms.state
        if forms is None or self._fresh or self._quoted or self._is_suspicious():
            return None
        blocks = [each.state(number) for each in (self.plain, *self._others) if each]
        live = tuple(form.pattern.pattern for form in self._live)
        return (forms, live, stream_of(self._latest), self.plain is None, *blocks)

    def renumber(self, shift: int) -> None:
        """Let the lines so far have other numbers."""
        for block in (self.plain, *self._others):
            if block:
                block.first_line += shift
                block.marks = [(line + shift, numbers) for line, numbers in block.marks]

    def _is_suspicious(self) -> bool:
        """Report whether a heading was read behind which the prefix may change."""
        block, changing = self._suspect
        return (
            block is not None
            and changing is not None
            and block in self._others
            and not (block.form and block.form.used)
        )

    @property
    def untouched(self) -> bool:
        """Whether no block is open, and no heading had a prefix."""
        return not (self.plain or self._live)

    @property
    def idle(self) -> bool:
        """Whether no block is open, and no line so far has changed how the next ones are read."""
        return not (self.plain or self._live or self._others or self._fresh)

    def settled_form(self) -> Form | None:
        """Return the form of all prefixes, if lines of it are read alike from here on; None if there is another state.

        It was seen on more than a heading, and its numbers name sources; no block is open but those of its sources.
        """
        if len(self._live) != 1 or self.plain or self._fresh or self._is_suspicious():
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

    def begin(self, number: int, form: Form, numbers: tuple[int, ...], raw: str, line: str) -> Block:
        """Open the block of a source that has none open, at a heading behind a prefix that is known."""
        prefix = raw[: len(raw) - len(line)]
        block = Block(Shape.FINDING, number, form, numbers, wrapped=self.wrapped, prefix=prefix)
        block.append(raw, line, number, numbers)
        form.observe(numbers)
        self.outside.tally.heading()
        self._others.append(block)
        return block

    def take_out(self, block: Block) -> None:
        """End a block at its summary for a caller that has no need of :attr:`done`."""
        self._remove(block)
        block.finish()

    def certain(self) -> Block | None:
        """Return the open block if every line that does not end it belongs to it."""
        block = self.plain
        if block is None or self._live or block.fenced or block.suffix:
            return None
        return block if block.shape is Shape.FINDING else None

    def _open(self, line: str, raw: str, number: int) -> Block | None:
        """Start a block if this line is a first line."""
        shape = Shape.FINDING
        found = find_heading(line) or GO_HEADING.search(line)
        if found is None:
            shape, found = Shape.FATAL, FATAL.search(line)
        if found is None:
            return None
        known = self.forms.of(line[: found.start()])
        form, numbers = known or (None, ())
        block = Block(shape, number, form, numbers, wrapped=self.wrapped)
        block.prefix, rest = line[: found.start()], line[found.end() :].strip()
        # ", ' | </Data>: what may stand behind every line, as opposed to the end of a sentence
        if shape is Shape.FINDING and len(rest) <= MAX_SUFFIX and rest not in {":", ".", ")", "]"}:
            block.suffix = rest
        block.quoted = form is not None and block.prefix[-1] in "\"'"
        if block.quoted:
            self._quoted, self._between = block, []
        block.append(raw, line[found.start() :], number, numbers)
        return block

    def _begin(self, opened: Block) -> None:
        """Make a block the open one of its source, and end the one that was."""
        form = opened.form
        if form:
            self._observe(form, opened.numbers)
        for block in [each for each in (self.plain, *self._others) if each and self._is_replaced(each, opened)]:
            if _continues(block, opened):
                block.append(opened.raw[0], "".join(opened.lines), opened.first_line, opened.numbers)
                return
            if block.fenced:
                block.truncated = True
                self.finish(block)
            else:
                self.cut(block)
        if opened.shape is Shape.FINDING:
            self.outside.tally.heading()
        if form is None:
            self.plain = opened
        else:
            if form not in self._live:
                self._live = [*self._live, form][-MAX_OPEN:]
            if len(self._others) >= MAX_OPEN:
                self.cut(self._others[0])
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
                self.leave_out(raw, speaks=speaks)
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
            return self.plain, line, ()
        start, numbers, form = best
        plain = self.plain
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
        self.outside.lines -= len(self._held)

    def _adopt(self, fresh: Block, line: str) -> Block | None:
        """Make a block a plain one if only its heading has a prefix: output without a line end, or a logger's."""
        if self.plain is not None or fresh not in self._others or lex(line) in {Mark.UNKNOWN, Mark.BLANK}:
            return None
        self._others.remove(fresh)
        fresh.doubted, fresh.form = fresh.form, None
        self.plain = fresh
        return fresh

    def _restore(self, block: Block) -> None:
        """Take back :meth:`_adopt`: the prefix is a real one, so the lines without it are of another source."""
        returned = block.raw[1:]
        del block.raw[1:], block.lines[1:], block.marks[1:]
        block.form, block.doubted = block.doubted, None
        self.plain = None
        self._others.append(block)
        for raw in returned:
            self.leave_out(raw, speaks="ThreadSanitizer" in raw)

    def _inside(
        self, block: Block, raw: str, text: str, number: int, numbers: tuple[int, ...], *, speaks: bool
    ) -> None:
        text = block.without_suffix(text)
        fence = FENCE in text and text.rstrip().endswith(FENCE)
        summary = SUMMARY.search(text) if speaks else None
        if (fence or summary) and self._is_strange(block, numbers):
            holder = self._holder(block.form, numbers) if block.form else None
            if holder is None:
                self.leave_out(raw, speaks=speaks)
            else:
                self._inside(holder, raw, text, number, numbers, speaks=speaks)
        elif fence and not self._is_prefix(text.rstrip().removesuffix(FENCE)):
            block.fenced = True
        elif fence:
            self.leave_out(raw, speaks=False)
        elif summary and summary.start() and self._is_prefix(text[: summary.start()]):
            self.leave_out(raw, speaks=True)
        elif speaks and not summary and is_notice(text):
            if text.startswith("ThreadSanitizer: reported"):  # the process has ended
                self.cut(block)
            self.leave_out(raw, speaks=True)
        else:
            block.append(raw, text, number, numbers)
            if summary:
                self.finish(block)
            elif _is_over(block, text):
                self.cut(block)

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

    def _fence(self, raw: str) -> None:
        """Learn from a fence that its prefix is one, and what its numbers are."""
        if raw.startswith(FENCE):
            return
        line = clean(raw).rstrip()
        known = self.forms.of(line.removesuffix(FENCE)) if line.endswith(FENCE) else None
        if known and known[0] not in self._live:  # else its numbers were observed before
            known[0].used = True
            self._observe(*known)

    def pass_blocks(self, count: int) -> None:
        """Take note of blocks between fences that this splitter need not see."""
        self.outside.tally.heading(count)
        self._latest = ""

    def _remove(self, block: Block) -> None:
        self._latest = ""
        if block is self._quoted:
            self._quoted = None
        if block is self.plain:
            self.plain = None
        else:
            self._others = [each for each in self._others if each is not block]

    def _remove_doubtful(self, block: Block) -> None:
        """Keep only the heading of a block if it is not certain that all of its lines are of one source."""
        gaps = block.between
        if gaps and (len(gaps) < _FEWEST_GAPS or any(each != gaps[0] for each in gaps)):
            del block.raw[1:], block.lines[1:], block.marks[1:]
            block.truncated = True

    def finish(self, block: Block) -> None:
        """End a block at its end."""
        self._remove(block)
        self._remove_doubtful(block)
        block.finish()
        self.outside.tally.truncated += block.truncated
        self.done.append(block)

    def cut(self, block: Block) -> None:
        """End a block that has no end of its own."""
        if block.marks:
            self._is_strange(block, block.marks[-1][1])
        self._remove(block)
        self._remove_doubtful(block)
        rest = block.trim()
        self.outside.lines += len(rest)
        # Go's testing package ends a block where there is no fence.
        block.truncated = block.shape is Shape.FINDING and not (rest and GO_TEST in rest[0])
        self.outside.tally.truncated += block.truncated
        self.done.append(block)


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
