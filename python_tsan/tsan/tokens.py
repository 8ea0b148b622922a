"""What a single line of a ThreadSanitizer block can be; the lexer reads the line."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from python_tsan.tsan.finding import Access, Acquisition, Dialect, Frame, Location, Mutex, Thread


class Mark(Enum):
    """Lines whose presence is all that they say."""

    BLANK = "blank"
    FENCE = "fence"
    UNRESTORED = "failed to restore the stack"
    SLEEP = "as if synchronized via sleep"
    AND = "and"
    UNKNOWN = "unknown"


class Heading(Struct, frozen=True):
    """The first line of a block; ``pid`` is None where it is not printed, as in Go's."""

    title: str
    pid: int | None
    dialect: Dialect


class Summary(Struct, frozen=True):
    """The last line of a block, without ``SUMMARY: ThreadSanitizer: ``."""

    text: str


class Cycle(Struct, frozen=True):
    """The mutexes of a lock-order cycle, the closing repetition left out."""

    mutexes: tuple[Mutex, ...]


class HeldBefore(Struct, frozen=True):
    """Introduces the stack where an acquisition's other mutex was taken."""

    mutex: int


class SignalCaption(Struct, frozen=True):
    """Introduces the stack of a signal handler."""

    signal: int
    text: str


class Leaked(Struct, frozen=True):
    """The number of threads that leaked in addition to the one that is printed."""

    others: int


class Note(Struct, frozen=True):
    """An aside of the runtime's own."""

    text: str


class GoFunction(Struct, frozen=True):
    """First of the two lines of a frame in Go's dialect."""

    symbol: str


class GoPlace(Struct, frozen=True):
    """Second of the two lines of a frame in Go's dialect."""

    file: str
    line: int
    offset: int | None


# Of the parts of a finding, the line brings all but the stack.
Token = (
    Mark
    | Heading
    | Summary
    | Access
    | Frame
    | Location
    | Mutex
    | Thread
    | Cycle
    | Acquisition
    | HeldBefore
    | SignalCaption
    | Leaked
    | Note
    | GoFunction
    | GoPlace
)
