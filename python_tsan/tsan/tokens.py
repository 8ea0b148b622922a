"""What a single line of a ThreadSanitizer block can be; the lexer reads the line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from python_tsan.tsan.finding import Access, Acquisition, Dialect, Frame, Location, Mutex, Thread


class Mark(Enum):
    """Lines whose presence is all that they say."""

    BLANK = "blank"
    FENCE = "fence"
    UNRESTORED = "failed to restore the stack"
    SLEEP = "as if synchronized via sleep"
    AND = "and"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Heading:
    """The first line of a block; ``pid`` is None where it is not printed, as in Go's."""

    title: str
    pid: int | None
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Summary:
    """The last line of a block, without ``SUMMARY: ThreadSanitizer: ``."""

    text: str


@dataclass(frozen=True, slots=True)
class Cycle:
    """The mutexes of a lock-order cycle, the closing repetition left out."""

    mutexes: tuple[Mutex, ...]


@dataclass(frozen=True, slots=True)
class HeldBefore:
    """Introduces the stack where an acquisition's other mutex was taken."""

    mutex: int


@dataclass(frozen=True, slots=True)
class SignalCaption:
    """Introduces the stack of a signal handler."""

    signal: int
    text: str


@dataclass(frozen=True, slots=True)
class Leaked:
    """The number of threads that leaked in addition to the one that is printed."""

    others: int


@dataclass(frozen=True, slots=True)
class Note:
    """An aside of the runtime's own."""

    text: str


@dataclass(frozen=True, slots=True)
class GoFunction:
    """First of the two lines of a frame in Go's dialect."""

    symbol: str


@dataclass(frozen=True, slots=True)
class GoPlace:
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
