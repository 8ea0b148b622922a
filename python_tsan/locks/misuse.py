"""Turn what a recorder saw of the C API's contract being broken into findings. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.locks.model import Rule
from python_tsan.locks.naming import Namer, raw_line
from python_tsan.tsan.finding import UNRESTORED, Finding, Kind, Source, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.locks.model import LockTrace, Misuse
    from python_tsan.locks.naming import Lookup

# Up to 3.11 all threads share one current thread state, so that a call without the GIL is not one without a state; it
# is the same mistake.
KINDS = {
    Rule.NOT_INITIALIZED: Kind.API_NOT_INITIALIZED,
    Rule.AFTER_FINALIZATION: Kind.API_AFTER_FINALIZATION,
    Rule.NO_THREAD_STATE: Kind.API_NOT_ATTACHED,
    Rule.GIL_NOT_HELD: Kind.API_NOT_ATTACHED,
    Rule.ENDED_ATTACHED: Kind.THREAD_ENDED_ATTACHED,
    Rule.NEVER_RELEASED: Kind.NEVER_RELEASED,
    Rule.NEVER_DELETED: Kind.NEVER_DELETED,
}
_ENDINGS = {
    Kind.API_NOT_INITIALIZED: "called before Python is initialized",
    Kind.API_AFTER_FINALIZATION: "called after Python is finalized",
    Kind.API_NOT_ATTACHED: "called without the GIL",
}

# Occurrences of one place beyond this number say nothing more.
_MOST_REPEATED = 1000


def misuse_findings(trace: LockTrace, file: str, lookup: Lookup) -> Iterator[Finding]:
    """Yield a finding for each place and time that a rule was broken; ``file`` is the recording's name."""
    namer = Namer(trace, lookup)
    namer.learn(
        stack for each in trace.misuses for stack in (each.stack, each.last_place, namer.threads[each.thread].stack)
    )
    for misuse in trace.misuses:
        finding = _finding(trace, misuse, file, namer)
        yield from (finding for _ in range(min(misuse.count, _MOST_REPEATED)))


def _finding(trace: LockTrace, misuse: Misuse, file: str, namer: Namer) -> Finding:
    kind = KINDS[misuse.rule]
    title = f"{misuse.function} {_ENDINGS[kind]}" if kind in _ENDINGS else kind.value
    who = "the main thread" if namer.is_main(misuse.thread) else f"thread T{misuse.thread}"
    stack = namer.place(misuse.stack).stack
    captioned = replace(stack if stack.frames else UNRESTORED, caption=_caption(misuse, who))
    # Who noticed that a thread state is left has nothing to do with it.
    innocent = namer.is_main(misuse.thread) or misuse.rule is Rule.NEVER_DELETED
    threads = () if innocent else (namer.thread(misuse.thread),)
    notes = tuple(_notes(misuse, namer))
    return Finding(
        kind=kind,
        title=title,
        pid=trace.pid,
        source=Source(file=file, first_line=1, last_line=1),
        raw="\n".join((title, *_lines(captioned), *notes)),
        stacks=(captioned,),
        threads=threads,
        summary=title,
        notes=notes,
    )


def _caption(misuse: Misuse, who: str) -> str:
    match misuse.rule:
        case Rule.NEVER_RELEASED:
            return f"the last {misuse.function} of {who}, which has no PyGILState_Release"
        case Rule.ENDED_ATTACHED:
            return f"{who} took the GIL, and ended with it"
        case Rule.NEVER_DELETED:
            return "the thread state was made here, by a thread that has ended"
        case _:
            return f"the call by {who}"


def _notes(misuse: Misuse, namer: Namer) -> Iterator[str]:
    """Say what the thread had last done with its thread state, where that is no part of the finding itself."""
    if KINDS[misuse.rule] not in _ENDINGS:
        return
    if not misuse.last:
        yield "the thread had not attached a thread state before"
        return
    frame = next(iter(namer.place(misuse.last_place).stack.frames), None)
    place = "" if frame is None else f" in {frame.symbol}{f' at {frame.file}:{frame.line}' if frame.file else ''}"
    yield f"before, the thread called {misuse.last}{place}"


def _lines(stack: Stack) -> Iterator[str]:
    yield f"  {stack.caption}:"
    yield from (f"    {raw_line(frame)}" for frame in stack.frames)
