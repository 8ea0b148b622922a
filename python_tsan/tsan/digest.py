"""Collect the distinct findings of any number of logs, fast and in little memory; the parser reads each.

Most blocks of a long log repeat a few races. A repeated block is known by its text without the numbers that differ
from run to run, and then needs no parsing.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_tsan.tsan.block import Block, Shape
from python_tsan.tsan.blocks import MAX_SAMPLE_LENGTH, MAX_SAMPLES, Splitter
from python_tsan.tsan.fingerprint import fingerprint, ways
from python_tsan.tsan.parser import parse_block, parse_fatal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.tsan.finding import Fatal, Finding

# Texts remembered. Beyond that all are dropped: the memory saves time, it decides nothing.
MAX_TEXTS = 4096
# Longer blocks are rare and not remembered.
MAX_TEXT_LINES = 400
# 0x7b0400000000, thread T12, write M3, tid=4711, pid=4711, Thread T12 'worker-12' (tid=4711, heap block of size 640
_VOLATILE = re.compile(r"0x(?<!\+0x)[0-9a-f]+| [TM]\d+|[tp]id=\d+| '[^'\n]*'(?= \(tid=)|(?<=heap block of size )\d+")


@dataclass(slots=True)
class Group:
    """One distinct finding: the first block that showed it, how often it came and where.

    ``places`` maps a log's name to the first lines of its blocks, in order. ``variants`` has one block of each way
    through the modules: what is true of the first need not be true of all.
    """

    fingerprint: str
    finding: Finding
    occurrences: int = 0
    variants: dict[tuple[object, ...], Finding] = field(default_factory=dict)
    places: dict[str, array[int]] = field(default_factory=dict)

    def sources(self) -> Iterator[tuple[str, int]]:
        """Yield log name and line of every occurrence."""
        return ((name, line) for name, lines in self.places.items() for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """A log that speaks of more reports than could be read from it."""

    source: str
    read: int
    missing: int


@dataclass(slots=True)
class Digest:
    """Collects logs and holds each distinct finding once, in the order of first appearance.

    ``shortfalls`` are the logs that speak of reports which could not be read, ``other_tools`` the checkers of other
    kinds whose lines were seen outside of blocks.
    """

    groups: dict[str, Group] = field(default_factory=dict)
    fatal: list[Fatal] = field(default_factory=list)
    blocks: int = 0
    unparsed: int = 0
    outside: int = 0
    notices: int = 0
    samples: list[str] = field(default_factory=list)
    shortfalls: list[Shortfall] = field(default_factory=list)
    other_tools: dict[str, None] = field(default_factory=dict)
    _texts: dict[tuple[str, ...], tuple[Group, int]] = field(default_factory=dict)

    def add(self, lines: Iterable[str], source: str) -> None:
        """Read one log; ``source`` is its name. Never raises on any text."""
        splitter = Splitter()
        for block in splitter.split(lines):
            if block.shape is Shape.FATAL:
                self.fatal.append(parse_fatal(block, source))
                continue
            group, unparsed = self._group(block, source)
            self.blocks += 1
            self.unparsed += unparsed
            group.occurrences += 1
            group.places.setdefault(source, array("Q")).append(block.first_line)
        self.unparsed += splitter.strange
        self.outside += splitter.outside
        self.notices += splitter.notices
        self._sample(splitter.samples)
        self.other_tools |= splitter.other_tools
        if splitter.tally.missing:
            self.shortfalls.append(Shortfall(source=source, read=splitter.tally.found, missing=splitter.tally.missing))

    def add_finding(self, finding: Finding, key: str = "") -> None:
        """Add what is parsed already; ``key`` is its fingerprint where that is known."""
        key = key or fingerprint(finding)
        group = self.groups.setdefault(key, Group(key, finding))
        group.occurrences += 1
        group.places.setdefault(finding.source.file, array("Q")).append(finding.source.first_line)
        self.blocks += 1

    @property
    def missing(self) -> int:
        """How many reports the logs speak of that could not be read."""
        return sum(each.missing for each in self.shortfalls)

    def _group(self, block: Block, source: str) -> tuple[Group, int]:
        # What differs between two prints of one finding is taken out; in a frame or a summary nothing does.
        still = [
            line if not line or line[4:5] == "#" or line[:7] == "SUMMARY" else _VOLATILE.sub("", line)
            for line in block.lines
        ]
        text = tuple(still)
        known = self._texts.get(text)
        if known is None:
            finding = parse_block(block, source)
            self._sample(finding.unparsed)
            key = fingerprint(finding)
            group = self.groups.setdefault(key, Group(key, finding))
            group.variants.setdefault(ways(finding), finding)
            known = (group, len(finding.unparsed))
            if len(self._texts) >= MAX_TEXTS:
                self._texts.clear()
            if len(text) <= MAX_TEXT_LINES:
                self._texts[text] = known
        return known

    def _sample(self, lines: Iterable[str]) -> None:
        for line in lines:
            if len(self.samples) >= MAX_SAMPLES:
                return
            self.samples.append(line[:MAX_SAMPLE_LENGTH])
