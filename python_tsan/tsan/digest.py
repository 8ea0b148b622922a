"""Collect the distinct findings of any number of logs, fast and in little memory; the parser reads each.

Most blocks of a long log repeat a few races. A repeated block is known by its normal form and then needs no parsing.
"""

from __future__ import annotations

import zlib
from array import array
from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
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
    from collections.abc import Iterable, Iterator, Sequence

    from python_tsan.tsan.normal_form import Outline

Item = TypeVar("Item", Finding, Fatal)
# Normal forms remembered, and their letters. Beyond that all are forgotten: the memory saves time, it decides nothing.
MAX_FORMS = 4096
MAX_LETTERS = 1 << 24
# Longer blocks are rare and not remembered.
MAX_KNOWN_LINES = 400
# So many findings are packed together, for much of their text is the same.
PACKED = 256


class Packed(Struct, frozen=True):
    """A finding of a compressed list, at this index; its log has ``shift`` more lines before it."""

    pack: bytes
    index: int
    shift: int = 0

    def moved(self, shift: int) -> Packed:
        """Return it as if more lines were before it."""
        return Packed(self.pack, self.index, self.shift + shift)

    def open(self) -> Finding:
        """Return the finding."""
        return _moved(_unpacked(self.pack)[self.index], self.shift)


@lru_cache(2)
def _unpacked(pack: bytes) -> list[Finding]:
    return msgspec.msgpack.decode(zlib.decompress(pack), type=list[Finding])


class Group(Struct):
    """One distinct finding: the first block that showed it, how often it came and where.

    ``places`` maps a log's name to the first lines of its blocks, in order. ``ways`` has one block of each way through
    the modules: what is true of the first need not be true of all.
    """

    fingerprint: str
    first: Finding | Packed
    occurrences: int = 0
    ways: dict[tuple[object, ...], Finding | Packed] = field(default_factory=dict)
    places: dict[str, array[int]] = field(default_factory=dict)

    @property
    def finding(self) -> Finding:
        """The first block."""
        return _opened(self.first)

    @property
    def variants(self) -> dict[tuple[object, ...], Finding]:
        """The blocks of all ways."""
        return {way: _opened(each) for way, each in self.ways.items()}

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
    groups: list[tuple[str, array[int], dict[tuple[object, ...], Finding | Packed]]] = field(default_factory=list)


class Known(Struct, frozen=True):
    """Blocks of one normal form: their group, how many lines are no part of them, and how they are cut out."""

    group: Group
    unparsed: int
    outline: Outline

    def is_certain(self, *, prefixed: bool) -> bool:
        """Report whether the splitter would cut out such a block, with a prefix before each line or without."""
        return self.outline.prefixed if prefixed else self.outline.plain


class Digest(Struct):
    """Collects logs and holds each distinct finding once, in the order of first appearance.

    ``shortfalls`` are the logs that speak of reports which could not be read, ``other_tools`` the checkers of other
    kinds whose lines were seen outside of blocks, ``unread`` sentences about parts of logs that were not read. If it
    ``packs``, many findings take little memory, but time whenever they are looked at, and equal frames are not shared.
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
    packs: bool = False
    # All groups that were ever parsed, and which of their variants take_part has returned.
    _known: dict[str, Group] = field(default_factory=dict)
    _taken: dict[str, set[tuple[object, ...]]] = field(default_factory=dict)
    # The variants that are not packed yet, and each way once.
    _fresh: list[tuple[Group, tuple[object, ...]]] = field(default_factory=list)
    _ways: dict[tuple[object, ...], tuple[object, ...]] = field(default_factory=dict)
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
        skimmer = Skimmer(
            splitter,
            partial(self._take_text, source),
            partial(self._take_run, source),
            finished=lambda block: self._take(block, source),
        )
        self._collect(splitter.split(skimmer.lines(texts), last=last), source)

    def approach(self, splitter: Splitter, texts: Iterable[str]) -> None:
        """Bring a splitter into the state that it has behind these texts, of which nothing is counted."""
        skimmer = Skimmer(splitter, self._pass_text, partial(self._take_run, None), finished=lambda _block: None)
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
            many = f"{outside.unfinished:,} lines that were cut"
            lines = "a line that was cut" if outside.unfinished == 1 else many
            self.unread.append(f"{source}: the rest of {lines} is not in the log")

    def forked(self) -> Digest:
        """Return a digest that knows the blocks of this one and has counted none, in a process that was just forked."""
        for group in self._known.values():
            group.occurrences, group.places = 0, {}
        taken = {key: set(group.ways) for key, group in self._known.items()}
        return Digest(packs=self.packs, _known=self._known, _taken=taken, _forms=self._forms, _letters=self._letters)

    def take_part(self) -> Part:
        """Return what was read since the last call, and forget it; what was parsed stays known unless it is much."""
        part = Part(self.fatal, self.blocks, self.unparsed, self.samples)
        for key, group in self.groups.items():
            sent = self._taken.setdefault(key, set())
            new = {way: finding for way, finding in group.ways.items() if way not in sent}
            sent.update(new)
            (lines,) = group.places.values()
            part.groups.append((key, lines, new))
            group.occurrences, group.places = 0, {}
        self.groups, self.fatal, self.samples = {}, [], []
        self.blocks = self.unparsed = 0
        if len(self._known) > MAX_FORMS:
            self._known.clear()
            self._fresh.clear()
            self._forget_forms()
        return part

    def add_part(self, part: Part, source: str, shift: int) -> None:
        """Add a part of a log; ``shift`` is what its numbers of lines lack."""
        for key, lines, variants in part.groups:
            for way, finding in variants.items():
                group = self.groups.get(key)
                if group is None or way not in group.ways:
                    moved = finding.moved(shift) if isinstance(finding, Packed) else _moved(finding, shift)
                    if group is None:
                        group = self.groups[key] = Group(key, moved)
                    self._add_way(group, way, moved)
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
            group.first = finding
        group.ways.setdefault(ways(finding), finding)
        group.occurrences += times
        group.places.setdefault(finding.source.file, array("Q")).append(finding.source.first_line)
        self.blocks += times

    def drop(self, key: str) -> None:
        """Forget all occurrences of a finding that was added parsed."""
        self.blocks -= self.groups.pop(key).occurrences

    def _take_text(self, source: str, text: str, form: str, number: int, *, prefixed: bool) -> bool:
        """Count a block between two fences, the first of which counts as part of it; see :class:`Skimmer`."""
        known = self._forms.get(form)
        if known is None:
            return self._take_new(source, text, form, number, prefixed=prefixed)
        if not known.is_certain(prefixed=prefixed):
            return False
        self._add(known.group, number, source, known.unparsed)
        return True

    def _take_run(
        self,
        source: str | None,
        forms: Sequence[str],
        parts: Sequence[str],
        place: tuple[int, int, int],
        *,
        prefixed: bool,
    ) -> tuple[int, int, int]:
        """Count known blocks as long as nothing else comes; see :class:`Skimmer`. Without a source, count nothing."""
        index, stop, number = place
        blocks = 0
        while index < stop:
            form = forms[index]
            if form == "\n":  # nothing between two fences
                number += 1
            else:
                known = self._forms.get(form)
                if known is None or not known.outline.summarized or not known.is_certain(prefixed=prefixed):
                    break
                if source is not None:
                    self._add(known.group, number + 2, source, known.unparsed)
                number += parts[index].count("\n")
                blocks += 1
            index += 1
        return index, number, blocks

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
        if not known.is_certain(prefixed=prefixed):
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
        if (way := ways(finding)) not in group.ways:
            self._add_way(group, way, finding)
        self._add(group, block.first_line, source, len(finding.unparsed))
        if form and len(block.lines) <= MAX_KNOWN_LINES:
            if len(self._forms) >= MAX_FORMS or self._letters + len(form) > MAX_LETTERS:
                self._forget_forms()
            self._letters += len(form)
            self._forms[form] = Known(group, len(finding.unparsed) - len(strays), shown)

    def _add_way(self, group: Group, way: tuple[object, ...], finding: Finding | Packed) -> None:
        """Keep a variant, and pack those that are not yet if they are many."""
        way = self._ways.setdefault(way, way)
        group.ways[way] = finding
        if not self.packs or isinstance(finding, Packed):
            return
        self._fresh.append((group, way))
        if len(self._fresh) >= PACKED:
            pack = zlib.compress(msgspec.msgpack.encode([group.ways[way] for group, way in self._fresh]), 1)
            for index, (each, of) in enumerate(self._fresh):
                packed = Packed(pack, index)
                if each.first is each.ways[of]:
                    each.first = packed
                each.ways[of] = packed
            self._fresh.clear()

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


def _opened(finding: Finding | Packed) -> Finding:
    return finding.open() if isinstance(finding, Packed) else finding


def _moved(what: Item, shift: int) -> Item:
    """Return a finding, or a fatal end, as if more lines were before it."""
    if not shift:
        return what
    source = what.source
    moved = Source(file=source.file, first_line=source.first_line + shift, last_line=source.last_line + shift)
    return replace(what, source=moved)
