"""Read the fields that many lines share: threads and numbers. The lexer reads whole lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

# main thread, thread T3, thread 3 (old runtimes), main goroutine, goroutine 7
THREAD = r"(?:(?P<main>main thread)|thread T?(?P<thread>\d+)|(?P<gomain>main goroutine)|goroutine (?P<goroutine>\d+))"
# A field with more digits was damaged: no process prints it, and no reader of JSON accepts it.
MAX_DIGITS = 18
MAX_HEX_DIGITS = 16


def hexadecimal(text: str | None) -> int | None:
    """Read ``0x7b04``; None stays None, and so does a number that does not fit into 64 bits."""
    digits = text[2:].lstrip("0") if text else ""
    return int(digits or "0", 16) if text and len(digits) <= MAX_HEX_DIGITS else None


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
