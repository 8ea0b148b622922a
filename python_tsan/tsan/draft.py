"""Join the lines of one block into its parts; the parser finds the block and names it."""

from __future__ import annotations

import re
from typing import assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from python_tsan.tsan.finding import (
    UNRESTORED,
    Access,
    Acquisition,
    Dialect,
    Frame,
    Location,
    LocationKind,
    Mutex,
    Stack,
    Thread,
)
from python_tsan.tsan.frame_line import UNNUMBERED
from python_tsan.tsan.lexer import lex
from python_tsan.tsan.tokens import (
    Cycle,
    GoFunction,
    GoPlace,
    Heading,
    HeldBefore,
    Leaked,
    Mark,
    Note,
    SignalCaption,
    Summary,
    Token,
)

# done 10%    #0 worker(int) /src/race.cpp:12:5 (race+0xe4590)
# done 10%  Previous write of size 8 at 0x7b0400000000 by thread T1:
# but not [1,0]<stderr>:    #0 f /src/other.cpp:3: a colon or bracket ends the prefix of another source
_GLUED = (
    r"(?<=[^\s:|\]>)])"
    r"(?:    (?=#\d+ \S)|  (?=(?:Previous |Atomic |Write of |Read of |Location is |Mutex M|Thread T|As if )))"
)

Part = Access | Location | Mutex | Thread | Acquisition | HeldBefore | SignalCaption | Mark | None


class Section(Struct):
    """A line that introduces something, with the frames below it. ``restored`` is None until a stack was seen."""

    part: Part
    frames: list[Frame] = field(default_factory=list)
    restored: bool | None = None

    def stack(self, caption: str = "") -> Stack:
        """Return the frames as a stack, UNRESTORED without frames."""
        return Stack(frames=tuple(self.frames), caption=caption) if self.frames else UNRESTORED


class Draft(Struct):
    """What has been read of a block so far."""

    dialect: Dialect
    sections: list[Section] = field(default_factory=list)
    cycle: tuple[Mutex, ...] = ()
    summary: str = ""
    leaked: int = 0
    notes: list[str] = field(default_factory=list)
    unparsed: list[str] = field(default_factory=list)
    symbol: str = ""

    def take(self, line: str, token: Token) -> None:
        """Put one line where it belongs."""
        match token:
            case Frame():  # most lines
                self._frame(token)
            case Access() | Location() | Mutex() | Thread() | Acquisition() | HeldBefore() | SignalCaption():
                self.sections.append(Section(token))
            case Cycle():
                self.cycle = token.mutexes
            case Summary():
                self.summary = token.text
            case Leaked():
                self.leaked = token.others + 1
            case Note():
                self.notes.append(token.text)
            case GoFunction() | GoPlace():
                self._go(line, token)
            case Mark():
                self._mark(line, token)
            case Heading():
                self.unparsed.append(line)
            case _:
                assert_never(token)

    def _mark(self, line: str, mark: Mark) -> None:
        match mark:
            case Mark.BLANK | Mark.FENCE:
                pass
            case Mark.UNRESTORED:
                if not self.sections or self.sections[-1].restored is not None:
                    self.sections.append(Section(None))
                self.sections[-1].restored = False
            case Mark.SLEEP | Mark.AND:
                self.sections.append(Section(mark))
            case Mark.UNKNOWN:
                self._unknown(line)
            case _:
                assert_never(mark)

    def _unknown(self, line: str) -> None:
        glued = re.search(_GLUED, line)
        if glued and (token := lex(line[glued.end() :])) is not Mark.UNKNOWN:
            self.unparsed.append(line[: glued.start()])
            self.take(line, token)
        else:
            self.unparsed.append(line)

    def _frame(self, frame: Frame) -> None:
        """Add to the open stack; a frame that does not follow the last one starts a stack whose caption is lost."""
        section = self.sections[-1] if self.sections else None
        if frame.index == UNNUMBERED:
            frame = replace(frame, index=len(section.frames) if section else 0)
        if section is None or section.restored is False or (section.frames and frame.index <= section.frames[-1].index):
            section = Section(None)
            self.sections.append(section)
        section.frames.append(frame)
        section.restored = True

    def _go(self, line: str, token: GoFunction | GoPlace) -> None:
        """Join the two lines of a Go frame; in a block of the other dialect they are program output."""
        if self.dialect is not Dialect.GO:
            self.unparsed.append(line)
        elif isinstance(token, GoFunction):
            self.symbol = token.symbol
        else:
            index = len(self.sections[-1].frames) if self.sections else 0
            self._frame(Frame(index=index, symbol=self.symbol, file=token.file, line=token.line, offset=token.offset))
            self.symbol = ""


class Parts(Struct):
    """The sections of a block by what they are."""

    accesses: list[Access] = field(default_factory=list)
    locations: list[Location] = field(default_factory=list)
    mutexes: list[Mutex] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    acquisitions: list[Acquisition] = field(default_factory=list)
    stacks: list[Stack] = field(default_factory=list)
    sleep: Stack | None = None
    signal: int | None = None

    def file(self, section: Section) -> None:
        """Close one section and add it to the parts of its type."""
        match section.part:
            case Access() as access:
                self.accesses.append(replace(access, stack=section.stack()))
            case Location() as location:
                holds_stack = {LocationKind.HEAP, LocationKind.FILE_DESCRIPTOR, LocationKind.EXTERNAL}
                stack = section.stack() if location.kind in holds_stack else None
                self.locations.append(replace(location, stack=stack))
            case Mutex() as mutex:
                self.mutexes.append(replace(mutex, stack=None if mutex.destroyed else section.stack()))
            case Thread() as thread:
                self.threads.append(replace(thread, stack=None if thread.worker else section.stack()))
            case Acquisition() as acquisition:
                self.acquisitions.append(replace(acquisition, stack=section.stack()))
            case HeldBefore():
                self._held_before(section)
            case SignalCaption(signal=signal, text=text):
                self.signal = signal
                self.stacks.append(section.stack(text))
            case Mark.SLEEP:
                self.sleep = section.stack()
            case _:
                self.stacks.append(section.stack())

    def _held_before(self, section: Section) -> None:
        """Give the last acquisition its second stack; without one (its line was lost) the stack is of no part."""
        if self.acquisitions and self.acquisitions[-1].holding_stack is None:
            self.acquisitions[-1] = replace(self.acquisitions[-1], holding_stack=section.stack())
        else:
            self.stacks.append(section.stack())
