"""Read the lines that say what the memory is; the lexer reads all others."""

from __future__ import annotations

import re

from python_tsan.tsan.fields import ADDRESS, THREAD, hexadecimal, number, who
from python_tsan.tsan.finding import Location, LocationKind

#   Location is global 'g_counter' of size 8 at 0x5570590 (race+0x1490698)
#   Location is global 'g_counter' at 0x5570590 (race+0x1490698)
#   Location is global '??' at 0x7ffd20284000 ([stack]+0x1f3f4)
_GLOBAL = re.compile(
    rf"Location is global '(?P<name>.*)'(?: of size (?P<size>\d+))? at (?P<address>{ADDRESS})"
    rf" \((?P<module>.*)\+(?P<offset>{ADDRESS})\)"
)
#   Location is heap block of size 40 at 0x7b0c00000000 allocated by thread T1:
#   Location is Swift variable of size 24 at 0x7b0800000000 allocated by main thread:
# Heap block of size 16 at 0x00c0000b4010 allocated by main goroutine:
_HEAP = (
    rf"(?i)(?:Location is )?(?P<object>heap block|.+?) of size (?P<size>\d+) at (?P<address>{ADDRESS})"
    rf" allocated by {THREAD}:"
)
#   Location is stack of main thread.
#   Location is TLS of thread T1.
_OWN = rf"Location is (?P<kind>stack|TLS) of {THREAD}\."
#   Location is file descriptor 5 created by main thread at:
#   Location is file descriptor 5 destroyed by thread T1 at::
_DESCRIPTOR = rf"Location is file descriptor (?P<fd>\d+) (?P<state>created|destroyed) by {THREAD} at::?"
# Global var main.counter of size 8 at 0x5a1e10 declared at /src/main.go:7
_GO_GLOBAL = (
    rf"Global var (?P<name>.*) of size (?P<size>\d+) at (?P<address>{ADDRESS}) declared at (?P<file>.*):(?P<line>\d+)"
)


def read_location(text: str) -> Location | None:
    """Read a line such as ``Location is stack of main thread.``; None if it is no location. The stack is not in it."""
    return _global(text) or _own(text) or _descriptor(text) or _heap(text)


def read_go_location(text: str) -> Location | None:
    """Read ``Heap block of size …`` or ``Global var …`` of Go's printer; None if it is neither."""
    return _go_global(text) or _heap(text)


def _global(text: str) -> Location | None:
    found = _GLOBAL.match(text)
    if not found:
        return None
    return Location(
        kind=LocationKind.GLOBAL,
        text=text,
        name="" if found["name"] in {"??", "<null>"} else found["name"],
        size=number(found["size"]),
        address=hexadecimal(found["address"]),
        module=found["module"],
        offset=hexadecimal(found["offset"]),
    )


def _heap(text: str) -> Location | None:
    found = re.match(_HEAP, text)
    if not found:
        return None
    thread, main = who(found)
    plain = found["object"].lower() == "heap block"
    return Location(
        kind=LocationKind.HEAP if plain else LocationKind.EXTERNAL,
        text=text,
        name="" if plain else found["object"],
        size=number(found["size"]),
        address=hexadecimal(found["address"]),
        thread=thread,
        main_thread=main,
    )


def _own(text: str) -> Location | None:
    found = re.match(_OWN, text)
    if not found:
        return None
    thread, main = who(found)
    return Location(kind=LocationKind(found["kind"]), text=text, thread=thread, main_thread=main)


def _descriptor(text: str) -> Location | None:
    found = re.match(_DESCRIPTOR, text)
    if not found:
        return None
    thread, main = who(found)
    return Location(
        kind=LocationKind.FILE_DESCRIPTOR,
        text=text,
        descriptor=number(found["fd"]),
        closed=found["state"] == "destroyed",
        thread=thread,
        main_thread=main,
    )


def _go_global(text: str) -> Location | None:
    found = re.match(_GO_GLOBAL, text)
    if not found:
        return None
    return Location(
        kind=LocationKind.GLOBAL,
        text=text,
        name=found["name"],
        size=number(found["size"]),
        address=hexadecimal(found["address"]),
        file=found["file"],
        line=number(found["line"]) or 0,
    )
