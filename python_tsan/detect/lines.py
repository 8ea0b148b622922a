"""Turn a log's bytes into lines of bounded length; callers provide the bytes."""

from __future__ import annotations

import codecs
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# No line of the sanitizer comes near this; what does is a program's output, of which the beginning is enough.
MAX_LINE = 1 << 20


@dataclass(slots=True)
class Lines:
    """Decodes pieces of any size and cuts them into lines. What went wrong is recorded, never raised.

    Only a line feed ends a line: progress bars use carriage returns within one. ``binary`` says that the first piece
    is not text, ``problem`` why the bytes ended early; ``overlong`` is the number of the first line that was cut short,
    0 for none.
    """

    chunks: Iterable[bytes]
    encoding: str
    binary: bool = False
    overlong: int = 0
    problem: str = ""

    def __iter__(self) -> Iterator[str]:
        number, rest, skipping = 0, "", False
        for text in self._texts():
            lines = (rest + text).split("\n")
            rest = lines.pop()
            if skipping and lines:
                del lines[0]
                skipping = False
            elif skipping:
                rest = ""
            yield from lines
            number += len(lines)
            if len(rest) > MAX_LINE:
                yield rest[:MAX_LINE]
                self.overlong = self.overlong or number + 1
                rest, skipping = "", True
        if rest:
            yield rest

    def _texts(self) -> Iterator[str]:
        """Yield text; a byte that is not text in this encoding stays readable, in hex."""
        decoder = codecs.getincrementaldecoder(self.encoding)(errors="backslashreplace")
        first = True
        try:
            for data in self.chunks:
                text = decoder.decode(data)
                self.binary = self.binary or (first and "\0" in text)
                first = False
                yield text
        except (OSError, EOFError, zlib.error) as error:
            self.problem = f"cannot be read to its end: {error}"
        yield decoder.decode(b"", final=True)
