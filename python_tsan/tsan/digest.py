"""Collect the distinct findings of any number of logs, fast and in little memory; the parser reads each.

Most blocks of a long log repeat a few races. A repeated block is known by its normal form and then needs no parsing.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from python_tsan.tsan.block import Shape
from python_tsan.tsan.blocks import MAX_SAMPLE_LENGTH, MAX_SAMPLES, Splitter
from python_tsan.tsan.finding import Fatal, Finding, Source
from python_tsan.tsan.fingerprint import fingerprint, ways
from python_tsan.tsan.normal_form import Speller
from python_tsan.tsan.parser import parse_block, parse_fatal
from python_tsan.tsan.skim import Skimmer

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from python_tsan.tsan.block import Block
    from python_tsan.tsan.normal_form import Spelling

Item = TypeVar("Item", Finding, Fatal)
# Spellings remembered. Beyond that all are forgotten: the memory saves time, it decides nothing.
MAX_SPELLINGS = 4096
# Longer blocks are rare and not remembered.
MAX_SPELLED_LINES = 400


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
class Part:
    """What a part of a log holds: groups by fingerprint, each with its lines and the variants not taken before."""

    fatal: list[Fatal]
    blocks: int
    unparsed: int
    samples: list[str]
    groups: list[tuple[str, array[int], dict[tuple[object, ...], Finding]]] = field(default_factory=list)


@dataclass(slots=True)
class Digest:
    """Collects logs and holds each distinct finding once, in the order of first appearance.

    ``shortfalls`` are the logs that speak of reports which could not be read, ``other_tools`` the checkers of other
    kinds whose lines were seen outside of blocks, ``unread`` sentences about parts of logs that were not read.
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
    unread: list[str] = field(default_factory=list)
    # All groups that were ever parsed, and which of their variants take_part has returned.
    _known: dict[str, Group] = field(default_factory=dict)
    _taken: dict[str, set[tuple[object, ...]]] = field(default_factory=dict)
    _speller: Speller = field(default_factory=Speller)
    # The group of each spelling, and how many lines in it are no part of the block.
    _spelled: dict[tuple[Hashable, ...], tuple[Group, int]] = field(default_factory=dict)

    def read(self, texts: Iterable[str], source: str) -> None:
        """Read one log in pieces that end where a line ends; ``source`` is its name. Never raises on any text."""
        splitter = Splitter()
        self.resume(splitter, texts, source)
        self.close(splitter, source)

    def add(self, lines: Iterable[str], source: str) -> None:
        """Read one log line by line, as :meth:`read` does."""
        splitter = Splitter()
        self._collect(splitter.split(lines), source)
        self.close(splitter, source)

    def resume(self, splitter: Splitter, texts: Iterable[str], source: str, *, last: bool = True) -> None:
        """Read a part of a log, of which ``splitter`` knows what came before."""
        skimmer = Skimmer(
            splitter,
            self._speller,
            count=lambda spelling, number: self._count(spelling, number, source),
            finished=lambda block: self._take(block, source),
        )
        self._collect(splitter.split(skimmer.lines(texts), last=last), source)

    def approach(self, splitter: Splitter, texts: Iterable[str]) -> None:
        """Bring a splitter into the state that it has behind these texts, of which nothing is counted."""
        skimmer = Skimmer(splitter, self._speller, count=lambda _spelling, _number: True, finished=lambda _block: None)
        for _ in splitter.split(skimmer.lines(texts), last=False):
            pass

    def close(self, splitter: Splitter, source: str) -> None:
        """Add what was outside of the blocks of one log."""
        self.unparsed += splitter.strange
        self.outside += splitter.outside
        self.notices += splitter.notices
        self._sample(splitter.samples)
        self.other_tools |= splitter.other_tools
        if splitter.tally.missing:
            self.shortfalls.append(Shortfall(source=source, read=splitter.tally.found, missing=splitter.tally.missing))

    def take_part(self) -> Part:
        """Return what was read since the last call, and forget it; what was parsed stays known."""
        part = Part(self.fatal, self.blocks, self.unparsed, self.samples)
        for key, group in self.groups.items():
            sent = self._taken.setdefault(key, set())
            new = {way: finding for way, finding in group.variants.items() if way not in sent}
            sent.update(new)
            (lines,) = group.places.values()
            part.groups.append((key, lines, new))
            group.occurrences, group.places = 0, {}
        self.groups, self.fatal, self.samples = {}, [], []
        self.blocks = self.unparsed = 0
        return part

    def add_part(self, part: Part, source: str, shift: int) -> None:
        """Add a part of a log; ``shift`` is what its numbers of lines lack."""
        for key, lines, variants in part.groups:
            for way, finding in variants.items():
                if key not in self.groups or way not in self.groups[key].variants:
                    moved = _moved(finding, shift)
                    self.groups.setdefault(key, Group(key, moved)).variants[way] = moved
            group = self.groups[key]
            group.occurrences += len(lines)
            group.places.setdefault(source, array("Q")).extend(line + shift for line in lines)
        self.fatal += [_moved(each, shift) for each in part.fatal]
        self.blocks += part.blocks
        self.unparsed += part.unparsed
        self._sample(part.samples)

    def _collect(self, blocks: Iterable[Block], source: str) -> None:
        for block in blocks:
            if block.shape is Shape.FATAL:
                self.fatal.append(parse_fatal(block, source))
            else:
                self._take(block, source)

    def add_finding(self, finding: Finding, key: str = "", *, times: int = 1) -> None:
        """Add what is parsed already, ``times`` occurrences of it; ``key`` is its fingerprint where that is known."""
        key = key or fingerprint(finding)
        group = self.groups.setdefault(key, Group(key, finding))
        if finding.notes and not group.finding.notes:
            group.finding = finding
        group.variants.setdefault(ways(finding), finding)
        group.occurrences += times
        group.places.setdefault(finding.source.file, array("Q")).append(finding.source.first_line)
        self.blocks += times

    @property
    def missing(self) -> int:
        """How many reports the logs speak of that could not be read."""
        return sum(each.missing for each in self.shortfalls)

    def _take(self, block: Block, source: str) -> None:
        """Count a block that the splitter found."""
        if len(block.lines) > MAX_SPELLED_LINES:
            self._parse(block, source)
            return
        spelling = self._speller.spell(block.lines)
        if not self._count(spelling, block.first_line, source):
            known = self._parse(block, source, strays=len(spelling.strays))
            if len(self._spelled) >= MAX_SPELLINGS:
                self._spelled.clear()
            self._spelled[spelling.form] = known
            if not spelling.strays:
                self._spelled[self._speller.spell_text("\n".join(block.lines)).form] = known

    def _count(self, spelling: Spelling, number: int, source: str) -> bool:
        """Count a block whose spelling is known; return whether it is."""
        known = self._spelled.get(spelling.form)
        if known is None:
            return False
        group, unparsed = known
        self._sample(spelling.strays)
        self._add(group, number, source, unparsed + len(spelling.strays))
        return True

    def _parse(self, block: Block, source: str, strays: int = 0) -> tuple[Group, int]:
        """Parse and count a block; return its group, and how many more than the known strays are no part of it."""
        finding = parse_block(block, source)
        unparsed = len(finding.unparsed)
        self._sample(finding.unparsed)
        key = fingerprint(finding)
        group = self._known.get(key) or self.groups.get(key)
        if group is None:
            group = Group(key, finding)
        self._known[key] = group
        group.variants.setdefault(ways(finding), finding)
        self._add(group, block.first_line, source, unparsed)
        return group, unparsed - strays

    def _add(self, group: Group, number: int, source: str, unparsed: int) -> None:
        self.blocks += 1
        self.unparsed += unparsed
        if not group.occurrences:
            self.groups[group.fingerprint] = group
        group.occurrences += 1
        places = group.places.get(source)
        if places is None:
            places = group.places[source] = array("Q")
        places.append(number)

    def _sample(self, lines: Iterable[str]) -> None:
        """Keep the first few lines that differ."""
        if len(self.samples) >= MAX_SAMPLES:
            return
        for line in lines:
            sample = line[:MAX_SAMPLE_LENGTH]
            if sample not in self.samples and len(self.samples) < MAX_SAMPLES:
                self.samples.append(sample)


def _moved(what: Item, shift: int) -> Item:
    """Return a finding, or a fatal end, as if more lines were before it."""
    source = what.source
    moved = Source(file=source.file, first_line=source.first_line + shift, last_line=source.last_line + shift)
    return replace(what, source=moved)
