"""Bring texts into a form in which two prints of one finding are the same, before any line is lexed.

Two blocks of one form have one fingerprint and equally many lines that are no part of them. So only what the printer
writes, letter by letter, loses its numbers, and only lines that are certainly program output are left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from python_tsan.tsan.block import LINE_COST, MAX_LINES, has_dress
from python_tsan.tsan.lexer import FENCE, RULE_STARTS, names_sanitizer
from python_tsan.tsan.partial import may_be_cut
from python_tsan.tsan.records import may_be_wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY_START: Final = "SUMMARY: ThreadSanitizer: "
_MAX_ROOM = MAX_LINES * LINE_COST // 2
_HEX = "0x[0-9a-f]{1,16}"
_NUMBER = "[0-9]{1,10}"
_THREAD = f"(?:main thread|thread T{_NUMBER})"
_HELD = f"(?:write|read) M{_NUMBER}"
_TITLE = r"ThreadSanitizer: [A-Za-z ,./()-]{1,100} "
# A thread's name is left out, so nothing in it may matter to those who read the line.
_NAME = r"'(?![^'\n]*Sanitizer)[A-Za-z0-9_ .,+/#@()-]{0,200}'"
# Groups hold what counts: which line it is, and the words that may identify a finding. None of them is ever empty, and
# none begins with a line feed as the text between two matches does.
_PRINTED = re.compile(
    #     #0 worker(int) /src/race.cpp:12:5 (race+0xe4590): most lines, and none of those below
    r"\n(?!    \#[0-9]{1,4} [^0<])(?:(?:  (?:"
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
    rf"|(Thread )T{_NUMBER}(?: {_NAME})? \(tid={_NUMBER}, (?:running|finished)\) created by {_THREAD} at:"
    #   Cycle in lock order graph: M0 (0x7ffc1) => M1 (0x7ffc2) => M0
    rf"|(Cycle in )lock order graph: M{_NUMBER} \({_HEX}\) => M{_NUMBER} \({_HEX}\) => M{_NUMBER}"
    #   Write of size 8 at 0x7b0400000000 by thread T3 (mutexes: write M12, read M3):
    rf"|(?:Previous )?(?:[Aa]tomic )?(?:[Rr]ead|[Ww]rite)( of size ){_NUMBER} at {_HEX} by {_THREAD}"
    rf"(?: \(mutexes: {_HELD}(?:, {_HELD})*\))?:"
    #     #3 <null> <null> (0x7f3c5a2b1c40)
    rf"|  (\#[0-9]{{1,4}} <null> <null> )\({_HEX}\))"
    # WARNING: ThreadSanitizer: data race (pid=1234)
    rf"|WARNING: ({_TITLE})\(pid={_NUMBER}\)"
    # Previous write at 0x00c0000b4010 by goroutine 7:
    # Goroutine 7 (running) created at:
    rf"|(?:Previous )?(?:[Rr]ead|[Ww]rite)( at ){_HEX} by (?:main goroutine|goroutine {_NUMBER}):"
    rf"|(Goroutine ){_NUMBER} \((?:running|finished)\) created at:"
    #     #3 0x7f3c5a2b1c40 in worker(int) /src/race.cpp:12:5 (race+0xe4590)
    rf")(?=\n)|    (\#[0-9]{{1,4}} ){_HEX}(?= in [^\s0-9]))"
)
_HEADING = re.compile(rf"WARNING: (?:{_TITLE}\(pid={_NUMBER}\)|DATA RACE)")
_LETTERS = r"A-Za-z0-9!#$%'()*+,./:;=?@\[\]_{|}~-"
# [worker 3] request 4711 served in 12 us
# Its ends are those of no rule of the lexer, no line is glued to it, and none of its letters may need cleaning. It is
# the same in a normal form, in which a zero byte may follow instead of a line feed.
_OUTPUT = re.compile(
    rf"\n((?=[A-Za-z0-9\[(])(?!f|(?i:{'|'.join(map(re.escape, RULE_STARTS))}))"
    rf"(?![^\n\0]*(?:Sanitizer|WARNING: D|{FENCE}|\[[0-9;]*[mM]))"
    rf"(?:(?:[{_LETTERS}]+ )+[{_LETTERS}]+|[{_LETTERS}]*)[A-Zg-z.,:;!?\]%])(?=[\n\0])"
)


def normal_form(text: str) -> str:
    """Return the normal form of a text without zero bytes, each of whose lines has a line feed before it."""
    return "\0".join(filter(None, _PRINTED.split(text)))


def form_of_block(text: str, form: str = "") -> tuple[str, list[str]]:
    """Return the normal form that a block has between fences, and the lines in it that are certainly program output.

    These lines are not in the form. The text begins and ends with a line feed; ``form`` is what it has with its output.
    """
    form = form or normal_form(FENCE + text).removeprefix(FENCE)
    parts = [form] if "\0" in text else _OUTPUT.split(form)
    return "".join(parts[::2]).replace("\0\0", "\0") if len(parts) > 1 else form, parts[1::2]


class Outline(Struct, frozen=True):
    """How the splitter reads the lines of a block that stands between two fences.

    If ``plain``, it cuts out exactly these lines and has nothing to clean; if ``prefixed``, that is so behind a
    collector's prefix, too. ``summarized``: its last line is a summary.
    """

    plain: bool
    prefixed: bool
    summarized: bool


def outline(lines: Sequence[str]) -> Outline:
    """Return the outline of a block."""
    summary = lines[-1] if lines[-1].startswith(SUMMARY_START) else ""
    text = summary.removeprefix(SUMMARY_START)
    inside = "\n".join(lines[1:-1] if summary else lines[1:])
    plain = (
        is_heading(lines[0])
        and sum(map(len, lines)) + LINE_COST * len(lines) < _MAX_ROOM
        and is_harmless(inside)
        and not ("Sanitizer" in text or has_dress(summary))
    )
    wrapped = "WARNING" in text or text.startswith("CHECK failed") or may_be_wrapped(summary)
    return Outline(plain, plain and summary != "" and not wrapped, summary != "")


def may_bound(text: str) -> bool:
    """Report whether something in a text may begin or end a block."""
    return names_sanitizer(text) or '"MESSAGE"' in text or may_be_cut(text)


def is_heading(line: str) -> bool:
    """Report whether a line is a heading, exactly as the printer writes it."""
    return _HEADING.fullmatch(line) is not None


def is_harmless(text: str) -> bool:
    """Report whether these lines are what they look like inside a block: nothing ends it, nothing is cleaned."""
    return not (FENCE in text or may_bound(text) or has_dress(text))
