"""Own the way from bytes to lines; leave where the bytes come from to callers and what lines say to the splitter."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Far more than the longest symbol of a template library; what is longer is no line of a block.
MAX_LINE = 1 << 17


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a log given as pieces of any size, without their line feed.

    Bytes that are no UTF-8 become U+FFFD. A line longer than ``MAX_LINE`` characters comes in several pieces, so that
    memory is bounded by the size of a chunk whatever the input is. Only a line feed ends a line: progress bars use
    carriage returns within one.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from whole
        while len(rest) > MAX_LINE:
            yield rest[:MAX_LINE]
            rest = rest[MAX_LINE:]
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest
