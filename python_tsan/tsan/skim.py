"""Read whole pieces of a log, and take the blocks between fences as a whole; the splitter reads everything else.

A block is taken only where the splitter would have cut out exactly the same lines, and would be in the same state
afterwards. What is not certain is read line by line.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct, field

from python_tsan.tsan.block import LINE_COST, has_dress
from python_tsan.tsan.lexer import FENCE
from python_tsan.tsan.normal_form import SUMMARY_START, is_harmless, is_heading, may_bound, normal_form
from python_tsan.tsan.prefix import DIGITS
from python_tsan.tsan.records import may_be_wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from python_tsan.tsan.block import Block
    from python_tsan.tsan.prefix import Form
    from python_tsan.tsan.splitter import Splitter

_HEADING: Final = "WARNING: ThreadSanitizer: "
_BLOCK_START: Final = "\nWARNING: "
# A block whose end is in the next piece but farther away is read line by line.
_MAX_BLOCK = 1 << 17
_UNUSUAL = frozenset('<&"\\')
# What is remembered of prefixes and lines. Beyond that all is forgotten: the memory saves time, it decides nothing.
_MAX_MEMORY = 1 << 13
_MAX_REMEMBERED = 1000


class Take(Protocol):
    """Takes the text of a block, its normal form and the number of its heading; returns False for an uncertain one."""

    def __call__(self, text: str, form: str, number: int, *, prefixed: bool) -> bool: ...  # noqa: D102 -- as above


class TakeRun(Protocol):
    """Takes known blocks, given by what is between fences and its normal forms.

    ``place`` is the index of the first, that of the end, and the number of the line before the fence. Returns where
    it stopped: index, number, and how many blocks were taken.
    """

    def __call__(  # noqa: D102 -- as above
        self, forms: Sequence[str], parts: Sequence[str], place: tuple[int, int, int], *, prefixed: bool
    ) -> tuple[int, int, int]: ...


class Skimmer(Struct):
    """Hands lines to ``splitter``, blocks between fences to ``take``, and those of mixed sources to ``finished``.

    Known blocks that follow each other go to ``take_run``.
    """

    splitter: Splitter
    take: Take
    take_run: TakeRun
    finished: Callable[[Block], None]
    _sources: dict[Form, dict[str, tuple[int, ...] | None]] = field(default_factory=dict)
    _plain: set[str] = field(default_factory=set)
    _inside: set[str] = field(default_factory=set)

    def lines(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield the lines that the splitter must see. Each piece ends where a line ends; the last one may not."""
        rest = ""
        for piece in texts:
            text = rest + piece if rest else piece
            rest = text[(yield from self._skim(text, more=True)) :]
        if rest:
            yield from self._skim(rest, more=False)

    def _skim(self, text: str, *, more: bool) -> Generator[str, None, int]:
        """Yield lines; return where the reading ended: before the end if a block may go on in the next piece."""
        splitter = self.splitter
        start, whole = 0, True
        while start < len(text) and whole:
            form = splitter.settled_form()
            if splitter.idle:
                read, whole = yield from self._fenced(text[start:], None, None, more=more)
            elif form is not None and splitter.blocks.is_between_blocks() and form.pattern.match(text, start):
                read, whole = yield from self._prefixed(text[start:], form, more=more)
            elif form is not None:
                read = yield from self._mixed(text[start:], form)
            else:
                stop = text.find("\n", start)
                line = text[start:] if stop < 0 else text[start:stop]
                read = len(line) + 1
                yield line
            start += read
        return start

    def _fenced(
        self, text: str, raws: list[str] | None, form: Form | None, *, more: bool
    ) -> Generator[str, None, tuple[int, bool]]:
        """Take the blocks of a text; its lines are in the log as in ``raws``, where ``form`` is that of their prefixes.

        Return how many letters were read (lines, if there are ``raws``), and False if what is left may go on in the
        next piece.
        """
        splitter, first = self.splitter, self.splitter.number
        cut = _cut(text, more=more)
        index, read, ready, whole = 0, 0, self._is_ready(form), True
        while index < len(cut.parts) and whole:
            if ready and index and cut.forms:
                stop = self._take_run(cut, index, form)
                read += sum(map(len, cut.parts[index:stop])) + len(FENCE) * (stop - index)
                index = stop
                if index == len(cut.parts):
                    break
            part, fence = cut.parts[index], FENCE if index else ""
            if fence and not ready and part.startswith("\n"):  # the fence may end a block
                yield FENCE if raws is None else raws[splitter.number - first]
                read += len(FENCE) + 1
                part, fence, ready = part[1:], "", self._is_ready(form)
            taken = self._take(cut, index, form, number=splitter.number + bool(fence), ready=ready)
            if taken is None:
                whole = False
            elif taken:
                read += len(fence) + len(part)
                index += 1
            else:
                stop = cut.behind_line(index, fence + part)
                stretch = fence + FENCE.join([part, *cut.parts[index + 1 : stop]])
                start = splitter.number - first
                for line in _lines(stretch) if raws is None else raws[start : start + _count(stretch)]:
                    yield line
                    read += len(line) + 1
                    if not splitter.idle and self._is_left(form):
                        return read if raws is None else splitter.number - first, True
                index, ready = stop, self._is_ready(form)
        read = min(read, len(text))  # the last line may lack its line feed
        return read if raws is None else splitter.number - first, whole

    def _take_run(self, cut: _Cut, index: int, form: Form | None) -> int:
        """Take what is known between fences, if no block is open; return the index of what is not."""
        splitter = self.splitter
        stop = len(cut.parts) - cut.more  # the last part may go on in the next piece
        place = index, stop, splitter.number
        index, splitter.number, blocks = self.take_run(cut.forms, cut.parts, place, prefixed=form is not None)
        if blocks:
            self._pass(form, blocks)
        return index

    def _pass(self, form: Form | None, blocks: int = 1) -> None:
        """Take note of blocks between fences that the splitter need not see."""
        self.splitter.blocks.pass_blocks(blocks)
        if form is not None:
            form.observe((), blocks)

    def _take(self, cut: _Cut, index: int, form: Form | None, *, number: int, ready: bool) -> bool | None:
        """Take what is between two fences, if no block is open; None if its end is not here.

        ``number`` is that of the line before it.
        """
        part = cut.parts[index]
        if cut.may_continue(index):
            return None
        known = cut.forms[index] if ready and index and cut.forms else ""
        if known == "\n":
            self.splitter.number = number + part.count("\n") - 1
            return True
        if not (known and part.startswith(_BLOCK_START) and part[-1] == "\n"):
            return False
        ends = _has_summary(part) or (form is None and _ends_at_fence(cut.parts, index))
        if not (ends and self.take(part, known, number + 1, prefixed=form is not None)):
            return None if ends is None and cut.more else False
        self._pass(form)
        self.splitter.number = number + part.count("\n") - 1
        return True

    def _is_ready(self, form: Form | None) -> bool:
        """Report whether no block is open: the next line is read as the first one of the text was."""
        splitter = self.splitter
        return (
            splitter.idle if form is None else splitter.settled_form() is form and splitter.blocks.is_between_blocks()
        )

    def _is_left(self, form: Form | None) -> bool:
        """Report whether there is now another way to go on."""
        settled = self.splitter.settled_form()
        return settled is not None and settled is not form

    def _prefixed(self, text: str, form: Form, *, more: bool) -> Generator[str, None, tuple[int, bool]]:
        """Read lines whose prefixes differ in times alone; return what :meth:`_fenced` does, in letters."""
        raws = text.removesuffix("\n").split("\n")
        lines = self._without_prefix(text, raws, form)
        done, whole = 0, True
        if lines:
            bare = "\n".join(lines) + ("\n" if text[-1] == "\n" else "")
            done, whole = yield from self._fenced(bare, raws, form, more=more)
        while done < len(raws) and whole and not self._is_left(form):
            lines = _run(raws, done, form)
            if len(lines) > 1 and not has_dress("\n".join(raws[done : done + len(lines)])):
                run = "".join(f"{line}\n" for line in lines)
                read, _ = yield from self._fenced(run, raws[done : done + len(lines)], form, more=False)
                done += read
            else:
                yield raws[done]
                done += 1
        return min(sum(map(len, raws[:done])) + done, len(text)), whole

    def _without_prefix(self, text: str, raws: list[str], form: Form) -> list[str]:
        """Return all lines without their prefixes; none if not all of these are as the first one but for digits."""
        found = form.pattern.match(raws[0])
        prefix = found[0] if found else ""
        skeleton = self.splitter.blocks.forms.skeleton(prefix, form)
        # A tag or an entity could begin in such a prefix, and numbers could go on behind it.
        if not (skeleton and skeleton[-1] in " \t" and self._source(prefix, form) == ()):
            return []
        if f"\n{text}".translate(DIGITS).count(f"\n{skeleton}") != len(raws):
            return []
        length = len(prefix)
        return [line[length:] for line in raws]

    def _mixed(self, text: str, form: Form) -> Generator[str, None, int]:
        """Read lines of several sources, whose prefixes name them; return how many letters were read.

        What the splitter would do with each of these lines is done here, without asking again what cannot be the case.
        """
        splitter, match, inside, read = self.splitter, form.pattern.match, self._inside, 0
        sources = self._sources.setdefault(form, {})
        opened = splitter.blocks.open_by_numbers()
        for raw in text.removesuffix("\n").split("\n"):
            found = match(raw)
            prefix = found[0] if found else ""
            source = sources[prefix] if prefix in sources else self._source(prefix, form)
            line = raw[len(prefix) :]
            block = opened.get(source) if opened and source is not None else None
            if block is None or source is None or block.room <= len(raw) + 2 * LINE_COST:
                certain = self._begin(raw, line, form, source, opened)
            elif line in inside or self._is_inside(line):
                block.append(raw, line, splitter.number + 1, source)
                certain = True
            else:
                certain = self._end(raw, line, block, opened)
            read += len(raw) + 1
            if certain:
                splitter.number += 1
                if not opened and not form.pattern.groups:  # the next block may be known
                    break
            else:
                yield raw
                if self._is_left(form) or splitter.settled_form() is None:
                    break
                opened = splitter.blocks.open_by_numbers()
        return read

    def _begin(
        self,
        raw: str,
        line: str,
        form: Form,
        source: tuple[int, ...] | None,
        opened: dict[tuple[int, ...], Block] | None,
    ) -> bool:
        """Skip a fence, or open a block at its heading, if its source has none open; else return False."""
        if source is None or opened is None or source in opened:
            return False
        if (
            line.startswith(_HEADING)
            and self.splitter.blocks.has_room()
            and is_heading(line)
            and not may_be_wrapped(raw)
        ):
            opened[source] = self.splitter.blocks.begin(self.splitter.number + 1, form, source, raw, line)
            return True
        return line == FENCE

    def _end(self, raw: str, line: str, block: Block, opened: dict[tuple[int, ...], Block] | None) -> bool:
        """End a block at its summary, else return False."""
        if opened is None or not line.startswith(SUMMARY_START) or not _is_end(raw, line):
            return False
        block.append(raw, line, self.splitter.number + 1, block.numbers)
        del opened[block.numbers]
        self.splitter.blocks.take_out(block)
        self.finished(block)
        return True

    def _is_inside(self, line: str) -> bool:
        """Report whether a line inside a block ends nothing and needs no cleaning."""
        if not is_harmless(line):
            return False
        if len(line) <= _MAX_REMEMBERED:
            if len(self._inside) >= _MAX_MEMORY:
                self._inside.clear()
            self._inside.add(line)
        return True

    def _source(self, prefix: str, form: Form) -> tuple[int, ...] | None:
        """Return the numbers of a prefix of this form, None if it may be more than that."""
        sources = self._sources.setdefault(form, {})
        if len(sources) + len(self._plain) >= _MAX_MEMORY:
            sources.clear()
            self._plain.clear()
        skeleton = self.splitter.blocks.forms.skeleton(prefix, form)
        known = form.numbers(prefix) if skeleton in self._plain else None
        if (
            known is None
            and (found := self.splitter.blocks.forms.of(prefix))
            and found[0] is form
            and _is_plain(prefix)
        ):
            known = 0, found[1]
            self._plain.update(filter(None, [skeleton]))
        sources[prefix] = known[1] if known else None
        return sources[prefix]


class _Cut(Struct, frozen=True):
    """A text that is cut at its fences: the parts, and their normal forms unless these have other fences.

    ``more``: the text may go on in the next piece.
    """

    parts: list[str]
    forms: list[str]
    more: bool

    def may_continue(self, index: int) -> bool:
        """Report whether the end of a part may be in the next piece."""
        return self.more and index > 0 and index == len(self.parts) - 1 and len(self.parts[index]) < _MAX_BLOCK

    def behind_line(self, index: int, start: str) -> int:
        """Return the next part with a fence before it that begins a line; ``start`` is what is read of this one."""
        while start and start[-1] != "\n" and index + 1 < len(self.parts):
            index += 1
            start = self.parts[index] or FENCE
        return index + 1


def _cut(text: str, *, more: bool) -> _Cut:
    parts, forms = text.split(FENCE), normal_form(text).split(FENCE)
    return _Cut(parts, forms if len(forms) == len(parts) and "\0" not in text else [], more)


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _count(text: str) -> int:
    return text.count("\n") + (text[-1:] not in {"", "\n"})


def _run(raws: list[str], start: int, form: Form) -> list[str]:
    """Return the lines from this one on without their prefixes, as far as they have one of this form."""
    lines = []
    for raw in itertools.islice(raws, start, None):
        found = form.pattern.match(raw)
        if not found:
            break
        lines.append(raw[found.end() :])
    return lines


def _is_plain(prefix: str) -> bool:
    """Report whether what matters begins neither in a prefix, nor in it and goes on behind it."""
    if has_dress(prefix) or may_bound(prefix) or FENCE in prefix or _UNUSUAL.intersection(prefix):
        return False
    return prefix[-1:] in {" ", "\t", "|", "]", ")"} or (prefix[-1:] == ":" and "[" not in prefix)


def _has_summary(part: str) -> bool:
    """Report whether the last line of a part is a summary."""
    return part.startswith(SUMMARY_START, part.rfind("\n", 0, -1) + 1)


def _ends_at_fence(parts: list[str], index: int) -> bool | None:
    """Report whether the fence behind a part is its end, not that of a heading; None if that does not show yet."""
    following = parts[index + 1] if index + 1 < len(parts) else ""
    if following == "\n" and index + 2 < len(parts):
        return parts[index + 2].startswith("\n")
    stop = following.find("\n", 1)
    return not may_bound(following[:stop]) if stop > 0 and following[0] == "\n" else None


def _is_end(raw: str, summary: str) -> bool:
    """Report whether the last line of a block is that of a summary, and nothing else."""
    text = summary.removeprefix(SUMMARY_START)
    return not (
        may_bound(text)
        or "WARNING" in text
        or FENCE in text
        or text.startswith("CHECK failed")
        or may_be_wrapped(raw)
        or has_dress(raw)
    )
