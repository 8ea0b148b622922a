"""Own the fields that many lines share: threads and numbers; leave whole lines to the lexer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

# main thread, thread T3, main goroutine, goroutine 7
THREAD = r"(?:(?P<main>main thread)|thread T(?P<thread>\d+)|(?P<gomain>main goroutine)|goroutine (?P<goroutine>\d+))"


def hexadecimal(text: str | None) -> int | None:
    """Read ``0x7b04``; None stays None."""
    return int(text, 16) if text else None


def number(text: str | None) -> int | None:
    """Read a decimal number; None stays None."""
    return int(text) if text else None


def who(found: re.Match[str]) -> tuple[int | None, bool]:
    """Return number and main flag of the thread or goroutine in a match of ``THREAD``."""
    if found["main"] or found["gomain"]:
        return 0, True
    return number(found["thread"] or found["goroutine"]), False
