"""Describe a result and its findings in the sentences that all renderings share, without layout and escaping."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from python_tsan.plain_text import counted
from python_tsan.render.names import (
    cycle_words,
    directed_words,
    edge_words,
    evidence_words,
    lock_name,
    thread_words,
    who,
)
from python_tsan.render.stack import first_frame, frame_name, short_name
from python_tsan.result.finding import Attribution
from python_tsan.result.model import VerdictStatus
from python_tsan.tsan.finding import Kind, LocationKind, ThreadStatus
from python_tsan.tsan.fingerprint import base_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from python_tsan.result.finding import DistinctFinding
    from python_tsan.result.model import Result
    from python_tsan.tsan.finding import Access, Acquisition, Frame, Location, Mutex, Stack, Thread


class Panel(Struct, frozen=True, kw_only=True):
    """One stack of a finding with the words above it.

    ``primary`` marks the stacks of the accesses and locks; ``brief`` those that a short rendering shows too.
    """

    caption: str
    stack: Stack | None
    primary: bool = False
    brief: bool = False


# What the stacks of a kind show, where the runtime prints no words above them.
_STACK_CAPTIONS = {
    Kind.MUTEX_DESTROY_LOCKED: ("the mutex is destroyed", "it was locked"),
    Kind.MUTEX_DOUBLE_LOCK: ("the mutex is locked again",),
    Kind.MUTEX_INVALID_ACCESS: ("the mutex is used",),
    Kind.MUTEX_BAD_UNLOCK: ("the mutex is unlocked",),
}


def conclusion(result: Result) -> str:
    """Return a result in one sentence, as its exit code states it."""
    verdict = result.verdict
    if result.unfinished:
        return verdict.reason
    return f"{'NOT clean' if verdict.status is VerdictStatus.FINDINGS else verdict.status.value}: {verdict.reason}"


def tally(result: Result) -> str:
    """Say what was read: ``3 findings in 40 blocks of 2 files; 5 lines not understood``."""
    read = sum(not each.problem or each.blocks > 0 for each in result.inputs)
    of_files = f" of {counted(read, 'file')}" if result.inputs else ""
    parts = [f"{counted(len(result.findings), 'distinct finding')} in {counted(result.blocks, 'block')}{of_files}"]
    if result.fatal:
        parts.append(counted(len(result.fatal), "fatal end"))
    if result.unparsed.count:
        parts.append(f"{counted(result.unparsed.count, 'line')} not understood")
    return "; ".join(parts)


def headline(finding: DistinctFinding) -> str:
    """Return what a finding is, on what: ``data race on g_total (global of 8 bytes)``."""
    if finding.kind is Kind.POSSIBLE_DEADLOCK:
        return f"{finding.title}: {cycle_words(finding)}"
    if finding.cycle:
        return f"{finding.title}: {' → '.join(f'M{mutex}' for mutex in (*finding.cycle, finding.cycle[0]))}"
    return f"{finding.title} on {memory(finding.location)}" if finding.location else finding.title


def subject_words(finding: DistinctFinding) -> str:
    """Return what a finding is, on what, in few words: ``data race on g_total``."""
    if finding.cycle or not finding.location:
        return headline(finding)
    return f"{finding.title} on {raced_object(finding) or memory(finding.location)}"


def raced_object(finding: DistinctFinding) -> str:
    """Name the memory of a race: a global's name, or the function that allocated it; empty when neither is known."""
    location = finding.location
    if location is None:
        return ""
    if location.kind is LocationKind.HEAP:
        frame = first_frame(location.stack)
        return f"memory from {short_name(frame)}" if frame else ""
    return location.name.replace("(anonymous namespace)::", "")


def functions(finding: DistinctFinding) -> tuple[str, ...]:
    """Return the functions that a reader should compare, once each: the user's where there are any."""
    return tuple(dict.fromkeys(short_name(frame) for frame in deciding_frames(finding)))


def deciding_frames(finding: DistinctFinding) -> list[Frame]:
    """Return the frame of each side that a reader should look at: the user's, else the one that decided whose it is."""
    return [frame for origin in finding.origins if (frame := origin.yours or origin.frame)]


def memory(location: Location) -> str:
    """Name the memory in a few words."""
    size = f" of {counted(location.size, 'byte')}" if location.size is not None else ""
    match location.kind:
        case LocationKind.GLOBAL:
            return f"{location.name or 'an unnamed global'}{f' (global{size})' if location.name else size}"
        case LocationKind.HEAP:
            return f"a heap block{size}"
        case LocationKind.STACK | LocationKind.TLS:
            return f"the {location.kind.value} of {who(location.thread, main=location.main_thread)}"
        case LocationKind.FILE_DESCRIPTOR:
            return f"file descriptor {location.descriptor}"
        case LocationKind.EXTERNAL:
            return f"{location.name or 'an external object'}{size}"
        case _:
            assert_never(location.kind)


def access_words(access: Access, finding: DistinctFinding) -> str:
    """Say what an access did: ``write of 8 bytes by thread T1 'teller', holding M0``."""
    size = f" of {counted(access.size, 'byte')}" if access.size is not None else ""
    what = f" of {access.object_type}" if access.object_type else ""
    by = thread_words(access.thread, finding, main=access.main_thread)
    held = ", ".join(f"M{mutex.id}{'' if mutex.write else ' (for reading)'}" for mutex in access.mutexes)
    holding = f", holding {held}" if held else ", holding no mutex" if _any_held(finding) else ""
    return f"{'earlier ' if access.previous else ''}{access.side}{size}{what} by {by}{holding}"


def acquisition_words(edge: Acquisition, finding: DistinctFinding) -> str:
    """Say which lock was taken: ``M1 taken while holding M0, by main thread``."""
    if finding.kind is Kind.POSSIBLE_DEADLOCK:
        return edge_words(edge, finding)
    return f"M{edge.mutex} taken while holding M{edge.holding}, by " + thread_words(
        edge.thread, finding, main=edge.main_thread
    )


def created_words(thread: Thread, finding: DistinctFinding) -> str:
    """Say who made a thread: ``thread T1 'teller' (running), created by main thread``."""
    state = "running" if thread.status is ThreadStatus.RUNNING else "finished"
    made = ", a GCD worker" if thread.worker else ""
    if thread.parent is not None:
        made = f", created by {thread_words(thread.parent, finding, main=thread.parent_main)}"
    return f"{thread_words(thread.id, finding)} ({state}){made}"


def mutex_words(mutex: Mutex) -> str:
    """Name a mutex: ``mutex M0, created`` or ``mutex M0, already destroyed``."""
    if mutex.kind:
        return f"{mutex.kind} {mutex.name or f'M{mutex.id}'}, created or first used"
    return f"mutex M{mutex.id}, {'already destroyed' if mutex.destroyed else 'created'}"


def panels(finding: DistinctFinding) -> Iterator[Panel]:
    """Yield every stack of a finding with its caption, the primary ones first."""
    for access in finding.accesses:
        yield Panel(caption=access_words(access, finding), stack=access.stack, primary=True, brief=True)
    for edge in finding.acquisitions:
        yield Panel(caption=acquisition_words(edge, finding), stack=edge.stack, primary=True, brief=True)
        if edge.holding_stack:
            taken = f"{lock_name(edge.holding, finding)} had been acquired"
            yield Panel(caption=taken, stack=edge.holding_stack, brief=True)
    captions = _STACK_CAPTIONS.get(finding.kind, ())
    for number, stack in enumerate(finding.stacks):
        caption = stack.caption.rstrip(":") or (captions[number] if number < len(captions) else "here")
        yield Panel(caption=caption, stack=stack, primary=True, brief=True)
    if finding.sleep:
        caption = "as if synchronized via sleep: only this sleep orders the two"
        yield Panel(caption=caption, stack=finding.sleep, brief=True)
    yield from _origins(finding)


def _origins(finding: DistinctFinding) -> Iterator[Panel]:
    """Yield where the memory, the mutexes and the threads come from, in brief where that is the key to the finding."""
    for location in (finding.location, *finding.more_locations):
        if location and location.stack:
            brief = location is finding.location
            yield Panel(caption=_made_words(location, finding), stack=location.stack, brief=brief)
    for mutex in finding.mutexes:
        if mutex.stack:
            # A race names the mutexes that were held; of a mistake with a mutex, it says which one that is.
            yield Panel(caption=mutex_words(mutex), stack=mutex.stack, brief=not finding.accesses and not mutex.name)
    primary = finding.accesses or finding.acquisitions
    lost = any(not access.stack.frames for access in finding.accesses)
    for thread in finding.threads:
        brief = lost or not primary or finding.attribution not in {Attribution.YOURS, Attribution.REACHED}
        yield Panel(caption=created_words(thread, finding), stack=thread.stack, brief=brief)


def message(finding: DistinctFinding) -> str:
    """Return a finding in one line of plain text: what it is, and each side with the function that did it."""
    sides = []
    for panel in (panel for panel in panels(finding) if panel.primary):
        frame = first_frame(panel.stack) if finding.kind is not Kind.POSSIBLE_DEADLOCK else None
        sides.append(f"{panel.caption}{f' in {frame_name(frame)}' if frame else ''}")
    directed = [directed_words(finding.directed)] if finding.directed else []
    return "; ".join((headline(finding), *sides, *directed))


def evidence(finding: DistinctFinding) -> str:
    """Say how sure a recorded finding is, or what came before it, where its stacks do not."""
    if finding.kind is Kind.POSSIBLE_DEADLOCK:
        return evidence_words(finding)
    return "; ".join(finding.notes) if finding.kind.is_recorded else ""


def where(finding: DistinctFinding) -> str:
    """Return the file name and line where a reader should look first, else the function; empty without a stack."""
    frame = main_frame(finding)
    if frame is None:
        return ""
    return f"{base_name(frame.file)}:{frame.line}" if frame.file else short_name(frame)


def place_words(finding: DistinctFinding) -> str:
    """Return the functions that a reader should compare, and the line: ``careless and careful, race.cpp:25``."""
    return ", ".join(dict.fromkeys(filter(None, (" and ".join(functions(finding)), where(finding)))))


def unknown_owner(result: Result) -> str:
    """Say how ``--own`` helps where it is not known whose code made an access; empty where it is known."""
    unknown = [finding for finding in result.findings if finding.attribution is Attribution.UNKNOWN]
    frames = [origin.frame for finding in unknown for origin in finding.origins if origin.frame]
    if not unknown or not frames:
        return ""
    example = base_name(frames[0].module) or frames[0].file.rpartition("/")[0] or frames[0].file
    whose = f"{counted(len(unknown), 'finding')} in code that is not known to be yours"
    return f"{whose}: name your folders and modules with --own, such as --own {shlex.quote(example)}"


def main_frame(finding: DistinctFinding) -> Frame | None:
    """Return the frame that a reader should look at first: theirs if there is one, and with a source line."""
    frames = [origin.yours for origin in finding.origins if origin.yours]
    frames += [origin.frame for origin in finding.origins if origin.frame]
    return next((frame for frame in frames if frame.file and frame.line), frames[0] if frames else None)


def _any_held(finding: DistinctFinding) -> bool:
    return any(access.mutexes for access in finding.accesses)


def _made_words(location: Location, finding: DistinctFinding) -> str:
    verb = {LocationKind.HEAP: "allocated", LocationKind.EXTERNAL: "allocated"}.get(location.kind, "opened")
    if location.closed:
        verb = "closed"
    return f"{memory(location)}, {verb} by {thread_words(location.thread, finding, main=location.main_thread)}"
