"""Explain why the sanitizer's runtime ended a process without a report, where that can be recognised. Pure."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from python_tsan.result.blind_spots import Treatment, blind_spots
from python_tsan.tsan.finding import FatalKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from python_tsan.result.blind_spots import BlindSpot
    from python_tsan.tsan.finding import Fatal

# The runtime writes something about every such signal, unless its own handler fails.
_LOUD = frozenset(-number for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP))
_UNKNOWN_THREAD = (
    "the runtime wrote nothing, so the thread was mostly one that it does not know: an allocator's background thread, "
    "a timer of the C library, any thread that pthread_create did not start"
)
_FULL_STACK = (
    "the runtime could not even print a stack, which mostly means that it has no room for more calls on one: a "
    "recursion deeper than 65,536, or stacks that are switched without its knowledge, as fibers and greenlets are"
)


def explain_death(exit_code: int, fatal: Sequence[Fatal], *, silent: bool, mapped: Iterable[str]) -> str:
    """Return the likely cause and what helps; empty where the runtime reports the cause itself.

    ``fatal`` are its last messages, ``silent`` says that it took part and wrote nothing, ``mapped`` are the loaded
    files.
    """
    if silent and exit_code in _LOUD:
        return _with_advice(_UNKNOWN_THREAD, _spot("unknown-thread"), mapped)
    crashed = any(each.kind is FatalKind.SIGNAL for each in fatal)
    if crashed and not any(each.stack and each.stack.frames for each in fatal):
        return _with_advice(_FULL_STACK, _spot("shadow-stack"), mapped)
    return ""


def _spot(name: str) -> BlindSpot:
    return next(spot for spot in blind_spots() if spot.treatment is Treatment.EXPLAINED and spot.name == name)


def _with_advice(words: str, spot: BlindSpot, mapped: Iterable[str]) -> str:
    """Name the known object that is loaded, if there is one, before what helps."""
    path = next((path for path in mapped if spot.is_object(path)), "")
    loaded = f"; {path.rpartition('/')[2]}, which is loaded, is known for it" if path else ""
    return f"{words}{loaded}; {spot.helps}"
