"""Own where ThreadSanitizer blocks begin and end in a log; leave what their lines say to the lexer and the parser.

Memory is bounded by one block: of the lines outside blocks only counts and a few samples are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from python_tsan.tsan.lexer import FENCE, GO_HEADING, HEADING, SUMMARY, lex
from python_tsan.tsan.tokens import GoFunction, GoPlace, Mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A lock-order cycle of 20 mutexes prints 40 stacks of up to 256 frames; a block that is longer has lost its end.
MAX_LINES = 20_000
# Program output may stand between the lines of a crash's block; after so much of it, the block is over.
MAX_STRAYS = 8
MAX_SAMPLES = 20
MAX_SAMPLE_LENGTH = 500

# \x1b[1m\x1b[31mWARNING: ThreadSanitizer: data race (pid=1)
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# FATAL: ThreadSanitizer: unexpected memory mapping 0x55d0e0a00000-0x55d0e0b00000
# ==4711==FATAL: ThreadSanitizer: memory layout is incompatible, even though ASLR is disabled.
# FATAL: ThreadSanitizer can not mmap the shadow memory (something is mapped at 0x00e000000000 < 0x100000000000)
# ThreadSanitizer: CHECK failed: tsan_rtl.cpp:101 "((a)) != (0)" (0x0, 0x0) (tid=4711)
# FATAL: ThreadSanitizer CHECK failed: tsan_rtl.cc:101 "((a)) != (0)" (0x0, 0x0)
# ThreadSanitizer:DEADLYSIGNAL  # noqa: ERA001 -- as printed
# ==4711==ERROR: ThreadSanitizer: SEGV on unknown address 0x000000000008 (pc 0x55 bp 0x2 sp 0x7f T4711)
FATAL = re.compile(
    r"(?:==\d+==)?(?:FATAL: ThreadSanitizer|ThreadSanitizer: CHECK failed|ThreadSanitizer:DEADLYSIGNAL"
    r"|ERROR: ThreadSanitizer)"
)
# ==4711==The signal is caused by a WRITE memory access.
# FATAL: Please file a bug.
# rax = 0x0000000000000000  rbx = 0x0000000000000002
# ThreadSanitizer can not provide additional info.
_FATAL_DETAIL = re.compile(
    r"==\d+==|FATAL: |\s*H(?:int|INT): |[re ][a-z0-9]{2} += 0x|ThreadSanitizer can not provide additional info"
    r"|ThreadSanitizer: nested bug"
)
# ThreadSanitizer: reported 2 warnings
# ThreadSanitizer: Matched 3 suppressions (pid=4711):
# ThreadSanitizer: matched suppression 'race:foo'
# ***** Running under ThreadSanitizer v3 (pid 4711) *****
# ==4711==WARNING: ThreadSanitizer: memory layout is incompatible, possibly due to high-entropy ASLR.
_NOTICE = re.compile(
    r"ThreadSanitizer: (?:reported \d+ warnings|[Mm]atched )|\*{5} Running under ThreadSanitizer"
    r"|WARNING: ThreadSanitizer: memory layout is incompatible"
)
# ==4711==ABORTING
_ABORTING = re.compile(r"==\d+==ABORTING\s*$")
# 2026-11-23T01:02:03.1234567Z, 2026-11-23 01:02:03,123, 01:02:03.456, [   12.345678], or a line number in front
_VARYING = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?|\d+(?:[:.,]\d+)+|^\s*\d+(?=[^\w-]|$)|\s+")


class Shape(Enum):
    """What a block is: a finding, or the runtime's last words."""

    FINDING = "finding"
    FATAL = "fatal"


@dataclass(slots=True)
class Block:
    """One block under construction. ``lines`` are free of prefix, colours and line ends, ``raw`` as in the log."""

    shape: Shape
    first_line: int
    prefix: re.Pattern[str] | None
    raw: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    truncated: bool = False
    strays: int = 0

    @property
    def last_line(self) -> int:
        """Number of its last line in the log."""
        return self.first_line + len(self.raw) - 1

    def read(self, raw: str) -> str:
        """Return a line free of line end, colours and this block's log prefix."""
        line = clean(raw)
        if self.prefix and (found := self.prefix.match(line)):
            return line[found.end() :]
        return line

    def finish(self) -> Block:
        """Read all lines at once, which is far cheaper than one by one."""
        text = ("" if self.raw[0].endswith("\n") else "\n").join(self.raw)
        lines = text.removesuffix("\n").split("\n")
        if self.prefix or "\x1b" in text or "\r" in text or len(lines) != len(self.raw):
            lines = [self.read(line) for line in self.raw]
        self.lines = lines
        return self

    def trim(self) -> int:
        """Cut off what follows the last line that belongs to it; return the number of lines cut."""
        self.finish()
        keep = len(self.lines)
        while keep > 1 and not self._belongs(self.lines[keep - 1]):
            keep -= 1
        cut = len(self.lines) - keep
        del self.lines[keep:], self.raw[keep:]
        return cut

    def _belongs(self, line: str) -> bool:
        if self.shape is Shape.FATAL and _FATAL_DETAIL.match(line):
            return True
        token = lex(line)
        if isinstance(token, GoFunction | GoPlace):
            return bool(GO_HEADING.match(self.lines[0]))
        return token not in {Mark.UNKNOWN, Mark.BLANK}


def clean(raw: str) -> str:
    """Strip the line end and any terminal colours."""
    line = raw.rstrip("\r\n")
    return _COLOUR.sub("", line) if "\x1b" in line else line


def prefix_pattern(prefix: str) -> re.Pattern[str] | None:
    """Turn the text before a heading into a pattern for the same prefix on other lines; None if there is none.

    Times and a leading line number vary from line to line; all else must be the same, so that the lines of another
    job in the same log are not taken for this one's.
    """
    body = prefix.rstrip()
    if not body:
        return None
    parts: list[str] = []
    done = 0
    for found in _VARYING.finditer(body):
        parts += [re.escape(body[done : found.start()]), _vary(found[0])]
        done = found.end()
    parts.append(re.escape(body[done:]))
    return re.compile("".join(parts) + rf"[ \t]{{0,{len(prefix) - len(body)}}}")


def _vary(text: str) -> str:
    return re.sub(r"\d+", r"\\d+", re.sub(r"(?:\\\s)+|\s+", r"\\s*", re.escape(text)))


@dataclass(slots=True)
class Splitter:
    """Cuts a log into blocks. While it runs, its counts tell what was outside of them.

    ``outside`` counts lines of no concern (not blank, no fence), ``strange`` those that speak of ThreadSanitizer
    and yet are nothing known, of which ``samples`` keeps the first few. ``notices`` counts the runtime's remarks
    outside of blocks: with them and no block, a program ran under it and nothing was found.
    """

    outside: int = 0
    strange: int = 0
    notices: int = 0
    samples: list[str] = field(default_factory=list)
    _block: Block | None = None
    _fenced: Block | None = None  # ended by a fence, which may turn out to be the next block's first line

    def split(self, lines: Iterable[str]) -> Iterator[Block]:
        """Yield each block when it has ended; a line may keep its line end. Never raises on any text."""
        for number, raw in enumerate(lines, 1):
            block = self._block
            # Nearly all lines of a block end nothing; _take would find that out too, at three times the cost.
            if (
                block is not None
                and block.shape is Shape.FINDING
                and (raw.startswith("    #") or not (_speaks(raw) or FENCE in raw))
                and len(block.raw) < MAX_LINES
            ):
                block.raw.append(raw)
            else:
                yield from self._take(raw, number)
        yield from self._close_fenced(followed=False)
        yield from self._cut()

    def _take(self, raw: str, number: int) -> list[Block]:
        speaks = _speaks(raw)
        opened = _open(raw, number) if speaks else None
        done = self._close_fenced(followed=opened is not None)
        if self._block is not None and opened is not None and _continues(self._block, opened):
            opened = None
        if opened is not None:
            done += self._cut()
            self._block = opened
        elif self._block is None:
            self._outside(raw, speaks=speaks)
        else:
            done += self._inside(self._block, raw, speaks=speaks)
        return done

    def _inside(self, block: Block, raw: str, *, speaks: bool) -> list[Block]:
        if FENCE in raw and block.read(raw).endswith(FENCE):
            self._block, self._fenced = None, block
            return []
        block.raw.append(raw)
        if speaks and SUMMARY.match(block.read(raw)):
            self._block = None
            return [block.finish()]
        return self._cut() if _is_over(block, raw) else []

    def _outside(self, raw: str, *, speaks: bool) -> None:
        if speaks:
            line = clean(raw)
            if _NOTICE.search(line):
                self.notices += 1
            else:
                self.strange += 1
                if len(self.samples) < MAX_SAMPLES:
                    self.samples.append(line[:MAX_SAMPLE_LENGTH])
        elif raw and not raw.isspace() and FENCE not in raw and not _ABORTING.match(raw):
            self.outside += 1

    def _close_fenced(self, *, followed: bool) -> list[Block]:
        """End a block that a fence has ended; when a heading follows, that fence was the heading's."""
        block, self._fenced = self._fenced, None
        if block is None:
            return []
        block.truncated = followed
        return [block.finish()]

    def _cut(self) -> list[Block]:
        """End a block that has no end of its own."""
        block, self._block = self._block, None
        if block is None:
            return []
        block.truncated = block.shape is Shape.FINDING
        self.outside += block.trim()
        return [block]


def _speaks(raw: str) -> bool:
    """Tell whether a line may be of the runtime's own making: the cheapest test that lets none of them through."""
    return "ThreadSanitizer" in raw or "WARNING: D" in raw


def _open(raw: str, number: int) -> Block | None:
    """Start a block if this line is a first line."""
    line = clean(raw)
    if found := HEADING.search(line) or GO_HEADING.search(line):
        return Block(Shape.FINDING, number, prefix_pattern(line[: found.start()]), [raw])
    if found := FATAL.search(line):
        return Block(Shape.FATAL, number, prefix_pattern(line[: found.start()]), [raw])
    return None


def _is_over(block: Block, raw: str) -> bool:
    """Tell whether a block has gone on without an end for too long."""
    if block.shape is Shape.FATAL:
        line = block.read(raw)
        known = not line.strip() or bool(_FATAL_DETAIL.match(line)) or lex(line) is not Mark.UNKNOWN
        block.strays = 0 if known else block.strays + 1
        return block.strays >= MAX_STRAYS
    return len(block.raw) >= MAX_LINES


def _continues(block: Block, opened: Block) -> bool:
    """Tell whether a first line only goes on: a crash says DEADLYSIGNAL, then ERROR; FATAL may take two lines."""
    return block.shape is Shape.FATAL and opened.shape is Shape.FATAL and not block.strays
