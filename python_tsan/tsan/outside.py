"""Count what is outside of the blocks of a log, and what of it is a doubt; leave the lines inside to the blocks."""

from __future__ import annotations

import re

from msgspec import Struct, field

from python_tsan.tsan.block import clean
from python_tsan.tsan.notices import Tally, is_notice, may_matter, other_tool

MAX_SAMPLES = 20
MAX_SAMPLE_LENGTH = 500
# ==4711==ABORTING
_ABORTING = re.compile(r"==\d+==ABORTING\s*$")


class Outside(Struct):
    """What a log holds outside of its blocks; one object for all sources of the log.

    ``lines`` counts those of no concern (not blank, no fence), ``strange`` those that name ThreadSanitizer and yet are
    nothing known, of which ``samples`` keeps the first few. ``notices`` counts the runtime's remarks: with them and no
    block, a program ran under it and nothing was found, unless ``tally`` misses reports. ``other_tools`` names the
    checkers of which lines were seen. ``unfinished`` counts the lines whose end is not in the log, and may matter.
    """

    lines: int = 0
    strange: int = 0
    notices: int = 0
    samples: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    other_tools: dict[str, None] = field(default_factory=dict)
    unfinished: int = 0

    def take(self, raw: str, *, speaks: bool) -> None:
        """Count a line that is no fence; ``speaks``: it names the sanitizer."""
        if speaks:
            self._take_speaking(clean(raw))
        elif raw and not raw.isspace() and not _ABORTING.match(raw):
            self.lines += 1
            if may_matter(raw):
                line = clean(raw)
                self.tally.line(line)
                if tool := other_tool(line):
                    self.other_tools[tool] = None

    def _take_speaking(self, line: str) -> None:
        self.tally.line(line)
        if is_notice(line):
            self.notices += 1
        else:
            self.strange += 1
            if len(self.samples) < MAX_SAMPLES:
                self.samples.append(line[:MAX_SAMPLE_LENGTH])

    def extend(self, later: Outside) -> None:
        """Add what follows in the log."""
        self.lines += later.lines
        self.strange += later.strange
        self.notices += later.notices
        self.samples = [*self.samples, *later.samples][:MAX_SAMPLES]
        self.tally.extend(later.tally)
        self.other_tools |= later.other_tools
        self.unfinished += later.unfinished

    def clear(self) -> None:
        """Count from 0."""
        self.lines = self.strange = self.notices = self.unfinished = 0
        self.samples, self.tally, self.other_tools = [], Tally(), {}
