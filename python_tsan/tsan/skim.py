"""Read whole pieces of a log, and skip the blocks whose finding is known; the splitter reads everything else.

A block is skipped only where the splitter would have cut out exactly the same lines, and would be in the same state
afterwards. What is not certain is read line by line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from python_tsan.tsan.block import LINE_COST, MAX_LINES, has_dress
from python_tsan.tsan.blocks import may_be_wrapped
from python_tsan.tsan.lexer import FENCE
from python_tsan.tsan.normal_form import SUMMARY_START
from python_tsan.tsan.prefix import DIGITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from python_tsan.tsan.block import Block
    from python_tsan.tsan.blocks import Splitter
    from python_tsan.tsan.normal_form import Speller, Spelling
    from python_tsan.tsan.prefix import Form

_HEADING: Final = "WARNING: ThreadSanitizer: "
_GO_HEADING: Final = "WARNING: DATA RACE\n"
_NAME: Final = "ThreadSanitizer"
# Why nothing was skipped: the splitter must see this, or there is no end in this piece.
_UNKNOWN: Final = -1
_OPEN: Final = -2
_FENCE_LINE: Final = FENCE + "\n"
_FENCE_AFTER_LINE: Final = f"\n{FENCE}\n"
# A longer block is read line by line; so is one whose end is in the next piece but farther away.
_MAX_BLOCK = 1 << 17
_UNUSUAL = frozenset('<&"\\')
_MAX_SOURCES = 4096
_MAX_ROOM = MAX_LINES * LINE_COST // 2


@dataclass(slots=True)
class Skimmer:
    """Hands lines to ``splitter``, and blocks to ``count``: how they are spelled, and the number of their heading.

    ``count`` returns False for a block that is not known; its lines go to the splitter, too. ``finished`` takes blocks
    of mixed sources.
    """

    splitter: Splitter
    speller: Speller
    count: Callable[[Spelling, int], bool]
    finished: Callable[[Block], None]
    _stop: int = 0
    _sources: dict[tuple[Form, str], tuple[int, ...] | None] = field(default_factory=dict)

    def lines(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield the lines that the splitter must see. Each piece ends where a line ends; the last one may not."""
        rest = ""
        for piece in texts:
            text = rest + piece if rest else piece
            yield from self._skim(text, more=True)
            rest = text[self._stop :]
        if rest:
            yield from self._skim(rest, more=False)

    def _skim(self, text: str, *, more: bool) -> Iterator[str]:
        """Yield lines; ``_stop`` is where the reading ended: before the end if a block may go on in the next piece."""
        splitter = self.splitter
        start, end = 0, len(text)
        while start < end:
            if splitter.idle:
                stop = self._plain(text, start)
            elif (form := splitter.settled_form()) is not None:
                stop = self._prefixed(text, start, form) if splitter.is_between_blocks() else _UNKNOWN
                if stop == _UNKNOWN:
                    stop = self._mixed(text, start, form)
            else:
                stop = _UNKNOWN
            if stop > 0:
                start = stop
                continue
            if stop == _OPEN and more and end - start < _MAX_BLOCK:
                break
            # This block is not known, or not a plain one: the splitter sees it as far as it goes.
            stop = text.find("\n", start)
            stop = end if stop < 0 else stop
            yield text[start:stop]
            start = stop + 1
        self._stop = start

    def _plain(self, text: str, start: int) -> int:
        """Skip a fence or a block without a prefix. Return the start of the next line, or why nothing was skipped."""
        if text.startswith(_FENCE_LINE, start):
            self.splitter.number += 1
            return start + len(_FENCE_LINE)
        if text.startswith(_HEADING, start):
            stop = _summary_end(text, start + len(_HEADING))
            after = stop + 1
        elif text.startswith(_GO_HEADING, start):
            stop = _fence(text, start + len(_GO_HEADING) - 1)
            after = stop + len(_FENCE_AFTER_LINE)
        else:
            return _UNKNOWN
        if stop < 0:
            return stop
        lines = text.count("\n", start, after)
        block = text[start:stop]
        if not _has_room(len(block), lines) or not self._skip(self.speller.spell_text(block)):
            return _UNKNOWN
        self.splitter.number += lines
        return after

    def _skip(self, spelling: Spelling) -> bool:
        """Count a block if it is known and harmless."""
        if not spelling.harmless or not self.count(spelling, self.splitter.number + 1):
            return False
        self.splitter.tally.heading()
        return True

    def _prefixed(self, text: str, start: int, form: Form) -> int:
        """Skip a fence or a block of which each line has a prefix of this form, in which nothing but times vary."""
        prefix = form.pattern.match(text, start)
        if prefix is None or not self._is_plain(prefix[0], form):
            return _UNKNOWN
        first = prefix.end()
        if text.startswith(_FENCE_LINE, first):
            self.splitter.number += 1
            return first + len(_FENCE_LINE)
        if not text.startswith(_HEADING, first):
            return _UNKNOWN
        stop = _summary_end(text, first + len(_HEADING), prefixed=True)
        if stop < 0:
            return stop
        block = text[start:stop]
        lines = self._without_prefix(block, prefix[0], form)
        if not (
            lines
            and _has_room(len(block), len(lines))
            and _ends_plainly(block, lines[-1])
            and self._skip(self.speller.spell(lines))
        ):
            return _UNKNOWN
        form.observe(())
        self.splitter.number += len(lines)
        return stop + 1

    def _mixed(self, text: str, start: int, form: Form) -> int:
        """Read lines of several sources, whose prefixes name them, up to one that is not certain.

        Return where that is, or that it is the first one. What the splitter would do with each of these lines is done
        here, without asking again what cannot be the case.
        """
        match, position = form.pattern.match, start
        opened = self.splitter.open_by_numbers()
        while opened is not None and (stop := text.find("\n", position)) >= 0:
            found = match(text, position, stop)
            if found is None or not self._mixed_line(text[position:stop], found.end() - position, form, opened):
                break
            self.splitter.number += 1
            position = stop + 1
            if not opened and not form.pattern.groups:  # the next block may be known
                break
        return position if position > start else _UNKNOWN

    def _mixed_line(self, raw: str, end: int, form: Form, opened: dict[tuple[int, ...], Block]) -> bool:
        """Put a line where it belongs, whose prefix ends at ``end``; return False if that is not certain."""
        source = self._source(raw[:end], form)
        if source is None:
            return False
        line = raw[end:]
        block = opened.get(source)
        if block is None:
            if line.startswith(_HEADING) and self._begins(raw, line):
                opened[source] = self.splitter.begin(form, source, raw, line, raw[:end])
                return True
            return line == FENCE
        if block.room <= len(raw) + 2 * LINE_COST:
            return False
        if self.speller.is_inside(line):
            block.append(raw, line, self.splitter.number + 1, source)
        elif line.startswith(SUMMARY_START) and _is_end(raw, line):
            block.append(raw, line, self.splitter.number + 1, source)
            del opened[source]
            self.splitter.finish(block)
            self.finished(block)
        else:
            return False
        return True

    def _begins(self, raw: str, line: str) -> bool:
        return self.splitter.has_room() and self.speller.is_heading(line) and not may_be_wrapped(raw)

    def _source(self, prefix: str, form: Form) -> tuple[int, ...] | None:
        """Return the numbers of a prefix of this form, None if it may be more than that."""
        if (form, prefix) in self._sources:
            return self._sources[form, prefix]
        known = self.splitter.forms.of(prefix)
        # What matters begins neither in the prefix, nor in it and goes on behind it.
        plain = not (has_dress(prefix) or _speaks(prefix) or FENCE in prefix or _UNUSUAL.intersection(prefix))
        ends = prefix[-1:] in {" ", "\t", "|", "]", ")"} or (prefix[-1:] == ":" and "[" not in prefix)
        numbers = known[1] if known and known[0] is form and plain and ends else None
        if len(self._sources) >= _MAX_SOURCES:
            self._sources.clear()
        self._sources[form, prefix] = numbers
        return numbers

    def _is_plain(self, prefix: str, form: Form) -> bool:
        return not has_dress(prefix) and "WARNING: D" not in prefix and self.splitter.forms.of(prefix) == (form, ())

    def _without_prefix(self, block: str, prefix: str, form: Form) -> list[str]:
        """Return the lines of a block without their prefixes; none if one of them has no prefix of this form."""
        skeleton = self.splitter.forms.skeleton(prefix, form)
        # A tag or an entity could begin in such a prefix, and numbers could go on behind it.
        if skeleton and skeleton[-1] in " \t" and not {"<", "&"}.intersection(skeleton):
            lines = block.split("\n")
            if f"\n{block}".translate(DIGITS).count(f"\n{skeleton}") == len(lines):
                length = len(prefix)
                return [line[length:] for line in lines]
        stripped, count = form.in_lines().subn("", block)
        lines = stripped.split("\n")
        return lines if count == len(lines) and not has_dress(block) else []


def _summary_end(text: str, start: int, *, prefixed: bool = False) -> int:
    """Return the end of the line of the next summary, if nothing before it names the sanitizer."""
    mark = text.find(_NAME, start)
    stop = text.find("\n", mark) if mark >= 0 else -1
    if stop < 0:
        return _OPEN
    return stop if prefixed or text.startswith(f"\n{SUMMARY_START}", mark - 10) else _UNKNOWN


def _fence(text: str, start: int) -> int:
    """Return the end of the line before the next fence, if that is not followed by a heading whose own fence it is."""
    stop = text.find(_FENCE_AFTER_LINE, start)
    after = stop + len(_FENCE_AFTER_LINE)
    following = text.find("\n", after) if stop >= 0 else -1
    if following < 0:
        return _OPEN
    return _UNKNOWN if _speaks(text[start:stop]) or _speaks(text[after:following]) else stop


def _has_room(letters: int, lines: int) -> bool:
    """Report whether a block is not so long that the splitter may cut it."""
    return letters + LINE_COST * lines < _MAX_ROOM


def _ends_plainly(block: str, summary: str) -> bool:
    """Report whether no collector has wrapped the first or last line, which is that of a summary and nothing else."""
    text = summary.removeprefix(SUMMARY_START)
    return not (
        text == summary
        or _NAME in text
        or "WARNING" in text
        or FENCE in text
        or text.startswith("CHECK failed")
        or '"MESSAGE"' in block
        or may_be_wrapped(block[: block.index("\n")])
        or may_be_wrapped(block[block.rindex("\n") + 1 :])
    )


def _is_end(raw: str, summary: str) -> bool:
    """Report whether the last line of a block is that of a summary, and nothing else."""
    text = summary.removeprefix(SUMMARY_START)
    return not (
        _speaks(text)
        or "WARNING" in text
        or FENCE in text
        or text.startswith("CHECK failed")
        or may_be_wrapped(raw)
        or has_dress(raw)
    )


def _speaks(lines: str) -> bool:
    return _NAME in lines or "WARNING: D" in lines or '"MESSAGE"' in lines
