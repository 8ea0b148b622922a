"""Turn a log's bytes into lines of bounded length; callers provide the bytes."""

from __future__ import annotations

import codecs
import zlib
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# No line of the sanitizer comes near this; what does is a program's output, of which the beginning is enough.
MAX_LINE = 1 << 20
_NAMES = ("ThreadSanitizer", "WARNING: DATA RACE")
_LONGEST_NAME = max(map(len, _NAMES))


class Lines(Struct):
    """Decodes pieces of any size and cuts them into lines. What went wrong is recorded, never raised.

    Only a line feed ends a line: progress bars use carriage returns within one. ``binary`` says that the first piece
    is not text, ``problem`` why the bytes ended early; ``overlong`` is the number of the first line that was cut short,
    0 for none, and ``lost`` says that what was cut off names the sanitizer.
    """

    chunks: Iterable[bytes]
    encoding: str
    binary: bool = False
    overlong: int = 0
    lost: bool = False
    problem: str = ""

    def __iter__(self) -> Iterator[str]:
        """Yield line by line."""
        for piece in self.pieces():
            yield from piece.removesuffix("\n").split("\n")

    def pieces(self) -> Iterator[str]:
        """Yield pieces that end where a line ends; the last one may lack its line feed."""
        number, rest, skipping, kept = 0, "", False, ""
        for text in self._texts():
            start = text.find("\n") + 1 if skipping else 0
            if skipping:
                self._drop(kept + (text[:start] if start else text))
            if skipping and not start:
                kept = (kept + text)[-_LONGEST_NAME:]
                continue
            skipping = False
            stop = text.rfind("\n", start) + 1
            if not stop:
                rest += text[start:]
            else:
                piece = rest + text[start:stop]
                rest = text[stop:]
                if len(piece) > MAX_LINE:
                    piece = self._shortened(piece, number)
                number += piece.count("\n")
                yield piece
            if len(rest) > MAX_LINE:
                self.overlong = self.overlong or number + 1
                yield rest[:MAX_LINE] + "\n"
                number += 1
                self._drop(rest[MAX_LINE - _LONGEST_NAME :])
                rest, skipping, kept = "", True, rest[-_LONGEST_NAME:]
        if rest:
            yield rest

    def _shortened(self, piece: str, number: int) -> str:
        """Cut the lines of a piece that are too long; ``number`` is that of the line before it."""
        lines = piece.split("\n")
        for index, line in enumerate(lines):
            if len(line) > MAX_LINE:
                self.overlong = self.overlong or number + index + 1
                lines[index] = line[:MAX_LINE]
                self._drop(line[MAX_LINE - _LONGEST_NAME :])
        return "\n".join(lines)

    def _drop(self, text: str) -> None:
        """Take note of what is cut off."""
        self.lost = self.lost or any(name in text for name in _NAMES)

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
