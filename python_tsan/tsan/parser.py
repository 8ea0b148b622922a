"""Turn a log's lines into findings: the splitter finds the blocks, the lexer reads single lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from python_tsan.tsan.block import Block, Shape
from python_tsan.tsan.draft import Draft, Parts
from python_tsan.tsan.fields import number
from python_tsan.tsan.finding import Dialect, Fatal, FatalKind, Finding, Frame, Kind, Source, Stack
from python_tsan.tsan.frame_line import read_frame
from python_tsan.tsan.lexer import GO_HEADING, find_heading, lex
from python_tsan.tsan.outside import MAX_SAMPLE_LENGTH, MAX_SAMPLES
from python_tsan.tsan.splitter import Splitter
from python_tsan.tsan.tokens import Heading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.tsan.lexer import FrameReader

_KINDS: dict[str, Kind] = {
    **{kind.value: kind for kind in Kind if kind is not Kind.UNRECOGNISED},
    "Swift access race": Kind.EXTERNAL_RACE,
    "DATA RACE": Kind.RACE,
    "DEADLOCK": Kind.DEADLOCK,
}
_LOWER_KINDS = {title.lower(): kind for title, kind in _KINDS.items()}
SUMMARY_CAPTION = "only the summary of this report is left"
# ==4711==ERROR: ThreadSanitizer: SEGV on unknown address
_PID = r"==(\d+)=="


def parse_block(block: Block, source: str, *, frame: FrameReader = read_frame, summarised: bool = True) -> Finding:
    """Turn one block of shape FINDING into a finding; never raises, for any lines.

    ``frame`` reads the line of a frame. If ``summarised``, the place in the summary counts where there is no other.
    """
    heading = lex(block.lines[0])
    if not isinstance(heading, Heading):  # glued to program output; the splitter found it further in
        heading = _late_heading(block.lines[0])
    draft = Draft(heading.dialect)
    for line in block.lines[1:]:
        draft.take(line, lex(line, frame))
    parts = Parts()
    for section in draft.sections:
        parts.file(section)
    if summarised and not draft.sections and (last := summary_frame(draft.summary, heading.title)):
        parts.stacks.append(Stack(frames=(last,), caption=SUMMARY_CAPTION))
    kind = _KINDS.get(heading.title) or _LOWER_KINDS.get(heading.title.lower())
    if kind is None:
        # "race on " and the object's type, unless the program registers a heading of its own
        # (__tsan_external_register_tag and _header); no other kind has free text.
        free = heading.title.startswith("race on ") or any(access.object_type for access in parts.accesses)
        kind = Kind.EXTERNAL_RACE if free else Kind.UNRECOGNISED
    return Finding(
        kind=kind,
        title=heading.title,
        pid=heading.pid,
        source=Source(file=source, first_line=block.first_line, last_line=block.last_line),
        # Lines may keep their line ends, the last one excepted.
        raw=("" if block.raw[0].endswith("\n") else "\n").join(block.raw).removesuffix("\n") + "\n",
        dialect=draft.dialect,
        accesses=tuple(parts.accesses),
        stacks=tuple(parts.stacks),
        locations=tuple(parts.locations),
        mutexes=draft.cycle + tuple(parts.mutexes),
        threads=tuple(parts.threads),
        cycle=tuple(mutex.id for mutex in draft.cycle),
        acquisitions=tuple(parts.acquisitions),
        sleep=parts.sleep,
        signal=parts.signal,
        # One leaked thread is not counted by the runtime; more are.
        leaked_threads=max(draft.leaked, 1) if kind is Kind.THREAD_LEAK else 0,
        summary=draft.summary,
        notes=tuple(draft.notes),
        unparsed=tuple(draft.unparsed),
        truncated=block.truncated,
    )


# /src/race.cpp:12:5 worker, as old runtimes print it
_OLD_SUMMARY = r"(?P<place>\S.*:\d+) (?P<symbol>\S+)$"


def summary_frame(summary: str, title: str) -> Frame | None:
    """Return the frame that a summary names: ``data race /src/race.cpp:12:5 in worker(int)``."""
    rest = summary.removeprefix(title).rstrip()
    place, found, symbol = rest.partition(" in ")
    if not found and (old := re.match(_OLD_SUMMARY, rest.strip())):
        place, symbol = old["place"], old["symbol"]
    return read_frame(f"#0 {symbol or '<null>'} {place.strip() or '<null>'}") if rest.strip() else None


def _late_heading(line: str) -> Heading:
    found = find_heading(line) or GO_HEADING.search(line)
    token = lex(line[found.start() :]) if found else None
    return token if isinstance(token, Heading) else Heading(line.strip(), None, Dialect.CXX)


def parse_fatal(block: Block, source: str) -> Fatal:
    """Turn one block of shape FATAL into a record of how the runtime ended."""
    frames = tuple(frame for line in block.lines if isinstance(frame := lex(line), Frame))
    text = "\n".join(block.lines)
    # With log_path=, the runtime writes the line DEADLYSIGNAL to standard error and only the rest to the log.
    if "DEADLYSIGNAL" in text or " on unknown address " in text:
        kind = FatalKind.SIGNAL
    else:
        kind = FatalKind.CHECK if "CHECK failed" in text else FatalKind.FATAL
    message = next((line for line in block.lines if "ERROR: " in line), block.lines[0])
    pid = re.search(_PID, text)
    return Fatal(
        kind=kind,
        message=message.strip(),
        pid=number(pid[1]) if pid else None,
        source=Source(file=source, first_line=block.first_line, last_line=block.last_line),
        raw="\n".join(block.raw),
        stack=Stack(frames=frames) if frames else None,
    )


def parse_lines(lines: Iterable[str], source: str, *, splitter: Splitter | None = None) -> Iterator[Finding | Fatal]:
    """Read a log line by line and yield each finding or fatal end as soon as its block has ended.

    ``lines`` may keep their line ends; ``source`` is the log's name. Memory is bounded by one block. A ``splitter``
    handed in shows afterwards what was outside of blocks. Never raises on any text.
    """
    for block in (splitter or Splitter()).split(lines):
        yield parse_block(block, source) if block.shape is Shape.FINDING else parse_fatal(block, source)


class ParsedLog(Struct, frozen=True, kw_only=True):
    """The content of one log.

    ``unparsed`` counts lines that name ThreadSanitizer, or are inside a block, and are nothing known;
    ``samples`` keeps the first few. ``outside`` counts the other lines, the program's own. ``missing`` counts the
    reports that the log speaks of and that could not be read.
    """

    findings: tuple[Finding, ...] = ()
    fatal: tuple[Fatal, ...] = ()
    unparsed: int = 0
    samples: tuple[str, ...] = ()
    outside: int = 0
    missing: int = 0


def parse_log(log: str | Iterable[str], source: str = "") -> ParsedLog:
    """Read a whole log, given as one text or as lines. Never raises on any text."""
    splitter = Splitter()
    findings: list[Finding] = []
    fatal: list[Fatal] = []
    for item in parse_lines(log.split("\n") if isinstance(log, str) else log, source, splitter=splitter):
        if isinstance(item, Finding):
            findings.append(item)
        else:
            fatal.append(item)
    outside = splitter.outside
    inside = [line for finding in findings for line in finding.unparsed]
    samples = outside.samples + [line[:MAX_SAMPLE_LENGTH] for line in inside]
    return ParsedLog(
        findings=tuple(findings),
        fatal=tuple(fatal),
        unparsed=outside.strange + len(inside),
        samples=tuple(samples[:MAX_SAMPLES]),
        outside=outside.lines,
        missing=outside.tally.missing,
    )
