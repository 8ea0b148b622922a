"""Cut a log into blocks: lines, then whole lines (:mod:`.joining`), then blocks (:mod:`.blocks`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from python_tsan.tsan.block import LINE_COST, Block, Shape
from python_tsan.tsan.blocks import Blocks
from python_tsan.tsan.documents import ENDS
from python_tsan.tsan.joining import Joiner, Where, Whole
from python_tsan.tsan.lexer import FENCE, names_sanitizer
from python_tsan.tsan.outside import Outside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.tsan.joining import Joined
    from python_tsan.tsan.prefix import Form


class Splitter:
    """Cuts a log into blocks; ``outside`` says what else is in it. ``number`` is that of the latest line.

    The lines of each source of records have a splitter of their own, for they may be cut or wrapped once more.
    """

    def __init__(self, outside: Outside | None = None) -> None:
        self.number = 0
        self.outside = outside or Outside()
        # All stages count what is outside of blocks together.
        self.blocks, self.joiner = Blocks(self.outside), Joiner(self.outside)
        self._sources: dict[int, Splitter] = {}

    def split(self, lines: Iterable[str], *, last: bool = True) -> Iterator[Block]:
        """Yield each block when it has ended; a line may keep its line end. Never raises on any text.

        Unless these lines are the ``last`` of the log, blocks stay open for another call.
        """
        blocks = self.blocks
        fast = self._fast()
        nowhere = Block(Shape.FINDING, 0)
        append, room = (fast or nowhere).raw.append, (fast or nowhere).room
        for raw in lines:
            self.number += 1
            # Nearly all lines of a block end nothing; _take would find that out too, at three times the cost.
            if fast is not None and (
                raw.startswith("    #")
                or not ("ThreadSanitizer" in raw or FENCE in raw or "WARNING: D" in raw or raw[-1:] in ENDS)
            ):
                append(raw)
                room -= len(raw) + LINE_COST
                if room > 0:
                    continue
                blocks.cut(fast)
            elif fast is not None and raw.startswith("SUMMARY: ThreadSanitizer: "):
                append(raw)
                blocks.finish(fast)
            elif raw == FENCE and blocks.untouched and not self.joiner.is_open:
                continue
            else:
                if fast is not None:
                    fast.room = room
                self._take(raw, self.number)
            if blocks.done:
                yield from blocks.done
                blocks.done.clear()
            fast = self._fast()
            if fast is not None:
                append, room = fast.raw.append, fast.room
        (fast or nowhere).room = room
        if last:
            self._end()
        yield from blocks.done
        blocks.done.clear()

    @property
    def state(self) -> tuple[object, ...] | None:
        """All that decides how further lines are read; None for what cannot be compared."""
        joined, blocks = self.joiner.state, self.blocks.state(self.number)
        return None if joined is None or blocks is None else (joined, blocks)

    def part(self) -> Splitter:
        """Return a splitter that knows the same prefixes, has no open block, and counts from 0."""
        part = Splitter()
        part.number = self.number
        part.blocks, part.joiner = self.blocks.again(part.outside), self.joiner.again(part.outside)
        return part

    def renumber(self, shift: int) -> None:
        """Let the lines so far have other numbers."""
        self.number += shift
        self.blocks.renumber(shift)

    @property
    def idle(self) -> bool:
        """Whether no block is open, and no line so far has changed how the next ones are read."""
        return self.blocks.idle and not self.joiner.is_open

    def settled_form(self) -> Form | None:
        """Return the form of all prefixes, if lines of it are read alike from here on; None if there is another state.

        It was seen on more than a heading, and its numbers name sources; no block is open but those of its sources.
        """
        return None if self.joiner.is_open else self.blocks.settled_form()

    def _fast(self) -> Block | None:
        """Return the open block if every line that does not end it belongs to it."""
        if self.blocks.plain is None or self.joiner.is_open:
            return None
        return self.blocks.certain()

    def _take(self, raw: str, number: int) -> None:
        speaks = names_sanitizer(raw)
        joined = self.joiner.join(raw, speaks=speaks)
        if joined is None:
            self.blocks.take(raw, number, speaks=speaks)
        else:
            self._put(joined, number)

    def _put(self, joined: Iterable[Joined], number: int) -> None:
        """Hand whole lines on to the blocks of their source."""
        for each in joined:
            if isinstance(each, Whole):
                self._put_whole(each, number)
            elif (line := self.blocks.take_back(each)) is not None:
                speaks = names_sanitizer(line)
                unwrapped = self.joiner.unwrap(line, speaks=speaks)
                if unwrapped is None:
                    self.blocks.take(line, number, speaks=speaks)
                else:
                    self._put(unwrapped, number)

    def _put_whole(self, whole: Whole, number: int) -> None:
        number -= whole.ago
        match whole.where:
            case Where.SOURCE:
                source = self._sources.get(whole.source)
                if source is None:
                    source = self._sources[whole.source] = self._unwrapped()
                source._take_all(whole.lines, number)  # noqa: SLF001 -- of this class
            case Where.LOG:
                for line in whole.lines:
                    self.blocks.take(line, number, speaks=names_sanitizer(line))
            case Where.NONE | Where.BROKEN:
                for line in whole.lines:
                    if whole.where is Where.BROKEN and names_sanitizer(line):
                        self._put_alone([line], number)
                    else:
                        self.blocks.leave_out(line, speaks=False)
            case Where.ALONE:
                self._put_alone(whole.lines, number)
            case _:
                assert_never(whole.where)

    def _put_alone(self, lines: Iterable[str], number: int) -> None:
        """Read lines with which no others go on."""
        source = self._unwrapped()
        source._take_all(lines, number)  # noqa: SLF001 -- of this class
        source._end()  # noqa: SLF001 -- so too

    def _take_all(self, lines: Iterable[str], number: int) -> None:
        for line in lines:
            self._take(line, number)

    def _unwrapped(self) -> Splitter:
        """Return a splitter for lines that were unwrapped, whose blocks are among those of this one."""
        splitter = Splitter(outside=self.outside)
        splitter.blocks.done, splitter.blocks.wrapped = self.blocks.done, True
        return splitter

    def _end(self) -> None:
        """End all blocks at the end of the log."""
        self._put(self.joiner.end(), self.number)
        self.blocks.end()
        for source in self._sources.values():
            source._end()  # noqa: SLF001 -- of this class
