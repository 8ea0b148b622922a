"""Join a trace of the GIL with what the lock recorder saw: the waits that a thread made with the GIL held."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from python_tsan.detect.locks import LOOKUP
from python_tsan.gil.trace import HeldWait, Thread
from python_tsan.locks.waits import waits_by_place, with_unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping

    from python_tsan.gil.trace import Process
    from python_tsan.locks.model import LockTrace
    from python_tsan.locks.naming import Lookup


def with_waits(process: Process, recorded: LockTrace | None, now: int, lookup: Lookup = LOOKUP) -> Process:
    """Return the process with its waits. ``now`` is the monotonic time at which those that were not over are cut."""
    if recorded is None:
        return process
    recorded = with_unfinished(recorded, now)
    by_place = list(waits_by_place(recorded, lookup))
    place_of = {number: place for place, (_, numbers) in enumerate(by_place) for number in numbers}
    moments = [each for each in recorded.moments if each.wait in place_of]
    tids = {thread.id: thread.tid for thread in recorded.threads}
    threads = _with_all(process, {each.thread: tids[each.thread] for each in moments}, recorded)
    ordinals = {thread.tid: thread.ordinal for thread in threads}
    return replace(
        process,
        record=replace(process.record, threads=threads),
        waits=tuple(wait for wait, _ in by_place),
        held_waits=tuple(
            sorted(
                HeldWait(each.begun, each.length, ordinals[tids[each.thread]], place_of[each.wait], each.others)
                for each in moments
            )
        ),
    )


def _with_all(process: Process, waiting: Mapping[int, int], recorded: LockTrace) -> tuple[Thread, ...]:
    """Return the threads of the trace, and those that only waited; ``waiting`` has the system's number of each."""
    known = process.record.threads
    tids = {thread.tid for thread in known}
    names = {thread.tid: thread.name for thread in recorded.threads}
    start = max((thread.ordinal for thread in known), default=-1) + 1
    new = sorted(set(waiting.values()) - tids)
    return known + tuple(Thread(ordinal=n, tid=tid, name=names[tid]) for n, tid in enumerate(new, start))
