"""Collect the distinct findings of any number of logs, fast and in little memory; the parser reads each.

Most blocks of a long log repeat a few races. A repeated block is known by its normal form and then needs no parsing.
"""

from __future__ import annotations

from array import array
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from python_tsan.tsan.block import Block, Shape
from python_tsan.tsan.finding import Fatal, Finding, Source
from python_tsan.tsan.fingerprint import fingerprint, ways
from python_tsan.tsan.normal_form import form_of_block, outline
from python_tsan.tsan.outside import MAX_SAMPLE_LENGTH, MAX_SAMPLES, Outside
from python_tsan.tsan.parser import parse_block, parse_fatal
from python_tsan.tsan.skim import Skimmer
from python_tsan.tsan.splitter import Splitter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from python_tsan.tsan.normal_form import Outline

Item = TypeVar("Item", Finding, Fatal)
# Normal forms remembered, and their letters. Beyond that all are forgotten: the memory saves time, it decides nothing.
MAX_FORMS = 4096
MAX_LETTERS = 1 << 24
# Longer blocks are rare and not remembered.
MAX_KNOWN_LINES = 400


class Group(Struct):
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


class Shortfall(Struct, frozen=True, kw_only=True):
    """A log that speaks of more reports than could be read from it."""

    source: str
    read: int
    missing: int


class Part(Struct):
    """What a part of a log holds: groups by fingerprint, each with its lines and the variants not taken before."""

    fatal: list[Fatal]
    blocks: int
    unparsed: int
    samples: list[str]
    groups: list[tuple[str, array[int], dict[tuple[object, ...], Finding]]] = field(default_factory=list)


class Known(Struct, frozen=True):
    """Blocks of one normal form: their group, how many lines are no part of them, and how they are cut out."""

    group: Group
    unparsed: int
    outline: Outline


class Digest(Struct):
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
    # What is known of the blocks of each normal form, and how many letters these forms have.
    _forms: dict[str, Known] = field(default_factory=dict)
    _letters: int = 0

    def read(self, texts: Iterable[str], source: str) -> None:
        """Read one log in pieces that end where a line ends; ``source`` is its name. Never raises on any text."""
        splitter = Splitter()
        self.resume(splitter, texts, source)
        self.close(splitter.outside, source)

    def add(self, lines: Iterable[str], source: str) -> None:
        """Read one log line by line, as :meth:`read` does."""
        splitter = Splitter()
        self._collect(splitter.split(lines), source)
        self.close(splitter.outside, source)

    def resume(self, splitter: Splitter, texts: Iterable[str], source: str, *, last: bool = True) -> None:
        """Read a part of a log, of which ``splitter`` knows what came before."""
        skimmer = Skimmer(splitter, partial(self._take_text, source), finished=lambda block: self._take(block, source))
        self._collect(splitter.split(skimmer.lines(texts), last=last), source)

    def approach(self, splitter: Splitter, texts: Iterable[str]) -> None:
        """Bring a splitter into the state that it has behind these texts, of which nothing is counted."""
        skimmer = Skimmer(splitter, self._pass_text, finished=lambda _block: None)
        for _ in splitter.split(skimmer.lines(texts), last=False):
            pass

    def close(self, outside: Outside, source: str) -> None:
        """Add what was outside of the blocks of one log."""
        self.unparsed += outside.strange
        self.outside += outside.lines
        self.notices += outside.notices
        self._sample(outside.samples)
        self.other_tools |= outside.other_tools
        if outside.tally.missing:
            self.shortfalls.append(Shortfall(source=source, read=outside.tally.found, missing=outside.tally.missing))
        if outside.unfinished:
            self.unread.append(f"{source}: the rest of {_lines(outside.unfinished)} is not in the log")

    def forked(self) -> Digest:
        """Return a digest that knows the blocks of this one and has counted none, in a process that was just forked."""
        for group in self._known.values():
            group.occurrences, group.places = 0, {}
        taken = {key: set(group.variants) for key, group in self._known.items()}
        return Digest(_known=self._known, _taken=taken, _forms=self._forms, _letters=self._letters)

    def take_part(self) -> Part:
        """Return what was read since the last call, and forget it; what was parsed stays known unless it is much."""
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
        if len(self._known) > MAX_FORMS:
            self._known.clear()
            self._forget_forms()
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

    def drop(self, key: str) -> None:
        """Forget all occurrences of a finding that was added parsed."""
        self.blocks -= self.groups.pop(key).occurrences

    @property
    def missing(self) -> int:
        """How many reports the logs speak of that could not be read."""
        return sum(each.missing for each in self.shortfalls)

    def _take_text(self, source: str, text: str, form: str, number: int, *, prefixed: bool) -> bool:
        """Count a block between two fences, the first of which counts as part of it; see :class:`Skimmer`."""
        known = self._forms.get(form)
        if known is None:
            return self._take_new(source, text, form, number, prefixed=prefixed)
        if not (known.outline.prefixed if prefixed else known.outline.plain):
            return False
        self._add(known.group, number, source, known.unparsed)
        return True

    def _take_new(self, source: str, text: str, form: str, number: int, *, prefixed: bool) -> bool:
        """Count a block of which the form is not known, though it may be without the program's output."""
        form, strays = form_of_block(text, form)
        if strays and text.endswith(f"\n{strays[-1]}\n"):  # it may be behind the end
            return False
        known = self._forms.get(form)
        if known is None:
            lines = text[1:-1].split("\n")
            shown = outline(lines)
            if prefixed or not shown.plain:  # a finding holds its lines with their prefixes
                return False
            self._parse(Block(Shape.FINDING, number, raw=lines, lines=lines), source, form, strays, shown)
            return True
        if not (known.outline.prefixed if prefixed else known.outline.plain):
            return False
        self._sample(strays)
        self._add(known.group, number, source, known.unparsed + len(strays))
        return True

    def _pass_text(self, text: str, form: str, number: int, *, prefixed: bool) -> bool:  # noqa: ARG002 -- the protocol's
        """Report whether a block would be counted."""
        known = self._forms.get(form)
        shown = known.outline if known else outline(text[1:-1].split("\n"))
        return shown.prefixed if prefixed else shown.plain

    def _take(self, block: Block, source: str) -> None:
        """Count a block that the splitter found."""
        text = "\n".join(["", *block.lines, ""])
        shape, strays = form_of_block(text) if len(block.lines) <= MAX_KNOWN_LINES else ("", [])
        known = self._forms.get(shape)
        if known is None:
            self._parse(block, source, shape, strays, outline(block.lines))
        else:
            self._sample(strays)
            self._add(known.group, block.first_line, source, known.unparsed + len(strays))

    def _parse(self, block: Block, source: str, form: str, strays: list[str], shown: Outline) -> None:
        """Parse and count a block, and remember its form."""
        finding = parse_block(block, source)
        self._sample(finding.unparsed)
        key = fingerprint(finding)
        group = self._known.get(key) or self.groups.get(key)
        if group is None:
            group = Group(key, finding)
        self._known[key] = group
        group.variants.setdefault(ways(finding), finding)
        self._add(group, block.first_line, source, len(finding.unparsed))
        if form and len(block.lines) <= MAX_KNOWN_LINES:
            if len(self._forms) >= MAX_FORMS or self._letters + len(form) > MAX_LETTERS:
                self._forget_forms()
            self._letters += len(form)
            self._forms[form] = Known(group, len(finding.unparsed) - len(strays), shown)

    def _forget_forms(self) -> None:
        self._forms.clear()
        self._letters = 0

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


def _lines(count: int) -> str:
    return "a line that was cut" if count == 1 else f"{count:,} lines that were cut"


def _moved(what: Item, shift: int) -> Item:
    """Return a finding, or a fatal end, as if more lines were before it."""
    source = what.source
    moved = Source(file=source.file, first_line=source.first_line + shift, last_line=source.last_line + shift)
    return replace(what, source=moved)
