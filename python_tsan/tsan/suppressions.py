"""Read the syntax of suppression files and of the runtime's report of their use; callers open the files."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.tsan.fields import number
from python_tsan.tsan.finding import RULES, Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.tsan.finding import Frame


class SuppressionType(Enum):
    """What a suppression looks at, as ``tsan_suppressions.cpp`` spells it."""

    RACE = "race"
    RACE_TOP = "race_top"
    MUTEX = "mutex"
    THREAD = "thread"
    SIGNAL = "signal"
    DEADLOCK = "deadlock"
    CALLED_FROM_LIB = "called_from_lib"


class Suppression(Struct, frozen=True, kw_only=True):
    """One line of a suppression file. ``reason`` is the comment right above it; ``line`` counts from 1.

    The type is one of the runtime's, or the kind of finding whose rule is named.
    """

    type: SuppressionType | Kind
    pattern: str
    line: int
    reason: str = ""

    @property
    def is_for_runtime(self) -> bool:
        """Whether the runtime knows its type; at any other it would stop."""
        return isinstance(self.type, SuppressionType)

    @property
    def is_for_recorder(self) -> bool:
        """Whether it is for what the preloaded recorder finds."""
        return isinstance(self.type, Kind) or self.type is SuppressionType.DEADLOCK

    def __str__(self) -> str:
        return f"{self.type.rule if isinstance(self.type, Kind) else self.type.value}:{self.pattern}"


class Refusal(Struct, frozen=True, kw_only=True):
    """A line that must not be used, and why."""

    line: int
    text: str
    reason: str


class SuppressionFile(Struct, frozen=True, kw_only=True):
    """What a suppression file says, and what of it is refused."""

    entries: tuple[Suppression, ...] = ()
    refused: tuple[Refusal, ...] = ()


class Match(Struct, frozen=True, kw_only=True):
    """How often one suppression matched in one process."""

    pid: int
    hits: int
    suppression: str


# Functions through which nearly every Python stack goes: they are in the middle of the user's own callbacks too.
HUBS = (
    "_PyEval_EvalFrameDefault",
    "_PyEval_EvalFrame",
    "_PyEval_Vector",
    "_PyFunction_Vectorcall",
    "_PyObject_MakeTpCall",
    "_PyObject_VectorcallTstate",
    "PyObject_Vectorcall",
    "PyObject_Call",
    "PyObject_CallObject",
    "PyEval_EvalCode",
    "pythread_wrapper",
    "thread_run",
)
# What the runtime reports, and what the recorder finds.
DEADLOCKS = (Kind.DEADLOCK, Kind.POSSIBLE_DEADLOCK)
_TYPES = {member.value: member for member in SuppressionType}
_ANY_STACK: frozenset[SuppressionType | Kind] = frozenset(
    {SuppressionType.RACE, SuppressionType.DEADLOCK, SuppressionType.THREAD, SuppressionType.MUTEX, *RULES.values()}
)

# ThreadSanitizer: Matched 2 suppressions (pid=4711):
_MATCHED = re.compile(r"ThreadSanitizer: Matched \d+ suppressions \(pid=(?P<pid>\d+)\):")
# 2 race:known_writer
_COUNT = re.compile(
    r"\s*(?P<hits>\d+) (?P<suppression>(?:race|race_top|mutex|thread|signal|deadlock|called_from_lib):.*?)\s*$"
)


def parse_suppressions(text: str) -> SuppressionFile:
    """Read a suppression file: ``type:pattern`` lines, ``#`` comments. What is refused is returned, never raised."""
    entries: list[Suppression] = []
    refused: list[Refusal] = []
    comment: list[str] = []
    for place, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            comment.append(line.lstrip("# "))
            continue
        if line:
            read = _read(line, place, " ".join(comment))
            entries.append(read) if isinstance(read, Suppression) else refused.append(read)
        comment = []
    return SuppressionFile(entries=tuple(entries), refused=tuple(refused))


def _read(line: str, number: int, comment: str) -> Suppression | Refusal:
    word, colon, pattern = line.partition(":")
    kind = RULES.get(word) or _TYPES.get(word)
    if kind is None:
        return Refusal(
            line=number,
            text=line,
            reason=f"it must be TYPE:PATTERN, with TYPE one of {', '.join((*_TYPES, *RULES))}",
        )
    if not colon or not pattern:
        return Refusal(line=number, text=line, reason="it has no pattern")
    if why := too_wide(kind, pattern):
        return Refusal(line=number, text=line, reason=why)
    return Suppression(type=kind, pattern=pattern, line=number, reason=comment)


def too_wide(kind: SuppressionType | Kind, pattern: str) -> str:
    """Say why a pattern would hide the user's own defects, or return an empty string if it does not."""
    if not pattern.strip("*^$"):
        return "it matches everything"
    if kind is SuppressionType.CALLED_FROM_LIB and pattern_matches(pattern, "libpython3.13d.so.1.0"):
        return (
            "every call that libpython makes would be ignored, the ones into your own code included; "
            "name the one function with race_top: instead"
        )
    hub = next((hub for hub in HUBS if kind in _ANY_STACK and pattern_matches(pattern, hub)), None)
    if hub and isinstance(kind, Kind):
        return f"{hub} is on nearly every stack that comes from Python; name a function of the program"
    if hub:
        return (
            f"{hub} is on nearly every stack that comes from Python, so races in your own callbacks would be hidden "
            "too; name the function that races, with race_top:"
        )
    return ""


def pattern_matches(pattern: str, text: str) -> bool:
    """Match as the runtime's ``TemplateMatch`` does: anywhere in a text, ``*`` for all, ``^`` and ``$`` anchor."""
    start, end = pattern.startswith("^"), pattern.endswith("$")
    parts = pattern.removeprefix("^").removesuffix("$").split("*")
    at = 0
    for index, part in enumerate(parts):
        anchored = start and not index
        if end and index == len(parts) - 1:
            return text == part if anchored else len(text) - len(part) >= at and text.endswith(part)
        found = (0 if text.startswith(part) else -1) if anchored else text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def hides(entry: Suppression, finding: Finding) -> bool:
    """Return whether a suppression is for this finding.

    As ``IsSuppressed`` of ``tsan_suppressions.cpp`` does: ``race`` looks at every frame of every stack of an access,
    ``race_top`` at the innermost alone; a frame matches by its function, file or module. ``deadlock`` looks at every
    frame of every stack, also where a thread was created. A rule looks at every frame of the findings that break it,
    and at the function of the C API. The other types hide none.
    """
    return any(pattern_matches(entry.pattern, text) for text in _texts(entry.type, finding))


def _texts(kind: SuppressionType | Kind, finding: Finding) -> Iterator[str]:
    match kind:
        case SuppressionType.RACE:
            yield from _of_frames(frame for access in finding.accesses for frame in access.stack.frames)
        case SuppressionType.RACE_TOP:
            yield from _of_frames(frame for access in finding.accesses for frame in access.stack.frames[:1])
        case SuppressionType.DEADLOCK if finding.kind in DEADLOCKS:
            yield from _of_stacks(finding)
            yield from _of_frames(frame for thread in finding.threads if thread.stack for frame in thread.stack.frames)
        case Kind() if finding.kind is kind:
            yield from _of_stacks(finding)
            if finding.title != kind.value:
                yield finding.title.partition(" ")[0]


def _of_stacks(finding: Finding) -> Iterator[str]:
    locking = (each for one in finding.acquisitions for each in (one.stack, one.holding_stack))
    yield from _of_frames(frame for stack in (*finding.stacks, *locking) if stack for frame in stack.frames)


def _of_frames(frames: Iterable[Frame]) -> Iterator[str]:
    yield from (text for frame in frames for text in (frame.symbol, frame.file, frame.module) if text)


def parse_matches(lines: Iterable[str]) -> Iterator[Match]:
    """Yield the counts that ``print_suppressions=1`` makes the runtime print at the end of a process."""
    pid: int | None = None
    for line in lines:
        if head := _MATCHED.search(line):
            pid = number(head["pid"]) or 0
        elif pid is not None and (count := _COUNT.match(line)):
            yield Match(pid=pid, hits=number(count["hits"]) or 0, suppression=count["suppression"])
        else:
            pid = None


def unused(entries: Iterable[Suppression], matches: Iterable[Match]) -> tuple[Suppression, ...]:
    """Return the entries that matched nothing in the runs that ``matches`` come from."""
    hit = {match.suppression for match in matches if match.hits}
    return tuple(entry for entry in entries if str(entry) not in hit)
