"""Spell a block such that two prints of one finding are the same, before any of its lines is lexed.

Two blocks of one spelling have one fingerprint and equally many lines that are no part of them. So only what the
printer writes, letter by letter, is spelled without its numbers, and only lines that are certainly program output are
left out; any other line stands for itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from python_tsan.tsan.block import has_dress
from python_tsan.tsan.draft import is_stray
from python_tsan.tsan.lexer import FENCE

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

# Lines and stacks remembered. Beyond that all are forgotten: the memory saves time, it decides nothing.
MAX_LINES = 1 << 15
MAX_LINE_LENGTH = 1000
MAX_STACKS = 1 << 13
MAX_STACK_LENGTH = 1 << 14
SUMMARY_START: Final = "SUMMARY: ThreadSanitizer: "
# What stands for a line of program output, and what begins the shorter form of a text.
_STRAY: Final = 0
_TEXT: Final = 1

# WARNING: ThreadSanitizer: data race (pid=1234)
# WARNING: DATA RACE
_HEADING = re.compile(r"(WARNING: ThreadSanitizer: [A-Za-z ,./()-]{1,100} )\(pid=[0-9]{1,10}\)|(WARNING: DATA RACE)")
_HEX = "0x[0-9a-f]{1,16}"
_NUMBER = "[0-9]{1,10}"
_THREAD = f"(?:main thread|thread T{_NUMBER})"
_HELD = f"(?:write|read) M{_NUMBER}"
# Groups hold what counts: which line it is, and the words that may identify a finding. None of them is ever empty.
_PRINTED = re.compile(
    r"^(?:  (?:"
    #   Location is heap block of size 40 at 0x7b0c00000000 allocated by thread T1:
    #   Location is stack of main thread.
    #   Location is global 'g_counter' of size 8 at 0x5570590 (race+0x1490698)
    rf"Location is (?:(heap block )of size {_NUMBER} at {_HEX} allocated by {_THREAD}:|((?:stack|TLS) of ){_THREAD}\."
    rf"|(global '[^'\n]{{0,1000}}'(?: of size {_NUMBER})?) at {_HEX}( \([^()'\n]{{1,1000}}\+{_HEX}\)))"
    #   Mutex M12 (0x7b0c00000000) created at:
    #   Mutex M1 acquired here while holding mutex M0 in main thread:
    #   Mutex M0 previously acquired by the same thread here:
    rf"|Mutex M{_NUMBER} (?:\({_HEX}\)( created) at:|(acquired here) while holding mutex M{_NUMBER} in {_THREAD}:"
    r"|(previously acquired) by the same thread here:)"
    #   Thread T1 'loader' (tid=4711, running) created by main thread at:
    rf"|(Thread )T{_NUMBER}(?: '[^'\n]{{0,200}}')? \(tid={_NUMBER}, (?:running|finished)\) created by {_THREAD} at:"
    #   Cycle in lock order graph: M0 (0x7ffc1) => M1 (0x7ffc2) => M0
    rf"|(Cycle in )lock order graph: M{_NUMBER} \({_HEX}\) => M{_NUMBER} \({_HEX}\) => M{_NUMBER}"
    #   Write of size 8 at 0x7b0400000000 by thread T3 (mutexes: write M12, read M3):
    rf"|(?:Previous )?(?:[Aa]tomic )?(?:[Rr]ead|[Ww]rite)( of size ){_NUMBER} at {_HEX} by {_THREAD}"
    rf"(?: \(mutexes: {_HELD}(?:, {_HELD})*\))?:"
    #     #3 <null> <null> (0x7f3c5a2b1c40)
    #     #3 0x7f3c5a2b1c40 in worker(int) /src/race.cpp:12:5 (race+0xe4590)
    rf"|  (\#[0-9]{{1,4}} )(?:{_HEX} in ([^\s0-9][^\n]{{0,4000}})|([^\s0-9][^\n]{{0,4000}}) \({_HEX}\)))"
    # Previous write at 0x00c0000b4010 by goroutine 7:
    # Goroutine 7 (running) created at:
    rf"|(?:Previous )?(?:[Rr]ead|[Ww]rite)( at ){_HEX} by (?:main goroutine|goroutine {_NUMBER}):"
    rf"|(Goroutine ){_NUMBER} \((?:running|finished)\) created at:"
    r")$",
    re.MULTILINE,
)


def _heading(line: str) -> str:
    """Return the first line of a block without its pid, empty if it is not exactly what the printer writes."""
    found = _HEADING.fullmatch(line)
    return (found[1] or found[2]) if found else ""


def _is_harmless(text: str) -> bool:
    """Report whether these lines are what they look like inside a block: nothing ends it, nothing is cleaned."""
    return not (FENCE in text or "ThreadSanitizer" in text or "WARNING: D" in text or '"MESSAGE"' in text) and (
        not has_dress(text)
    )


@dataclass(frozen=True, slots=True)
class Spelling:
    """A block in normal form, and the lines of program output in it, which the form leaves out.

    ``harmless`` says that the first line is as printed, and that no other one would end a block or need cleaning.
    """

    form: tuple[Hashable, ...]
    strays: list[str]
    harmless: bool


@dataclass(slots=True)
class Speller:
    """Spells blocks. It remembers lines and stacks, which come again and again; those that it knows are harmless."""

    _lines: dict[str, str | int] = field(default_factory=dict)
    _stacks: dict[str, str] = field(default_factory=lambda: {"": ""})
    _headings: dict[str, str] = field(default_factory=dict)
    _ends: dict[str, bool] = field(default_factory=dict)

    def spell(self, lines: Sequence[str]) -> Spelling:
        """Return the normal form of a block that was cut into lines."""
        title = self._title(lines[0])
        spelled: list[str | int | None] = list(map(self._lines.get, lines))
        spelled[0] = title or lines[0]
        harmless = title != ""
        if lines[-1].startswith(SUMMARY_START):  # the only other line that may name the sanitizer
            spelled[-1] = lines[-1]
            harmless &= self._is_end(lines[-1])
        printed: list[tuple[str, ...]] = []
        if None in spelled:
            new = [line for line, each in zip(lines, spelled, strict=True) if each is None]
            text = "\n".join(new)
            printed = _PRINTED.findall(text)
            harmless = harmless and _is_harmless(text)
            if len(printed) != len(new) or text.count("\n") != len(new) - 1:
                printed = self._learn(lines, spelled)
        if _STRAY not in spelled:
            return Spelling((*spelled, *printed), [], harmless)
        strays = [line for line, each in zip(lines, spelled, strict=True) if each == _STRAY]
        return Spelling((*(each for each in spelled if each != _STRAY), *printed), strays, harmless)

    def is_inside(self, line: str) -> bool:
        """Report whether a line inside a block ends nothing and needs no cleaning."""
        return line in self._lines or _is_harmless(line)

    def is_heading(self, line: str) -> bool:
        """Report whether a line is a heading, exactly as the printer writes it."""
        return self._title(line) != ""

    def spell_text(self, block: str) -> Spelling:
        """Return the normal form of a block in one text: of its lines, or a shorter one where every stack is known."""
        first, _, rest = block.partition("\n")
        title = self._title(first)
        stacks = []
        heads = []
        for section in rest.split("\n\n"):
            head, _, frames = section.partition("\n")
            stack = self._stacks.get(frames)
            if stack is None:
                return self._learn_stacks(block)
            stacks.append(stack)
            heads.append(head)
        last = heads.pop() if heads[-1].startswith(SUMMARY_START) else ""
        text = "\n".join(heads)
        printed = _PRINTED.findall(text)
        if len(printed) != len(heads) or not title:
            return self.spell(block.split("\n"))
        harmless = _is_harmless(text) and (not last or self._is_end(last))
        return Spelling((_TEXT, title, *stacks, *printed, last), [], harmless)

    def _learn_stacks(self, block: str) -> Spelling:
        spelling = self.spell(block.split("\n"))
        if spelling.strays:
            return spelling
        for section in block.partition("\n")[2].split("\n\n"):
            _, _, frames = section.partition("\n")
            if len(frames) < MAX_STACK_LENGTH and all(self._lines.get(line) == line for line in frames.split("\n")):
                if len(self._stacks) >= MAX_STACKS:
                    self._stacks.clear()
                    self._stacks[""] = ""
                self._stacks[frames] = frames
        return spelling

    def _is_end(self, line: str) -> bool:
        """Report whether a last line needs no cleaning."""
        plain = self._ends.get(line)
        if plain is None:
            plain = not has_dress(line)
            if len(self._ends) >= MAX_STACKS:
                self._ends.clear()
            self._ends[line] = plain
        return plain

    def _title(self, line: str) -> str:
        title = self._headings.get(line)
        if title is None:
            title = _heading(line)
            if len(self._headings) >= MAX_STACKS:
                self._headings.clear()
            if title:
                self._headings[line] = title
        return title

    def _learn(self, lines: Sequence[str], spelled: list[str | int | None]) -> list[tuple[str, ...]]:
        """Fill in the new lines, except those that the printer writes; return what counts of these."""
        printed = []
        for index, line in enumerate(lines):
            if spelled[index] is None:
                found = _PRINTED.fullmatch(line)
                if found:
                    printed.append(found.groups(""))
                else:
                    spelled[index] = self._remember(line)
        return printed

    def _remember(self, line: str) -> str | int:
        what: str | int = _STRAY if is_stray(line) else line
        if len(self._lines) >= MAX_LINES:
            self._lines.clear()
        if len(line) <= MAX_LINE_LENGTH and _is_harmless(line):
            self._lines[line] = what
        return what
