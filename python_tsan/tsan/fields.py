"""Read the fields that many lines share: threads and numbers. The lexer reads whole lines."""

from __future__ import annotations

import re

# main thread, thread T3, thread 3 (old runtimes), main goroutine, goroutine 7
THREAD = r"(?:(?P<main>main thread)|thread T?(?P<thread>\d+)|(?P<gomain>main goroutine)|goroutine (?P<goroutine>\d+))"
# 0x7b0c00000000; 0x****, 0xXXXX, <addr>, [ADDR], (nil) and *** in a log from which addresses were removed
ADDRESS = r"(?:0[xX][0-9a-fA-F]+|0[xX][*X?x.]+|<[\w ]{1,30}>|\[\w{1,30}\]|\(nil\)|\*{3,20}|[Xx]{3,20})"
# A field with more digits was damaged: no process prints it, and no reader of JSON accepts it.
MAX_DIGITS = 18
MAX_HEX_DIGITS = 16
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")


def hexadecimal(text: str | None) -> int | None:
    """Read ``0x7b04``; None for None, for what else ``ADDRESS`` is, and for a number of more than 64 bits."""
    if not text or not _HEXADECIMAL.fullmatch(text):
        return None
    digits = text[2:].lstrip("0")
    return int(digits or "0", 16) if len(digits) <= MAX_HEX_DIGITS else None


def number(text: str | None) -> int | None:
    """Read a decimal number; None stays None, and so does a number that does not fit into 64 bits."""
    if not text or (len(text) > MAX_DIGITS and len(text := text.lstrip("0") or "0") > MAX_DIGITS):
        return None
    return int(text)


def who(found: re.Match[str]) -> tuple[int | None, bool]:
    """Return number and main flag of the thread or goroutine in a match of ``THREAD``."""
    if found["main"] or found["gomain"]:
        return 0, True
    return number(found["thread"] or found["goroutine"]), False
